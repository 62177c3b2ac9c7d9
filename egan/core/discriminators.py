"""Discriminators: the PatchGAN of CycleGAN and of the paper, and several of a kind at halved resolutions."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from egan.core.networks import init_normal


class PatchGAN(nn.Module):
    """The 70x70 discriminator of CycleGAN: (N, 3, H, W) -> one score per patch (N, 1, H/8 - 2, W/8 - 2)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        layers: list[nn.Module] = [
            nn.Conv2d(3, w, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for a, b, stride in ((w, 2 * w, 2), (2 * w, 4 * w, 2), (4 * w, 8 * w, 1)):
            layers += [
                nn.Conv2d(a, b, 4, stride, 1),
                nn.InstanceNorm2d(b),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        layers += [nn.Conv2d(8 * w, 1, 4, 1, 1)]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, picture: Tensor) -> Tensor:
        return self.layers(picture)


class Pyramid(nn.Module):
    """Discriminators on a picture and on its averages by 2, by 4 … (Wang et al. 2018, arXiv 1711.11585).

    (N, 3, H, W) -> the scores (N, 1, h, w) of each.
    """

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.shrink = nn.AvgPool2d(3, 2, 1, count_include_pad=False)

    def forward(self, picture: Tensor) -> list[Tensor]:
        out = []
        for network in self.networks:
            out.append(network(picture))
            picture = self.shrink(picture)
        return out
