"""The networks: K, the generators of both families, and the PatchGAN discriminator.

Pictures are float tensors (N, 3, H, W) in [-1, 1], H and W multiples of 16. The rule of the locked family: between a
generator's encoder and its decoder passes one tensor of phases and nothing else, so the lock cannot be walked round.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

CELL = 4  # the encoders work on 4x4 cells: 48 numbers of RGB each
KEY_LAYERS = 6
REACH = 2.5  # radians: an encoder's angle stays inside of this, away from the wrap at pi


def float32(device: torch.device) -> torch.autocast:
    """A region without autocast: half precision in a last layer would eat a low-amplitude payload."""
    return torch.autocast(device.type, enabled=False)


class KeyNetwork(nn.Module):
    """K: six modules Conv(4x4, stride 2)-ReLU-InstanceNorm and one fully connected layer (DESIGN 2).

    Trained to tell X from Y, then frozen. The mean over the last map stands before the fully connected layer, so K
    takes any size from 64 up.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [3] + [width * min(2**i, 4) for i in range(KEY_LAYERS)]
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))
        self.classifier = nn.Linear(widths[-1], 2)

    def features(self, picture: Tensor, last: int = KEY_LAYERS) -> list[Tensor]:
        """Post-ReLU activations of layers 1 to `last`: (N, C_i, H/2^i, W/2^i), each >= 0."""
        out, h = [], picture
        for conv in list(self.convs)[:last]:
            h = nnf.relu(conv(h))
            out.append(h)
            if h.shape[-1] * h.shape[-2] > 1:
                h = nnf.instance_norm(h)
        return out

    def forward(self, picture: Tensor) -> Tensor:
        """Logits (N, 2): class 0 is domain X, class 1 is domain Y."""
        return self.classifier(self.features(picture)[-1].mean((2, 3)))

    def key_image(self, picture: Tensor, layers: Sequence[int]) -> Tensor:
        """The key image (N, 3, H, W) in [-1, 1], rounded to 8 bits.

        One channel per layer: its activations averaged over channels, scaled to the full range per picture, resized
        to the picture's size.
        """
        maps = self.features(picture, max(layers))
        channels = []
        for layer in layers:
            m = maps[layer - 1].float().mean(1, keepdim=True)
            low, high = m.amin((2, 3), keepdim=True), m.amax((2, 3), keepdim=True)
            m = (m - low) / (high - low).clamp_min(1e-6)
            channels.append(nnf.interpolate(m, picture.shape[-2:], mode="bilinear", align_corners=False))
        return torch.round(torch.cat(channels, 1) * 255) / 127.5 - 1


