"""The family `egan`: one step of F, G and both discriminators with the phase lock
between (DESIGN 3).

All random choices of a step are drawn first, into a Batch; the pass over it is a module
of its own, a function of tensors.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from egan.core.closed_form import CELL
from egan.core.encryptgan import EncryptGANNetworks
from egan.core.networks import HIDE, REVEAL, LockedGenerator
from egan.core.options import ModelOptions
from egan.core.phases import quantise_phases, rotate_phases
from egan.train import losses
from egan.train.key_network import Painter, train_key_network
from egan.train.options import TrainOptions
from egan.train.recipes.base import Facts, random_window
from egan.train.recipes.keyed import KeyedMethod, Pairs
from egan.train.sampler import Sampler
from egan.train.starting_codec import start_codec

# The learning rate decays to this share of itself.
FLOOR_RATE = 0.02
# Weight of painting faces against painting flowers while K learns.
SIGNED = 0.4

Window = Callable[[Tensor], Tensor]


@dataclasses.dataclass
class Batch(Pairs):
    """Also right (N,), and keystreams (N, P, H/4, W/4) of bytes."""

    # 1 where G gets the right keystream, else 0.
    right: Tensor
    keystream: Tensor
    # The keystream that G gets.
    used: Tensor
    # A second keystream for the first few samples, for the grain loss.
    other: Tensor
    noise: Tensor
    # The key images that signed pictures are verified with; half are of another flower.
    verifying: Tensor


@dataclasses.dataclass
class Cycle:
    """One direction of the cycle: the painted picture before rounding, the decode, and
    the phases on the way.
    """

    painted: Tensor
    recovered: Tensor
    sent: Tensor
    locked: Tensor
    measured: Tensor


class LockedCycle(nn.Module):
    """F and G in one forward pass, as one module for the optimiser and for
    DistributedDataParallel.
    """

    def __init__(self, model: EncryptGANNetworks) -> None:
        super().__init__()
        assert isinstance(model.F, LockedGenerator)
        assert isinstance(model.G, LockedGenerator)
        self.F, self.G = model.F, model.G

    def forward(self, b: Batch, backward: bool) -> tuple[Cycle, Cycle | None, Tensor]:
        """The cycle X-Y-X, the cycle Y-X-Y where asked for, and the grain of the first
        few disguises.
        """

        def travel(picture: Tensor) -> Tensor:
            return picture + b.noise

        there = cycle(
            self.F, self.G, b.composite, b.ky, b.kx, b.keystream, b.used, travel
        )
        few = len(b.other)
        again = self.F.decode(
            rotate_phases(there.sent[:few].detach(), b.other, +1), b.ky[:few], HIDE
        )
        grain = losses.grain_loss(there.painted[:few], again)
        back = None
        if backward:
            back = cycle(
                self.G, self.F, b.y, b.kx, b.verifying, b.keystream, b.keystream, travel
            )
        return there, back, grain


def cycle(
    hider: LockedGenerator,
    revealer: LockedGenerator,
    picture: Tensor,
    hide_key: Tensor,
    reveal_key: Tensor,
    keystream: Tensor,
    used: Tensor,
    travel: Callable[[Tensor], Tensor],
) -> Cycle:
    """Hide a picture, round to 8 bits, let it travel, and reveal it with
    the keystream `used`.
    """
    sent = quantise_phases(hider.encode(picture, hide_key))
    locked = rotate_phases(sent, keystream, +1)
    painted = hider.decode(locked, hide_key, HIDE)
    # A straight-through gradient.
    rounded = painted + (hider.levels(painted) / 127.5 - 1 - painted).detach()
    measured = revealer.measure(travel(rounded), reveal_key, hider)
    recovered = revealer.decode(rotate_phases(measured, used, -1), reveal_key, REVEAL)
    return Cycle(painted, recovered, sent, locked.detach(), measured)


def painting(
    hider: LockedGenerator,
) -> tuple[Callable[[Tensor], Tensor], list[nn.Parameter]]:
    """A generator as a painter from key images, with random phases as payload, and the
    parameters that learn: all but the carriers.
    """

    def paint(key: Tensor) -> Tensor:
        n, _, h, w = key.shape
        angle = torch.rand(
            n, hider.payload[0], h // CELL, w // CELL, device=key.device
        ) * (2 * math.pi)
        return hider.decode(
            torch.stack((torch.cos(angle), torch.sin(angle)), 1), key, HIDE
        )

    parameters = [
        p
        for name, p in hider.decoder.named_parameters()
        if not name.startswith("direct.")
    ]
    return paint, parameters


class EganMethod(KeyedMethod):
    """Family `egan`: the losses of `egan.train.losses`, K and the starting codec."""

    def __init__(
        self,
        model_options: ModelOptions,
        options: TrainOptions,
        sampler: Sampler,
        perceptual: nn.Module | None = None,
    ) -> None:
        super().__init__(model_options, options, sampler)
        self.perceptual = perceptual
        self.generators = LockedCycle(self.model)
        self.forward_pass = self.generators
        self.share_out()

    def facts(self) -> Facts:
        used = self.perceptual is not None and (
            self.options.perceptual or self.options.perceptual_x
        )
        return {"perceptual_loss": "LPIPS-squeeze" if used else "none"}

    def prepare(self) -> Facts:
        """Set the starting codec of either direction, then K."""
        s, o = self.sampler.alone(), self.options
        composites, _ = s.composite(s.pictures(s.covers, 64), 3)
        start_codec(
            self.generators.F,
            self.generators.G,
            composites,
            o.amplitude,
        )
        start_codec(
            self.generators.G,
            self.generators.F,
            s.pictures(s.disguises, 64),
            o.amplitude,
        )
        return self.make_keys()

    def make_keys(self) -> Facts:
        """Train K and, where asked to, the painters with it."""
        s, o, m = self.sampler.alone(), self.options, self.model.options
        painters = []
        if o.key_painting:
            painters = [
                Painter(
                    s.covers,
                    m.private_layers,
                    *painting(self.generators.G),
                    SIGNED * o.key_painting,
                ),
                Painter(
                    s.disguises,
                    m.public_layers,
                    *painting(self.generators.F),
                    o.key_painting,
                ),
            ]
        accuracy = train_key_network(
            self.model.K, s, o.key_steps, painters, self.bf16, o.key_size, self.show
        )
        return {"key_network_accuracy": round(accuracy, 4)}

    def start_optimisers(self) -> None:
        o = self.options
        self.model.K.requires_grad_(False)
        self.optimisers = {
            "generators": self.optimiser(
                self.generators.parameters(), o.learning_rate, (0.9, 0.99)
            ),
            "critics": self.optimiser(
                self.critics.parameters(), o.discriminator_rate, (0.5, 0.99)
            ),
        }

    def rate(self, progress: float, number: int) -> float:
        """Linear warm-up, full rate for a while, then a cosine down to FLOOR_RATE."""
        o = self.options
        falling = max(0.0, progress - o.hold) / max(1 - o.hold, 1e-9)
        cosine = 0.5 * (1 + math.cos(math.pi * falling))
        return min(1.0, (number + 1) / o.warmup) * (
            FLOOR_RATE + (1 - FLOOR_RATE) * cosine
        )

    @torch.no_grad()
    def draw(self, backward: bool = True) -> Batch:
        """The pictures and all random choices of one step; backward: of one that trains
        the cycle Y-X-Y as well.
        """
        o, s = self.options, self.sampler
        pairs = self.draw_pairs()
        shape = (o.batch, *self.model.keystream_shape(*pairs.x.shape[-2:]))
        keystream = s.randint(shape)
        wrong = s.uniform(o.batch) < o.wrong_key
        return Batch(
            **vars(pairs),
            right=1 - wrong.float(),
            keystream=keystream,
            used=torch.where(wrong[:, None, None, None], s.randint(shape), keystream),
            other=torch.randint_like(keystream[: max(1, len(keystream) // 4)], 0, 256),
            noise=o.noise * s.normal((o.batch, *pairs.x.shape[1:])),
            verifying=self.keys_to_verify(pairs.ky) if backward else pairs.ky,
        )

    def keys_to_verify(self, ky: Tensor) -> Tensor:
        """Key images for signed pictures: their own in one half, those of other flowers
        in the other.

        A secret need not be the flower of the public key. If it always were in
        training, F would learn to copy from the key.
        """
        s, m = self.sampler, self.model
        others = self.key_images(
            s.pictures(s.disguises, self.options.batch), m.options.public_layers
        )
        own = s.uniform(self.options.batch) < 0.5
        return torch.where(own[:, None, None, None], ky, others)

    def step(self, number: int) -> dict[str, Tensor]:
        o = self.options
        backward = bool(o.backward_every) and number % o.backward_every == 0
        batch = self.draw(backward)
        window = random_window(batch.x.shape[-1], o.critic_crop, self.sampler)
        with self.autocast():
            there, back, grain = self.forward_pass(batch, backward)
            terms = self.terms(batch, there, window)
            terms["grain"] = o.grain * grain
            if back:
                terms |= {
                    f"back_{name}": v
                    for name, v in self.backward_terms(batch, back, window).items()
                }
            total = torch.stack(list(terms.values())).sum()
        norm = self.update("generators", total, o.clip)
        if o.adversarial or o.adversarial_x:
            with self.autocast():
                d_loss = self.windowed_critic_loss(batch, there, back, window)
            self.update("critics", d_loss)
            terms["critics"] = d_loss
        terms |= {
            "gradient": norm,
            "box_mse": self.box_mse(there.recovered, batch, batch.right),
        }
        return {name: value.detach() for name, value in terms.items()}

    def terms(self, b: Batch, c: Cycle, window: Window) -> dict[str, Tensor]:
        """The generators' weighted losses of the cycle X-Y-X."""
        o = self.options
        fake_x, fake_y = (
            window(c.recovered).clamp(-1, 1),
            window(c.painted).clamp(-1, 1),
        )
        real_x, real_y = window(b.x), window(b.y)
        out = {
            "phase": o.phase * losses.phase_loss(c.measured, c.locked),
            "cycle": o.cycle * losses.cycle_loss(c.recovered, b.composite, b.right),
            "information": o.information
            * losses.information_loss(c.recovered, b.composite, b.box, b.right),
            "disguise": o.disguise * (c.painted - b.y).abs().mean(),
            "detail": o.detail * losses.detail_loss(c.painted, b.y),
        }
        if self.perceptual is not None:
            if o.perceptual:
                out["perceptual"] = (
                    o.perceptual * self.perceptual(fake_y, real_y).mean()
                )
            if o.perceptual_x:
                distance = self.perceptual(fake_x, window(b.composite)).flatten()
                out["perceptual_x"] = o.perceptual_x * losses.sample_mean(
                    distance, b.right
                )
        if o.key_matching:
            out["key_matching"] = o.key_matching * self.key_matching(
                (fake_y, fake_x), (real_y, real_x)
            )
        if o.adversarial:
            out["adversarial"] = o.adversarial * self.generator_adversarial_loss(
                "d_y", fake_y
            )
        if o.adversarial_x:
            out["adversarial_x"] = o.adversarial_x * self.generator_adversarial_loss(
                "d_x", fake_x
            )
        return out

    def backward_terms(self, b: Batch, c: Cycle, window: Window) -> dict[str, Tensor]:
        """The generators' weighted losses of the cycle Y-X-Y."""
        o = self.options
        out = {
            "phase": o.phase * losses.phase_loss(c.measured, c.locked),
            "cycle": o.cycle * losses.cycle_loss(c.recovered, b.y),
            "disguise": o.disguise * (c.painted - b.x).abs().mean(),
            "detail": o.detail * losses.detail_loss(c.painted, b.x),
        }
        if o.adversarial_x:
            out["adversarial"] = o.adversarial_x * self.generator_adversarial_loss(
                "d_x", window(c.painted).clamp(-1, 1)
            )
        return out

    def windowed_critic_loss(
        self, b: Batch, there: Cycle, back: Cycle | None, window: Window
    ) -> Tensor:
        """LSGAN's loss of both discriminators, with noise on all that they see."""
        o = self.options
        pairs = []
        if o.adversarial:
            pairs.append(
                ("d_y", b.y + self.payload(self.generators.F, b), there.painted)
            )
        if o.adversarial_x:
            pairs.append(("d_x", b.composite, there.recovered))
            if back:
                pairs.append(
                    ("d_x", b.x + self.payload(self.generators.G, b), back.painted)
                )
        return self.critic_loss(
            [
                (name, window(real).clamp(-1, 1), window(fake).clamp(-1, 1))
                for name, real, fake in pairs
            ]
        )

    @torch.no_grad()
    def payload(self, hider: LockedGenerator, b: Batch) -> Tensor | float:
        """The carriers of random phases, for real pictures, so that they do not tell
        painted pictures from real ones.
        """
        if not self.options.grain_on_real:
            return 0.0
        angle = torch.rand(b.keystream.shape, device=self.device) * (2 * math.pi)
        phases = torch.cat((torch.cos(angle), torch.sin(angle)), 1)
        with torch.autocast(self.device.type, enabled=False):
            return nn.functional.pixel_shuffle(hider.decoder.payload(phases), CELL)
