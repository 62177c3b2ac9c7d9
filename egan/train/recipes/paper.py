"""The family `paper`: EncryptGAN as published (arXiv 1905.11582).

CycleGAN's networks with key images and no lock. Both directions of the cycle, each with
the right or a wrong key image (equations 3 to 5), key matching (1), information (2) and
LSGAN for both discriminators. Pictures and keys are rounded to 8 bits inside the loop,
so that the networks learn to survive PNG.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from egan.core.encryptgan import EncryptGANNetworks
from egan.core.options import ModelOptions
from egan.train import losses
from egan.train.critics import noisy
from egan.train.key_network import train_key_network
from egan.train.options import TrainOptions
from egan.train.recipes.base import Facts, random_window, round8
from egan.train.recipes.keyed import KeyedMethod, Pairs
from egan.train.sampler import Sampler


@dataclasses.dataclass
class Batch(Pairs):
    """Also the key images in use; right_* (N,) is 1 where the key fits."""

    # The private key that G decrypts with: K(x), or that of another cover
    used_x: Tensor
    # The public key that F verifies with
    used_y: Tensor
    right_x: Tensor
    right_y: Tensor


@dataclasses.dataclass
class Cycles:
    """The generated pictures before rounding; the last two of both ways only."""

    disguise: Tensor
    recovered: Tensor
    signed: Tensor | None = None
    verified: Tensor | None = None


class KeyedCycle(nn.Module):
    """F and G through both directions of the cycle, as one module."""

    def __init__(self, model: EncryptGANNetworks, noise: float) -> None:
        super().__init__()
        self.F, self.G, self.noise = model.F, model.G, noise

    def forward(self, b: Batch, backward: bool) -> Cycles:
        disguise = self.F(self.seen(b.composite, b.ky))
        recovered = self.G(self.seen(round8(disguise), b.used_x))
        if not backward:
            return Cycles(disguise, recovered)
        signed = self.G(self.seen(b.y, b.kx))
        verified = self.F(self.seen(round8(signed), b.used_y))
        return Cycles(disguise, recovered, signed, verified)

    def seen(self, picture: Tensor, key: Tensor) -> Tensor:
        return torch.cat((noisy(picture, self.noise), key), 1)


class PaperMethod(KeyedMethod):
    """Family `paper`."""

    def __init__(
        self, model_options: ModelOptions, options: TrainOptions, sampler: Sampler
    ) -> None:
        super().__init__(model_options, options, sampler)
        if self.device.type == "cpu":
            # Instance norm is slow in any other order, and these networks are full of it.
            for module in (self.model, self.critics):
                module.to(memory_format=torch.contiguous_format)
        self.generators = KeyedCycle(self.model, options.noise)
        self.forward_pass = self.generators
        self.share_out()

    def make_keys(self) -> Facts:
        o, alone = self.options, self.sampler.alone()
        accuracy = train_key_network(
            self.model.K, alone, o.key_steps, size=o.key_size, show=self.show
        )
        return {"key_network_accuracy": round(accuracy, 4)}

    def start_optimisers(self) -> None:
        o = self.options
        self.model.K.requires_grad_(False)
        generators = [*self.model.F.parameters(), *self.model.G.parameters()]
        self.optimisers = {
            "generators": self.optimiser(generators, o.learning_rate, (0.5, 0.999)),
            "critics": self.optimiser(
                self.critics.parameters(), o.discriminator_rate, (0.5, 0.999)
            ),
        }

    def rate(self, progress: float, number: int) -> float:
        """CycleGAN's: constant, then linear to zero."""
        hold = self.options.hold
        return 1.0 - max(0.0, progress - hold) / max(1 - hold, 1e-9)

    @torch.no_grad()
    def draw(self) -> Batch:
        """The pictures and all random choices of one step.

        A wrong key is the key of another picture.
        """
        o, s, m = self.options, self.sampler, self.model
        pairs = self.draw_pairs()
        keys = [pairs.kx, pairs.ky]
        others = s.pictures(s.covers, o.batch), s.pictures(s.disguises, o.batch)
        wrong_keys = [
            self.key_images(others[0], m.options.private_layers),
            self.key_images(others[1], m.options.public_layers),
        ]
        wrong = torch.stack([s.uniform(o.batch), s.uniform(o.batch)]) < o.wrong_key
        used = [
            torch.where(w[:, None, None, None], bad, good)
            for w, good, bad in zip(wrong, keys, wrong_keys, strict=True)
        ]
        right = 1 - wrong.float()
        return Batch(
            **vars(pairs),
            used_x=used[0],
            used_y=used[1],
            right_x=right[0],
            right_y=right[1],
        )

    def step(self, number: int) -> dict[str, Tensor]:
        o = self.options
        b = self.draw()
        window = random_window(b.x.shape[-1], o.critic_crop, self.sampler)
        with self.autocast():
            backward = bool(o.backward_every) and number % o.backward_every == 0
            c = self.forward_pass(b, backward)
            fakes = {"d_y": [window(c.disguise)], "d_x": [window(c.recovered)]}
            terms = {
                "cycle": o.cycle
                * losses.cycle_loss(c.recovered, b.composite, b.right_x),
                "information": o.information
                * losses.information_loss(c.recovered, b.composite, b.box, b.right_x),
                "key_matching": o.key_matching
                * self.key_matching((c.disguise, c.recovered), (b.y, b.x)),
            }
            if o.disguise:
                painted = losses.cycle_loss(c.disguise, b.y)
                terms["disguise"] = o.disguise * painted
            if c.signed is not None and c.verified is not None:
                back = losses.cycle_loss(c.verified, b.y, b.right_y)
                terms["back_cycle"] = o.cycle * back
                fakes["d_y"].append(window(c.verified))
                fakes["d_x"].append(window(c.signed))
            for term, weight, critic in (
                ("adversarial", o.adversarial, "d_y"),
                ("adversarial_x", o.adversarial_x, "d_x"),
            ):
                fake = torch.cat(fakes[critic])
                terms[term] = weight * self.generator_adversarial_loss(critic, fake)
            total = torch.stack(list(terms.values())).sum()
        norm = self.update("generators", total, o.clip)
        with self.autocast():
            reals = {"d_y": window(b.y), "d_x": window(b.x)}
            d_loss = self.critic_loss(
                [(d, reals[d], torch.cat(fakes[d])) for d in reals]
            )
        self.update("critics", d_loss)
        terms |= {
            "critics": d_loss,
            "gradient": norm,
            "box_mse": self.box_mse(c.recovered, b, b.right_x),
        }
        return {name: value.detach() for name, value in terms.items()}
