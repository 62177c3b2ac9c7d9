"""Blocks that more than one of the compared methods is built of. Pictures are (N, 3, H,
W) in [-1, 1].
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egan.core.resnet import Pyramid, conv, init_normal


class MultiScaleCritic(Pyramid):
    """MUNIT's and DRIT's discriminator: the same small network on the picture and on
    its averages by 2 and by 4.

    Four 4x4 convolutions of stride 2 without normalisation, then a 1x1. (N, 3, H, W) ->
    one map (N, 1, h, w) a scale.
    """

    def __init__(self, width: int = 64, scales: int = 3, slope: float = 0.2) -> None:
        def network() -> nn.Sequential:
            layers = conv(3, width, 4, 2, slope=slope)
            for i in range(3):
                layers += conv(width * 2**i, width * 2 ** (i + 1), 4, 2, slope=slope)
            return nn.Sequential(*layers, nn.Conv2d(width * 8, 1, 1))

        super().__init__(network() for _ in range(scales))
        init_normal(self)


def layer_norm(width: int) -> nn.GroupNorm:
    """MUNIT's layer norm: one mean and one deviation a picture, one scale and one shift
    a channel.
    """
    return nn.GroupNorm(1, width)


def init_kaiming(module: nn.Module) -> None:
    """Weights from N(0, 2 / fan-in) (He et al. 2015), biases zero."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(m.weight)
            if m.bias is not None:
                nn.init.zeros_(m.bias)


def spread(code: Tensor, like: Tensor) -> Tensor:
    """Numbers (N, K) as K constant channels of the size of `like`: (N, K, H, W)."""
    return code[:, :, None, None].expand(-1, -1, *like.shape[-2:])


def attach(x: Tensor, code: Tensor) -> Tensor:
    """Channels (N, C, H, W) with a code's (N, K) constant ones behind them."""
    return torch.cat((x, spread(code, x).to(x.dtype)), 1)
