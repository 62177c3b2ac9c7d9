"""DRIT (Lee et al. 2018, "Diverse Image-to-Image Translation via Disentangled
Representations"), as published.

Both domains share a content space, which a content discriminator keeps free of either
domain; attributes (8 numbers, variational) are a domain's own. A disguise is the
composite's content with the attribute of a flower. The composite's own attribute does
not travel in the disguise: the way back takes it from a cover picture that the receiver
has, or from the prior's mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egan.baselines.base import (
    Baseline,
)
from egan.baselines.layers import attach, layer_norm
from egan.core.baseline_options import DRITOptions
from egan.core.resnet import ResidualBlock, conv, init_normal

# Slope of the leaky rectifiers in the content encoder and in the discriminators.
SLOPE = 0.01


class ContentEncoder(nn.Module):
    """A domain's own 7x7, two stride-2 3x3 and residual blocks: (N, 3, H, W) -> (N, 4w,
    H/4, W/4).
    """

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv(3, width, 7, slope=SLOPE),
            *conv(width, 2 * width, 3, 2, norm=True),
            *conv(2 * width, 4 * width, 3, 2, norm=True),
            *(ResidualBlock(4 * width) for _ in range(blocks)),
        )

    def forward(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


class SharedContent(nn.Module):
    """The residual block in which both content encoders end. In training, Gaussian
    noise is added to its output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = ResidualBlock(4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        return x + torch.randn(x.shape, device=x.device) if self.training else x


class PoolingBlock(nn.Module):
    """A pre-activation residual block that halves the map by averaging: (N, a, H, W) ->
    (N, b, H/2, W/2).
    """

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LeakyReLU(0.2),
            *conv(a, a, 3, slope=0.2),
            *conv(a, b, 3, slope=None),
            nn.AvgPool2d(2),
        )
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(a, b, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x) + self.shortcut(x)


class AttributeEncoder(nn.Module):
    """Mean and log-variance (N, K) each of a picture's attribute: a stride-2 4x4, three
    pooling blocks, two linear maps.
    """

    def __init__(self, width: int, attribute: int) -> None:
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            *conv(3, w, 4, 2, slope=None),
            PoolingBlock(w, 2 * w),
            PoolingBlock(2 * w, 3 * w),
            PoolingBlock(3 * w, 4 * w),
            nn.LeakyReLU(0.2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.mean, self.log_variance = (
            nn.Linear(4 * w, attribute),
            nn.Linear(4 * w, attribute),
        )

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        h = self.layers(picture)
        return self.mean(h), self.log_variance(h)


class Generator(nn.Module):
    """A domain's own residual blocks and two upsamplings with layer norm, the attribute
    attached before each part.
    """

    def __init__(self, width: int, blocks: int, attribute: int) -> None:
        super().__init__()
        k, deep = attribute, 4 * width + attribute
        self.blocks = nn.Sequential(*(ResidualBlock(deep) for _ in range(blocks)))

        def up(a: int) -> nn.Sequential:
            return nn.Sequential(
                nn.ConvTranspose2d(a, a // 2, 3, 2, 1, output_padding=1),
                layer_norm(a // 2),
                nn.ReLU(),
            )

        self.up1, self.up2 = up(deep + k), up((deep + k) // 2 + k)
        self.last = nn.Conv2d(((deep + k) // 2 + k) // 2 + k, 3, 1)

    def forward(self, content: Tensor, attribute: Tensor) -> Tensor:
        h = self.blocks(attach(content, attribute))
        for layer in (self.up1, self.up2, self.last):
            h = layer(attach(h, attribute))
        return torch.tanh(h)


class DRIT(Baseline):
    """Contents, attributes and generators of both domains, "x" and "y"; `share_in` and
    `share_out` belong to both.
    """

    def __init__(self, options: DRITOptions) -> None:
        super().__init__(options)
        o, domains = options, ("x", "y")
        self.content = nn.ModuleDict(
            {d: ContentEncoder(o.width, o.blocks) for d in domains}
        )
        self.share_in = SharedContent(o.width)
        self.attribute = nn.ModuleDict(
            {d: AttributeEncoder(o.width, o.attribute) for d in domains}
        )
        self.share_out = ResidualBlock(4 * o.width)
        self.generator = nn.ModuleDict(
            {d: Generator(o.width, o.blocks, o.attribute) for d in domains}
        )
        init_normal(self)

    def encode(self, domain: str, picture: Tensor) -> Tensor:
        return self.share_in(self.content[domain](picture))

    def decode(self, domain: str, content: Tensor, attribute: Tensor) -> Tensor:
        return self.generator[domain](self.share_out(content), attribute)

    def hide(self, composite: Tensor, disguise: Tensor) -> Tensor:
        """The composite's content with the mean attribute of a picture of domain Y."""
        return self.decode(
            "y", self.encode("x", composite), self.attribute["y"](disguise)[0]
        )

    def reveal(self, disguise: Tensor, cover: Tensor | None) -> Tensor:
        """The disguise's content with the attribute of a picture of domain X; without
        one, with the prior's mean.
        """
        content = self.encode("y", disguise)
        if cover is None:
            attribute = content.new_zeros(len(content), self.options.attribute)
        else:
            attribute = self.attribute["x"](cover)[0]
        return self.decode("x", content, attribute)

    def parts(self) -> dict[str, list[nn.Module]]:
        shared = [self.share_in, self.share_out]
        return {
            "encrypt": [
                self.content["x"],
                self.attribute["y"],
                self.generator["y"],
                *shared,
            ],
            "decrypt": [
                self.content["y"],
                self.attribute["x"],
                self.generator["x"],
                *shared,
            ],
        }


class ContentCritic(nn.Module):
    """Which domain a content (N, C, h, w) is of: up to three stride-2 7x7, a 4x4 and a
    1x1; scores (N, 1, ...).

    As many stride-2 layers as leave the 4x4 something to look at: three for pictures of
    216 pixels and more, as published, two for 128, one for 64.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        c = 4 * width
        layers: list[nn.Module] = []
        for _ in range(3):
            if (side - 5) // 2 + 1 < 4:
                break
            layers += [
                nn.ReflectionPad2d(1),
                nn.Conv2d(c, c, 7, 2),
                nn.InstanceNorm2d(c),
                nn.LeakyReLU(SLOPE),
            ]
            side = (side - 5) // 2 + 1
        layers += [nn.Conv2d(c, c, 4), nn.LeakyReLU(SLOPE), nn.Conv2d(c, 1, 1)]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, content: Tensor) -> Tensor:
        return self.layers(content)