class Block(nn.Module):
    """A pre-activation residual block of two 3x3 convolutions, without normalisation: cells keep their absolute level."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        zero(self.b)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(nnf.silu(self.a(nnf.silu(x))))


class Encoder(nn.Module):
    """A picture and key images to phases: (N, C, H, W) -> unit complex numbers (N, 2, P, H/4, W/4), real part first.

    The phase is the sum of an angle and the argument of a complex number, both the sum of a linear map of the cell
    and of a small residual network. The angle part suits an encoder that chooses phases (F), the complex part one
    that measures them (G); each encoder has both because the backward cycle swaps the roles.
    """

    def __init__(self, channels: int, phases: int, width: int, blocks: int) -> None:
        super().__init__()
        cell = channels * CELL**2
        self.direct = nn.Conv2d(cell, 3 * phases, 1)
        self.stem = nn.Conv2d(cell, width, 3, padding=1)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.head = nn.Conv2d(width, 3 * phases, 3, padding=1)
        zero(self.head)

    def forward(self, x: Tensor) -> Tensor:
        x = nnf.pixel_unshuffle(x, CELL)
        h = nnf.silu(self.blocks(self.stem(x)))
        with float32(x.device):
            angle, re, im = (self.direct(x.float()) + self.head(h.float())).chunk(3, 1)
            angle = REACH * torch.tanh(angle / REACH)
            size = torch.rsqrt(re * re + im * im + 1e-6)
            re, im = re * size, im * size
            c, s = torch.cos(angle), torch.sin(angle)
            return torch.stack((re * c - im * s, re * s + im * c), 1)


class Decoder(nn.Module):
    """Phases and a key image to a picture: (N, 2, P, H/4, W/4), (N, 3, H, W) -> (N, 3, H, W), not clamped.

    A linear map of the phases (cosine, sine and angle) to the 48 numbers of a cell, plus a U-Net at 1/4, 1/8 and 1/16
    of the resolution over phases and key.
    """

    def __init__(self, phases: int, width: int, blocks: int) -> None:
        super().__init__()
        cell = 3 * CELL**2
        mid, deep = 2 * width, 3 * width
        self.direct = nn.Conv2d(3 * phases, cell, 1)
        self.stem = nn.Conv2d(3 * phases + cell, width, 3, padding=1)
        self.blocks1 = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.down1 = nn.Conv2d(width, mid, 2, stride=2)
        self.blocks2 = nn.Sequential(*(Block(mid) for _ in range(blocks)))
        self.down2 = nn.Conv2d(mid, deep, 2, stride=2)
        self.blocks3 = nn.Sequential(*(Block(deep) for _ in range(blocks)))
        self.up2 = nn.Conv2d(deep, mid, 1)
        self.blocks4 = nn.Sequential(*(Block(mid) for _ in range(blocks)))
        self.up1 = nn.Conv2d(mid, width, 1)
        self.blocks5 = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.head = nn.Conv2d(width, cell, 3, padding=1)

    def forward(self, z: Tensor, key: Tensor) -> Tensor:
        re, im = z[:, 0], z[:, 1]
        with float32(z.device):
            payload = torch.cat((re, im, torch.atan2(im, re) / math.pi), 1)
        h1 = self.blocks1(
            self.stem(torch.cat((payload, nnf.pixel_unshuffle(key, CELL).to(payload.dtype)), 1))
        )
        h2 = self.blocks2(self.down1(h1))
        h3 = self.blocks3(self.down2(h2))
        h2 = self.blocks4(h2 + nnf.interpolate(self.up2(h3), scale_factor=2, mode="nearest"))
        h1 = self.blocks5(h1 + nnf.interpolate(self.up1(h2), scale_factor=2, mode="nearest"))
        with float32(z.device):
            out = self.direct(payload) + self.head(nnf.silu(h1).float())
        return nnf.pixel_shuffle(out, CELL)


def quantise_phases(z: Tensor) -> Tensor:
    """Round unit complex numbers to the 256 phases exp(2 pi i a / 256), with a straight-through gradient."""
    step = 2 * math.pi / 256
    angle = torch.round(torch.atan2(z[:, 1], z[:, 0]).detach() / step) * step
    exact = torch.stack((torch.cos(angle), torch.sin(angle)), 1)
    return z + (exact - z).detach()


def rotate_phases(z: Tensor, k: Tensor, sign: int) -> Tensor:
    """Multiply z (N, 2, P, h, w) by exp(sign * 2 pi i k / 256); k bytes (N, P, h, w). lock: +1, unlock: -1."""
    angle = k.float() * (sign * 2 * math.pi / 256)
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack((z[:, 0] * c - z[:, 1] * s, z[:, 0] * s + z[:, 1] * c), 1)


class LockedGenerator(nn.Module):
    """F or G of family `egan`: encoder, phase lock, decoder (DESIGN 3)."""

    def __init__(
        self, key_in_encoder: bool, phases: int, width: int, encoder_blocks: int, decoder_blocks: int
    ) -> None:
        super().__init__()
        self.key_in_encoder = key_in_encoder
        self.encoder = Encoder(6 if key_in_encoder else 3, phases, width, encoder_blocks)
        self.decoder = Decoder(phases, width, decoder_blocks)

    def encode(self, picture: Tensor, key: Tensor) -> Tensor:
        """Phases before the lock, unit complex (N, 2, P, H/4, W/4). F's encoder does not look at the key."""
        return self.encoder(torch.cat((picture, key), 1) if self.key_in_encoder else picture)

    def decode(self, z: Tensor, key: Tensor) -> Tensor:
        return self.decoder(z, key)


class ResNetGenerator(nn.Module):
    """CycleGAN's generator (Zhu et al. 2017): (N, in, H, W) in [-1, 1] -> (N, 3, H, W) in [-1, 1].

    Reflection pad 3, 7x7 conv, two stride-2 3x3, residual blocks, two transposed 3x3, 7x7, tanh; instance norm
    without affine; weights drawn from N(0, 0.02).
    """

    def __init__(self, in_channels: int = 6, width: int = 64, blocks: int = 9) -> None:
        super().__init__()

        def norm(c: int) -> list[nn.Module]:
            return [nn.InstanceNorm2d(c), nn.ReLU(inplace=True)]

        w = width
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, w, 7), *norm(w)]
        for i in (1, 2):
            layers += [nn.Conv2d(w * i, w * i * 2, 3, 2, 1), *norm(w * i * 2)]
        layers += [ResNetBlock(w * 4) for _ in range(blocks)]
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


class ResNetBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3),
            nn.InstanceNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class PatchGAN(nn.Module):
    """The 70x70 discriminator of CycleGAN: (N, 3, H, W) -> one score per patch (N, 1, H/8 - 2, W/8 - 2)."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        w = width
        layers: list[nn.Module] = [nn.Conv2d(3, w, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
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


def zero(conv: nn.Conv2d) -> None:
    """Weights and bias to zero: a branch that starts as nothing."""
    for p in conv.parameters():
        nn.init.zeros_(p)


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """CycleGAN's initialisation: convolution weights from N(0, std), biases zero."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(m.weight, 0.0, std)
            if m.bias is not None:
                nn.init.zeros_(m.bias)
