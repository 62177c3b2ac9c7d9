"""Networks of CycleGAN and its kin: ResNet generator, PatchGAN, pyramids of
discriminators.

Pictures are float tensors (N, 3, H, W) in [-1, 1]. Family `paper` and the compared
methods are built of these.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn


class ResNetGenerator(nn.Module):
    """CycleGAN's generator (Zhu et al. 2017): (N, in, H, W) in [-1, 1] -> (N, 3, H, W)
    in [-1, 1].

    Reflection pad 3, 7x7 conv, two stride-2 3x3, residual blocks, two transposed 3x3,
    7x7, tanh; instance norm without affine; weights drawn from N(0, 0.02).
    """

    def __init__(self, in_channels: int = 6, width: int = 64, blocks: int = 9) -> None:
        super().__init__()

        def norm(c: int) -> list[nn.Module]:
            return [nn.InstanceNorm2d(c), nn.ReLU(inplace=True)]

        w = width
        layers: list[nn.Module] = [
            nn.ReflectionPad2d(3),
            nn.Conv2d(in_channels, w, 7),
            *norm(w),
        ]
        for i in (1, 2):
            layers += [nn.Conv2d(w * i, w * i * 2, 3, 2, 1), *norm(w * i * 2)]
        layers += [ResidualBlock(w * 4) for _ in range(blocks)]
        for i in (4, 2):
            layers += [
                nn.ConvTranspose2d(w * i, w * i // 2, 3, 2, 1, output_padding=1),
                *norm(w * i // 2),
            ]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class ResidualBlock(nn.Module):
    """x + IN(conv(ReLU(IN(conv(x))))), 3x3 convolutions: (N, C, H, W) -> the same."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv(width, width, 3, norm=True),
            *conv(width, width, 3, norm=True, slope=None),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


def conv(
    a: int,
    b: int,
    kernel: int,
    stride: int = 1,
    *,
    norm: bool = False,
    slope: float | None = 0.0,
) -> list[nn.Module]:
    """Reflection padding, a convolution, instance norm without affine if asked, and a
    rectifier.

    slope: of a leaky rectifier; 0 is a plain one, None leaves it out.
    """
    pad = (kernel - 1) // 2
    layers: list[nn.Module] = [nn.ReflectionPad2d(pad), nn.Conv2d(a, b, kernel, stride)]
    if norm:
        layers.append(nn.InstanceNorm2d(b))
    if slope is not None:
        layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
    return layers


class PatchGAN(nn.Module):
    """The 70x70 discriminator of CycleGAN: (N, 3, H, W) -> one score per patch (N, 1,
    H/8 - 2, W/8 - 2).
    """

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
    """Discriminators on a picture and on its averages by 2, by 4 … (Wang et al. 2018,
    arXiv 1711.11585).

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


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """CycleGAN's initialisation: convolution weights from N(0, std), biases zero."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(m.weight, 0.0, std)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
