"""DRIT's recipe (Lee et al. 2018): cross-cycles, and adversaries of contents and of
pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.baselines.drit import DRIT, SLOPE, ContentCritic
from egan.baselines.layers import MultiScaleCritic
from egan.core.baseline_options import DRITOptions
from egan.train.options import DRITTraining
from egan.train.recipes.unkeyed import UnkeyedMethod, constant_then_linear, l1


@dataclasses.dataclass(frozen=True)
class Translation:
    """One batch translated both ways.

    Contents are (N, 4 width, H/4, W/4), attributes (N, K): moments are mean and
    log-variance of x and of y, own_* are drawn from them, drawn is drawn from the
    prior. fakes: pictures by critic.
    """

    content_x: Tensor
    content_y: Tensor
    moments: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]
    own_x: Tensor
    own_y: Tensor
    drawn: Tensor
    fakes: dict[str, Tensor]


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
        for _ in range(self.options.content_updates - 1):
            x, y, _ = self.batch()
            with torch.no_grad(), self.autocast():
                contents = self.model.encode("x", x), self.model.encode("y", y)
            self.train_content_critic(*contents)
        x, y, box = self.batch()
        with self.autocast():
            there = self.translate(x, y)
        d_loss = self.train_domain_critics(there, x, y)
        c_loss = self.train_content_critic(there.content_x, there.content_y)
        with self.autocast(), self.frozen(self.critics):
            back_x, back_y = self.cross_cycle(there.fakes["x"], there.fakes["y"])
            cross = l1(back_x, x) + l1(back_y, y)
            terms = self.terms(there, x, y)
            terms["cross_cycle"] = self.options.cross_cycle * cross
            total = torch.stack(list(terms.values())).sum()
        self.update("generator", total)
        terms |= {"discriminators": d_loss, "content_critic": c_loss}
        return self.logged(terms, back_x, x, box)

    def translate(self, x: Tensor, y: Tensor) -> Translation:
        """Pictures in the other domain, with encoded and with random attributes."""
        m = self.model
        content_x, content_y = m.encode("x", x), m.encode("y", y)
        moments_x, moments_y = m.attribute["x"](x), m.attribute["y"](y)
        own_x, own_y = sampled(*moments_x), sampled(*moments_y)
        shape = (self.options.batch, self.model_options.attribute)
        drawn = self.sampler.normal(shape)
        fakes = {
            "x": m.decode("x", content_y, own_x),
            "y": m.decode("y", content_x, own_y),
            "x2": m.decode("x", content_y, drawn),
            "y2": m.decode("y", content_x, drawn),
        }
        moments = (moments_x, moments_y)
        return Translation(content_x, content_y, moments, own_x, own_y, drawn, fakes)

    def train_domain_critics(self, there: Translation, x: Tensor, y: Tensor) -> Tensor:
        with self.autocast():
            per_critic = [
                cross_entropy(self.critics[k](fake.detach()), 0)
                + cross_entropy(self.critics[k](x if k[0] == "x" else y), 1)
                for k, fake in there.fakes.items()
            ]
            loss = torch.stack(per_critic).sum()
        self.update("domain", loss)
        return loss

    def terms(self, t: Translation, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """The generators' weighted losses but the cross-cycle's."""
        o, m, critics = self.options, self.model, self.critics
        own = l1(m.decode("x", t.content_x, t.own_x), x)
        own = own + l1(m.decode("y", t.content_y, t.own_y), y)
        # The latent loss teaches the generators alone.
        with self.frozen(m.attribute):
            latent = l1(m.attribute["x"](t.fakes["x2"])[0], t.drawn)
            latent = latent + l1(m.attribute["y"](t.fakes["y2"])[0], t.drawn)
        contents = (t.content_x, t.content_y)
        undecided = [cross_entropy(critics["content"](c), 0.5) for c in contents]
        fooled = [cross_entropy(critics[k](fake), 1) for k, fake in t.fakes.items()]
        sizes = [content.float().square().mean() for content in contents]
        return {
            "content_adversarial": o.content_adversarial * torch.stack(undecided).sum(),
            "adversarial": o.adversarial * torch.stack(fooled).sum(),
            "self": o.self_reconstruction * own,
            "latent": o.latent * latent,
            "kl": o.kl * (kl_loss(*t.moments[0]) + kl_loss(*t.moments[1])),
            "content_size": o.content_size * torch.stack(sizes).sum(),
        }

    def cross_cycle(self, fake_x: Tensor, fake_y: Tensor) -> tuple[Tensor, Tensor]:
        """Both translations translated back: contents from the one, attributes from the
        other (section 3.2).
        """
        m = self.model
        own_x = sampled(*m.attribute["x"](fake_x))
        own_y = sampled(*m.attribute["y"](fake_y))
        back_x = m.decode("x", m.encode("y", fake_y), own_x)
        return back_x, m.decode("y", m.encode("x", fake_x), own_y)


def sampled(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Attributes (N, K) drawn from normal distributions, with a gradient to both."""
    return mean + torch.randn_like(mean) * (log_variance / 2).exp()


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
