"""DRIT's recipe (Lee et al. 2018): cross-cycles, and adversaries of contents and of
pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.baselines.drit import DRIT, SLOPE, ContentCritic
from egan.baselines.layers import MultiScaleCritic
from egan.core.options import DRITOptions
from egan.train.options import DRITTraining
from egan.train.recipes.unkeyed import UnkeyedMethod, constant_then_linear, l1


class DRITMethod(UnkeyedMethod):
    """Equation 10 of the paper: content and domain adversarial, cross-cycle, self,
    latent and KL losses.
    """

    model: DRIT
    model_options: DRITOptions
    options: DRITTraining

    def build(self) -> None:
        w = self.options.discriminator_width
        self.model = DRIT(self.model_options)
        # One pair judges translations with encoded attributes, the other those with
        # attributes from the prior.
        self.critics = nn.ModuleDict(
            {d: MultiScaleCritic(w, slope=SLOPE) for d in ("x", "y", "x2", "y2")}
        )
        self.critics["content"] = ContentCritic(
            self.model_options.width, self.model_options.image_size // 4
        )

    def start_optimisers(self) -> None:
        o, betas = self.options, (0.5, 0.999)
        domain = [
            p
            for name in ("x", "y", "x2", "y2")
            for p in self.critics[name].parameters()
        ]
        content = self.critics["content"].parameters()
        self.optimisers["generator"] = self.optimiser(
            self.model.parameters(), o.learning_rate, betas
        )
        self.optimisers["domain"] = self.optimiser(domain, o.learning_rate, betas)
        self.optimisers["content"] = self.optimiser(
            content, o.learning_rate * o.content_rate, betas
        )

    def rate(self, progress: float, number: int) -> float:
        return constant_then_linear(progress)

    def train_content_critic(self, content_x: Tensor, content_y: Tensor) -> Tensor:
        critic = self.critics["content"]
        with self.autocast():
            loss = cross_entropy(critic(content_x.detach()), 0) + cross_entropy(
                critic(content_y.detach()), 1
            )
        self.update("content", loss, self.options.content_clip)
        return loss

    def step(self, number: int) -> dict[str, Tensor]:
        o, m, critics = self.options, self.model, self.critics
        for _ in range(o.content_updates - 1):
            x, y, _ = self.batch()
            with torch.no_grad(), self.autocast():
                contents = m.encode("x", x), m.encode("y", y)
            self.train_content_critic(*contents)
        x, y, box = self.batch()
        with self.autocast():
            content_x, content_y = m.encode("x", x), m.encode("y", y)
            moments = {"x": m.attribute["x"](x), "y": m.attribute["y"](y)}
            own_x, own_y = (
                mean + torch.randn_like(mean) * (v / 2).exp()
                for mean, v in moments.values()
            )
            fake_x, fake_y = (
                m.decode("x", content_y, own_x),
                m.decode("y", content_x, own_y),
            )
            drawn = self.sampler.normal((o.batch, self.model_options.attribute))
            random_x, random_y = (
                m.decode("x", content_y, drawn),
                m.decode("y", content_x, drawn),
            )
        fakes = {"x": fake_x, "y": fake_y, "x2": random_x, "y2": random_y}
        with self.autocast():
            losses = [
                cross_entropy(critics[k](fake.detach()), 0)
                + cross_entropy(critics[k](x if k[0] == "x" else y), 1)
                for k, fake in fakes.items()
            ]
            d_loss = torch.stack(losses).sum()
        self.update("domain", d_loss)
        c_loss = self.train_content_critic(content_x, content_y)
        with self.autocast(), self.frozen(critics):
            back_x, back_y = self.cross_cycle(fake_x, fake_y)
            own = l1(m.decode("x", content_x, own_x), x) + l1(
                m.decode("y", content_y, own_y), y
            )
            # The latent loss teaches the generators alone.
            with self.frozen(m.attribute):
                latent = l1(m.attribute["x"](random_x)[0], drawn) + l1(
                    m.attribute["y"](random_y)[0], drawn
                )
            terms = {
                "content_adversarial": o.content_adversarial
                * (
                    cross_entropy(critics["content"](content_x), 0.5)
                    + cross_entropy(critics["content"](content_y), 0.5)
                ),
                "adversarial": o.adversarial
                * torch.stack(
                    [cross_entropy(critics[k](fake), 1) for k, fake in fakes.items()]
                ).sum(),
                "cross_cycle": o.cross_cycle * (l1(back_x, x) + l1(back_y, y)),
                "self": o.self_reconstruction * own,
                "latent": o.latent * latent,
                "kl": o.kl * (kl_loss(*moments["x"]) + kl_loss(*moments["y"])),
                "content_size": o.content_size
                * (
                    content_x.float().square().mean()
                    + content_y.float().square().mean()
                ),
            }
            total = torch.stack(list(terms.values())).sum()
        self.update("generator", total)
        return self.logged(
            terms | {"discriminators": d_loss, "content_critic": c_loss}, back_x, x, box
        )

    def cross_cycle(self, fake_x: Tensor, fake_y: Tensor) -> tuple[Tensor, Tensor]:
        """Both translations translated back: contents from the one, attributes from the
        other (section 3.2).
        """
        m = self.model
        (mean_x, v_x), (mean_y, v_y) = (
            m.attribute["x"](fake_x),
            m.attribute["y"](fake_y),
        )
        own_x = mean_x + torch.randn_like(mean_x) * (v_x / 2).exp()
        own_y = mean_y + torch.randn_like(mean_y) * (v_y / 2).exp()
        return m.decode("x", m.encode("y", fake_y), own_x), m.decode(
            "y", m.encode("x", fake_x), own_y
        )


def cross_entropy(scores: Tensor | Sequence[Tensor], target: float) -> Tensor:
    """Binary cross-entropy of scores before the sigmoid against one target in [0, 1],
    summed over scales.
    """
    maps = [scores] if isinstance(scores, Tensor) else scores
    return torch.stack(
        [
            nnf.binary_cross_entropy_with_logits(
                s.float(), torch.full_like(s.float(), target)
            )
            for s in maps
        ]
    ).sum()


def kl_loss(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)), summed over the numbers of an
    attribute, averaged over the batch.
    """
    m, v = mean.float(), log_variance.float()
    return 0.5 * (m.square() + v.exp() - v - 1).sum(1).mean()
