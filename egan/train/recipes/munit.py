"""MUNIT's recipe (Huang et al. 2018): reconstructions of pictures, contents and styles,
and LSGAN.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from egan.baselines.layers import MultiScaleCritic
from egan.baselines.munit import MUNIT
from egan.core.baseline_options import MUNITOptions
from egan.train.options import MUNITTraining
from egan.train.recipes.unkeyed import UnkeyedMethod, l1


class MUNITMethod(UnkeyedMethod):
    """Equations 1 to 4 of the paper in both directions, styles drawn from N(0, 1)."""

    model: MUNIT
    model_options: MUNITOptions
    options: MUNITTraining

    def build(self) -> None:
        o = self.options
        self.model = MUNIT(self.model_options)
        self.critics = nn.ModuleDict(
            {d: MultiScaleCritic(o.discriminator_width) for d in ("x", "y")}
        )

    def start_optimisers(self) -> None:
        o = self.options
        for name, module in (
            ("generator", self.model),
            ("discriminator", self.critics),
        ):
            optimiser = self.optimiser(
                module.parameters(), o.learning_rate, (0.5, 0.999)
            )
            optimiser.param_groups[0]["weight_decay"] = o.weight_decay
            self.optimisers[name] = optimiser

    def rate(self, progress: float, number: int) -> float:
        return 0.5 ** int(10 * min(progress, 0.999))

    def step(self, number: int) -> dict[str, Tensor]:
        o, X, Y = self.options, self.model.X, self.model.Y
        composite, y, box = self.batch()
        with self.autocast():
            shape = (o.batch, self.model_options.style)
            style_x, style_y = self.sampler.normal(shape), self.sampler.normal(shape)
            content_x, content_y = X.content(composite), Y.content(y)
            own_x, own_y = X.style(composite), Y.style(y)
            fake_x, fake_y = X.decode(content_y, style_x), Y.decode(content_x, style_y)
        with self.autocast():
            d_loss = o.adversarial * (
                discriminator_loss(
                    self.critics["x"](composite), self.critics["x"](fake_x.detach())
                )
                + discriminator_loss(
                    self.critics["y"](y), self.critics["y"](fake_y.detach())
                )
            )
        self.update("discriminator", d_loss)
        with self.autocast(), self.frozen(self.critics):
            back_x, back_y = Y.content(fake_y), X.content(fake_x)
            terms = {
                "image": o.image
                * (
                    l1(X.decode(content_x, own_x), composite)
                    + l1(Y.decode(content_y, own_y), y)
                ),
                "style": o.style
                * (l1(X.style(fake_x), style_x) + l1(Y.style(fake_y), style_y)),
                "content": o.content * (l1(back_x, content_x) + l1(back_y, content_y)),
                "adversarial": o.adversarial
                * (
                    generator_loss(self.critics["x"](fake_x))
                    + generator_loss(self.critics["y"](fake_y))
                ),
            }
            total = torch.stack(list(terms.values())).sum()
        self.update("generator", total)
        with torch.no_grad(), self.autocast():
            recovered = X.decode(back_x, own_x)
        return self.logged(
            terms | {"discriminators": d_loss}, recovered, composite, box
        )


def generator_loss(scores: Sequence[Tensor]) -> Tensor:
    """LSGAN for the generator, summed over scales: mean (D(fake) - 1)^2."""
    return torch.stack([(s.float() - 1).square().mean() for s in scores]).sum()


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """LSGAN for the discriminator, summed over scales: mean D(fake)^2 + mean (D(real) -
    1)^2.
    """
    per_scale = [
        f.float().square().mean() + (r.float() - 1).square().mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(per_scale).sum()
