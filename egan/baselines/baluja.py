"""Deep steganography (Baluja 2017, "Hiding Images in Plain Sight: Deep Steganography").

A preparation network turns the secret into features, a hiding network paints them into
the cover, a reveal network gets the secret back. Here the secret is the composite and
Baluja's cover is the picture of the disguise, which the result is to look like. Nothing
but the weights of the reveal network stands between a reader and the secret.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from egan.baselines.base import Baseline
from egan.core.baseline_options import BalujaOptions

KERNELS = (3, 4, 5)


def same_conv(a: int, b: int, kernel: int) -> list[nn.Module]:
    """A convolution that keeps the size, zero-padded; an even kernel has the extra row
    and column below and right.
    """
    before, after = (kernel - 1) // 2, kernel // 2
    return [
        nn.ZeroPad2d((before, after, before, after)),
        nn.Conv2d(a, b, kernel),
        nn.ReLU(),
    ]


class Branches(nn.Module):
    """Baluja's unit: branches of 3x3, 4x4 and 5x5 convolutions, `depth` - 1 deep, and a
    last of each over all of them.

    (N, channels, H, W) -> (N, 3 * width, H, W): with depth 5 and width 50, the paper's
    15 convolutions of 50 filters.
    """

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.apart, self.joint = nn.ModuleList(), nn.ModuleList()
        for kernel in KERNELS if depth > 1 else ():
            layers = same_conv(channels, width, kernel)
            for _ in range(depth - 2):
                layers += same_conv(width, width, kernel)
            self.apart.append(nn.Sequential(*layers))
        for kernel in KERNELS:
            self.joint.append(
                nn.Sequential(
                    *same_conv(3 * width if depth > 1 else channels, width, kernel)
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        if len(self.apart):
            x = torch.cat([branch(x) for branch in self.apart], 1)
        return torch.cat([branch(x) for branch in self.joint], 1)


class Baluja(Baseline):
    """The three networks: `prepare`, `conceal` and `uncover`, the last two ending in a
    1x1 convolution to a picture.
    """

    def __init__(self, options: BalujaOptions) -> None:
        super().__init__(options)
        w, depth = options.width, options.depth
        self.prepare = Branches(3, w, depth)
        self.conceal = nn.Sequential(
            Branches(3 * w + 3, w, depth), nn.Conv2d(3 * w, 3, 1)
        )
        self.uncover = nn.Sequential(Branches(3, w, depth), nn.Conv2d(3 * w, 3, 1))

    def hide(self, composite: Tensor, disguise: Tensor) -> Tensor:
        """Containers: pictures like `disguise` that carry the composite."""
        return self.conceal(torch.cat((self.prepare(composite), disguise), 1))

    def reveal(self, disguise: Tensor, cover: Tensor | None) -> Tensor:
        return self.uncover(disguise)

    def parts(self) -> dict[str, list[nn.Module]]:
        return {"encrypt": [self.prepare, self.conceal], "decrypt": [self.uncover]}
