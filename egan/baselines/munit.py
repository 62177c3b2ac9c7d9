"""MUNIT (Huang et al. 2018, "Multimodal Unsupervised Image-to-Image Translation"), as
published.

A picture is a content (a map) and a style (8 numbers); to translate is to decode a
content with a style of the other domain. A disguise is the composite's content with the
style of a flower. The composite's own style does not travel in the disguise: the way
back takes it from a cover picture that the receiver has, or from the prior's mean.
"""

from __future__ import annotations

import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.baselines.base import Baseline
from egan.baselines.layers import init_kaiming, layer_norm
from egan.core.baseline_options import MUNITOptions
from egan.core.resnet import ResidualBlock, conv


class ContentEncoder(nn.Module):
    """7x7, two stride-2 4x4, residual blocks, all with instance norm: (N, 3, H, W) ->
    (N, 4w, H/4, W/4).
    """

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
    """7x7, four stride-2 4x4, the mean over the map, 1x1: (N, 3, H, W) -> (N, K). It
    has no norm, which would remove the style.
    """

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
    """Adaptive instance norm: every channel of (N, C, H, W) to a mean and deviation of
    its own, (N, C) each.
    """
    return nnf.instance_norm(x) * scale[:, :, None, None] + shift[:, :, None, None]


class AdaINBlock(nn.Module):
    """A residual block whose two norms are AdaIN: (N, C, H, W) and parameters (N, 4C)
    -> (N, C, H, W).
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Sequential(*conv(width, width, 3, slope=None))
        self.b = nn.Sequential(*conv(width, width, 3, slope=None))

    def forward(self, x: Tensor, parameters: Tensor) -> Tensor:
        scale1, shift1, scale2, shift2 = parameters.chunk(4, 1)
        h = nnf.relu(adain(self.a(x), scale1, shift1))
        return x + adain(self.b(h), scale2, shift2)


class Decoder(nn.Module):
    """AdaIN residual blocks driven by an MLP, two upsamplings with layer norm, 7x7,
    tanh: content and style -> picture.
    """

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
        """The disguise's content in the style of a picture of domain X; without one, in
        the prior's mean style.
        """
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
