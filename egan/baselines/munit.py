"""MUNIT (Huang et al. 2018, "Multimodal Unsupervised Image-to-Image Translation"), as published.

A picture is a content (a map) and a style (8 numbers); to translate is to decode a content with a style of the other
domain. A disguise is the composite's content with the style of a flower. The composite's own style does not travel
in the disguise: the way back takes it from a cover picture that the receiver has, or from the prior's mean.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.baselines.base import Baseline, BaselineMethod, BaselineTraining, l1
from egan.baselines.layers import MultiScaleCritic, init_kaiming, layer_norm
from egan.core.options import MUNITOptions
from egan.core.resnet import ResidualBlock, conv


class ContentEncoder(nn.Module):
    """7x7, two stride-2 4x4, residual blocks, all with instance norm: (N, 3, H, W) -> (N, 4w, H/4, W/4)."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv(3, width, 7, norm=True),
            *conv(width, 2 * width, 4, 2, norm=True),
            *conv(2 * width, 4 * width, 4, 2, norm=True),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
        )

    def forward(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


class StyleEncoder(nn.Module):
    """7x7, four stride-2 4x4, the mean over the map, 1x1; no norm, which would take the style away: (N, 3, H, W) -> (N, K)."""

    def __init__(self, width: int, style: int) -> None:
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            *conv(3, w, 7),
            *conv(w, 2 * w, 4, 2),
            *conv(2 * w, 4 * w, 4, 2),
            *conv(4 * w, 4 * w, 4, 2),
            *conv(4 * w, 4 * w, 4, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(4 * w, style, 1),
            nn.Flatten(),
        )

    def forward(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


def adain(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Adaptive instance norm: every channel of (N, C, H, W) to a mean and deviation of its own, (N, C) each."""
    return nnf.instance_norm(x) * scale[:, :, None, None] + shift[:, :, None, None]


class AdaINBlock(nn.Module):
    """A residual block whose two norms are AdaIN: (N, C, H, W) and parameters (N, 4C) -> (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Sequential(*conv(width, width, 3, slope=None))
        self.b = nn.Sequential(*conv(width, width, 3, slope=None))

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        scale1, shift1, scale2, shift2 = parameters.chunk(4, 1)
        h = nnf.relu(adain(self.a(x), scale1, shift1))
        return x + adain(self.b(h), scale2, shift2)


class Decoder(nn.Module):
    """AdaIN residual blocks driven by an MLP, two upsamplings with layer norm, 7x7, tanh: content and style -> picture."""

    def __init__(self, width: int, blocks: int, style: int, mlp: int) -> None:
        super().__init__()
        deep = 4 * width
        self.blocks = nn.ModuleList(AdaINBlock(deep) for _ in range(blocks))
        self.mlp = nn.Sequential(
            nn.Linear(style, mlp),
            nn.ReLU(),
            nn.Linear(mlp, mlp),
            nn.ReLU(),
            nn.Linear(mlp, blocks * 4 * deep),
        )
        up: list[nn.Module] = []
        for a in (deep, deep // 2):
            up += [
                nn.Upsample(scale_factor=2),
                *conv(a, a // 2, 5, slope=None),
                layer_norm(a // 2),
                nn.ReLU(),
            ]
        self.up = nn.Sequential(*up, *conv(width, 3, 7, slope=None), nn.Tanh())

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        h = content
        for block, parameters in zip(
            self.blocks, self.mlp(style).chunk(len(self.blocks), 1), strict=True
        ):
            h = block(h, parameters)
        return self.up(h)


class AutoEncoder(nn.Module):
    """One domain: both encoders and the decoder."""

    def __init__(self, options: MUNITOptions) -> None:
        super().__init__()
        self.content = ContentEncoder(options.width, options.blocks)
        self.style = StyleEncoder(options.width, options.style)
        self.decode = Decoder(options.width, options.blocks, options.style, options.mlp)
        init_kaiming(self)


class MUNIT(Baseline):
    """`X` and `Y`: the auto-encoders of the two domains."""

    def __init__(self, options: MUNITOptions) -> None:
        super().__init__(options)
        self.X, self.Y = AutoEncoder(options), AutoEncoder(options)

    def hide(self, composite: Tensor, disguise: Tensor) -> Tensor:
        """The composite's content in the style of a picture of domain Y."""
        return self.Y.decode(self.X.content(composite), self.Y.style(disguise))

    def reveal(self, disguise: Tensor, cover: Tensor | None) -> Tensor:
        """The disguise's content in the style of a picture of domain X; without one, in the prior's mean style."""
        content = self.Y.content(disguise)
        if cover is None:
            style = content.new_zeros(len(content), self.options.style)
        else:
            style = self.X.style(cover)
        return self.X.decode(content, style)

    def parts(self) -> dict[str, list[nn.Module]]:
        return {
            "encrypt": [self.X.content, self.Y.style, self.Y.decode],
            "decrypt": [self.Y.content, self.X.style, self.X.decode],
        }


def generator_loss(scores: Sequence[Tensor]) -> Tensor:
    """LSGAN for the generator, summed over scales: mean (D(fake) - 1)^2."""
    return torch.stack([(s.float() - 1).square().mean() for s in scores]).sum()


def discriminator_loss(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """LSGAN for the discriminator, summed over scales: mean D(fake)^2 + mean (D(real) - 1)^2."""
    per_scale = [
        f.float().square().mean() + (r.float() - 1).square().mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return torch.stack(per_scale).sum()


@dataclasses.dataclass(frozen=True)
class MUNITTraining(BaselineTraining):
    """The published recipe: Adam 1e-4 (0.5, 0.999), halved every tenth of the run, weight decay 1e-4, batch 1."""

    steps: int = 1_000_000
    learning_rate: float = 1e-4
    weight_decay: float = 1e-4
    adversarial: float = 1.0
    image: float = 10.0  # a picture from its own content and style
    style: float = 1.0  # a style drawn from the prior, encoded again
    content: float = 1.0  # a content, encoded again after translation
    discriminator_width: int = 64


class MUNITMethod(BaselineMethod):
    """Equations 1 to 4 of the paper in both directions, styles drawn from N(0, 1)."""

    model: MUNIT
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
