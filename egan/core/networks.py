"""The networks: K and the generators of family `egan`.

Pictures are float tensors (N, 3, H, W) in [-1, 1], H and W multiples of 16. The rule of
the locked family: between a generator's encoder and its decoder passes one tensor of
phases and nothing else, so no path leads round the lock.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.core.closed_form import BESIDE, CELL, PAYLOAD
from egan.core.options import ModelOptions
from egan.core.phases import (
    components_of,
    directions,
    phases_of,
    room_beside,
    round_against,
)

KEY_LAYERS = 6
# Roles of a generator. F hides forward and reveals backward (verify); G the other way.
HIDE, REVEAL = 0, 1


def float32(device: torch.device) -> torch.autocast:
    """A region without autocast: half precision in a last layer would destroy a
    low-amplitude payload.
    """
    return torch.autocast(device.type, enabled=False)


class KeyNetwork(nn.Module):
    """K: six modules Conv(4x4, stride 2)-ReLU-InstanceNorm and one fully connected
    layer (DESIGN 2).

    It is trained to tell X from Y and then frozen. The mean over the last map stands
    before the fully connected layer, so K takes any size from 64 up.

    levels: unlike the published K. InstanceNorm, and scaling a key image to its own
    range, remove how light and how coloured a picture is, and a painter can only guess
    it. With levels there is neither: the modules are Conv-ReLU, and one curve scales
    the maps of all pictures.
    """

    def __init__(self, width: int = 32, levels: bool = False) -> None:
        super().__init__()
        self.levels = levels
        widths = [3] + [width * min(2**i, 4) for i in range(KEY_LAYERS)]
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths)
        )
        if levels:
            for conv in self.convs:
                nn.init.kaiming_uniform_(
                    cast(nn.Conv2d, conv).weight, nonlinearity="relu"
                )
        self.classifier = nn.Linear(widths[-1], 2)

    def features(self, picture: Tensor, last: int = KEY_LAYERS) -> list[Tensor]:
        """Post-ReLU activations of layers 1 to `last`: (N, C_i, H/2^i, W/2^i), each >=
        0.
        """
        out, h = [], picture
        for conv in list(self.convs)[:last]:
            h = nnf.relu(conv(h))
            out.append(h)
            if not self.levels and h.shape[-1] * h.shape[-2] > 1:
                h = nnf.instance_norm(h)
        return out

    def forward(self, picture: Tensor) -> Tensor:
        """Logits (N, 2): class 0 is domain X, class 1 is domain Y."""
        return self.classifier(self.features(picture)[-1].mean((2, 3)))

    def key_image(self, picture: Tensor, layers: Sequence[int]) -> Tensor:
        """The key image (N, 3, H, W) in [-1, 1], rounded to 8 bits.

        Each layer gives one channel: its activations averaged over channels, scaled to
        the full range of each picture (with levels: m to m / (1 + m) for all pictures),
        and resized to the picture's size. While K learns, rounding has a
        straight-through gradient.
        """
        maps = self.features(picture, max(layers))
        channels = []
        for layer in layers:
            m = maps[layer - 1].float().mean(1, keepdim=True)
            if self.levels:
                m = m / (1 + m)
            else:
                low, high = m.amin((2, 3), keepdim=True), m.amax((2, 3), keepdim=True)
                m = (m - low) / (high - low).clamp_min(1e-6)
            channels.append(
                nnf.interpolate(
                    m, picture.shape[-2:], mode="bilinear", align_corners=False
                )
            )
        exact = torch.cat(channels, 1)
        rounded = torch.round(exact * 255) / 255
        if exact.requires_grad:
            rounded = exact + (rounded - exact).detach()
        return 2 * rounded - 1


class Block(nn.Module):
    """A pre-activation residual block of two 3x3 convolutions. It has no normalisation,
    so cells keep their absolute level.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(width, width, 3, padding=1)
        self.b = nn.Conv2d(width, width, 3, padding=1)
        zero(self.b)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.b(nnf.silu(self.a(nnf.silu(x))))


class Encoder(nn.Module):
    """From a picture and key images (N, C, H, W) to phases: unit complex numbers (N, 2,
    P, H/4, W/4), real part first.

    To hide, it chooses the components of each cell and writes them as phases
    (`phases_of`). To reveal, it measures complex numbers in a painted picture and keeps
    their phases. Both are the sum of a linear map of the cell and of a small residual
    network, which the two roles share. Where measuring is exact (`Decoder.measure`), it
    only hides.
    """

    def __init__(
        self, channels: int, phases: int, verniers: int, width: int, blocks: int
    ) -> None:
        super().__init__()
        cell = channels * CELL**2
        # Channels of the output in the roles HIDE and REVEAL.
        outputs = (phases - verniers, 2 * phases)
        self.verniers = verniers
        self.direct = nn.ModuleList(nn.Conv2d(cell, n, 1) for n in outputs)
        self.stem = nn.Conv2d(cell, width, 3, padding=1)
        self.role = nn.Parameter(torch.zeros(2, width))
        self.blocks = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.head = nn.ModuleList(nn.Conv2d(width, n, 3, padding=1) for n in outputs)
        for head in self.head:
            zero(head)

    def forward(self, x: Tensor, role: int) -> Tensor:
        out = self.numbers(x, role)
        with float32(x.device):
            return phases_of(out, self.verniers) if role == HIDE else directions(out)

    def numbers(self, x: Tensor, role: int) -> Tensor:
        """Components (N, P - V, H/4, W/4) to hide, complex numbers (N, 2P, H/4, W/4) to
        reveal.
        """
        x = nnf.pixel_unshuffle(x, CELL)
        h = nnf.silu(self.blocks(self.stem(x) + self.role[role, :, None, None]))
        with float32(x.device):
            return self.direct[role](x.float()) + self.head[role](h.float())


class Decoder(nn.Module):
    """From phases and a key image to a picture: (N, 2, P, H/4, W/4), (N, 3, H, W) ->
    (N, 3, H, W), not clamped.

    A linear map to the 48 numbers of a cell, plus a U-Net at 1/4, 1/8 and 1/16 of the
    resolution that sees this map, the phases and the key. To hide, the linear map lays
    one carrier for each cosine and sine, and the U-Net paints in the room that the
    carriers leave. To reveal, the linear map adds up components.
    """

    def __init__(
        self, phases: int, verniers: int, width: int, blocks: int, exact: bool = False
    ) -> None:
        super().__init__()
        cell = 3 * CELL**2
        mid, deep = 2 * width, 3 * width
        self.verniers, self.exact = verniers, exact
        self.direct = nn.ModuleList(
            nn.Conv2d(n, cell, 1) for n in (2 * phases, phases - verniers)
        )
        self.stem = nn.Conv2d(2 * phases + 2 * cell, width, 3, padding=1)
        self.role = nn.Parameter(torch.zeros(2, width))
        self.blocks1 = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.down1 = nn.Conv2d(width, mid, 2, stride=2)
        self.blocks2 = nn.Sequential(*(Block(mid) for _ in range(blocks)))
        self.down2 = nn.Conv2d(mid, deep, 2, stride=2)
        self.blocks3 = nn.Sequential(*(Block(deep) for _ in range(blocks)))
        self.up2 = nn.Conv2d(deep, mid, 1)
        self.blocks4 = nn.Sequential(*(Block(mid) for _ in range(blocks)))
        self.up1 = nn.Conv2d(mid, width, 1)
        self.blocks5 = nn.Sequential(*(Block(width) for _ in range(blocks)))
        self.head = nn.ModuleList(
            nn.Conv2d(width, cell, 3, padding=1) for _ in (HIDE, REVEAL)
        )

    def forward(self, z: Tensor, key: Tensor, role: int) -> Tensor:
        with float32(z.device):
            phases = torch.cat((z[:, 0], z[:, 1]), 1)
            if role == HIDE:
                return self.hide(phases, key, self.beside_carriers())
            return self.reveal(components_of(z, self.verniers), phases, key)

    def hide(self, phases: Tensor, key: Tensor, beside: Tensor) -> Tensor:
        """A picture painted over the carriers of phases (N, 2P, h, w), cosines first.
        beside: the projection of `beside_carriers`.
        """
        with float32(phases.device):
            base = self.payload(phases)
        painted = self.paint(base, phases, key, HIDE)
        with float32(phases.device):
            painted = nnf.conv2d(painted, beside[:, :, None, None])
            return nnf.pixel_shuffle(base + painted * room_beside(base, painted), CELL)

    def reveal(self, components: Tensor, phases: Tensor, key: Tensor) -> Tensor:
        """The picture with these components (N, P - V, h, w), which were read from
        phases (N, 2P, h, w).
        """
        with float32(phases.device):
            base = self.direct[REVEAL](components)
        return nnf.pixel_shuffle(base + self.paint(base, phases, key, REVEAL), CELL)

    def paint(self, base: Tensor, phases: Tensor, key: Tensor, role: int) -> Tensor:
        """The U-Net's addition to base, in float32: cells (N, 48, h, w)."""
        # A phase that is misread by a turn must not reach the U-Net at full size.
        seen = base.clamp(-2, 2)
        h = torch.cat((seen, phases, nnf.pixel_unshuffle(key, CELL).to(base.dtype)), 1)
        h1 = self.blocks1(self.stem(h) + self.role[role, :, None, None])
        h2 = self.blocks2(self.down1(h1))
        h3 = self.blocks3(self.down2(h2))
        h2 = self.blocks4(
            h2 + nnf.interpolate(self.up2(h3), scale_factor=2, mode="nearest")
        )
        h1 = self.blocks5(
            h1 + nnf.interpolate(self.up1(h2), scale_factor=2, mode="nearest")
        )
        with float32(base.device):
            return self.head[role](nnf.silu(h1).float())

    def payload(self, phases: Tensor) -> Tensor:
        """The carriers (N, 48, h, w) of cosines and sines (N, 2P, h, w)."""
        return PAYLOAD * self.direct[HIDE](phases)

    def measure(self, picture: Tensor) -> Tensor:
        """The phases in a picture (N, 3, H, W) that this decoder painted to hide: unit
        complex numbers (N, 2, P, H/4, W/4).

        It uses the Moore-Penrose inverse of the carriers; paint is orthogonal to them,
        so it does not count.
        """
        with float32(picture.device):
            direct = cast(nn.Conv2d, self.direct[HIDE])
            carriers = PAYLOAD * direct.weight[:, :, 0, 0].float()
            inverse, _ = torch.linalg.inv_ex(carriers.T @ carriers)
            weight = inverse @ carriers.T
            bias = -PAYLOAD * weight @ cast(Tensor, direct.bias).float()
            cells = nnf.pixel_unshuffle(picture.float(), CELL)
            return directions(nnf.conv2d(cells, weight[:, :, None, None], bias))

    def beside_carriers(self) -> Tensor:
        """The projection (48, 48) of a cell off its carriers, so that nothing painted
        is taken for payload.

        Where measuring is exact, the gradient reaches the carriers through it;
        elsewhere it does not.
        """
        carriers = cast(nn.Conv2d, self.direct[HIDE]).weight[:, :, 0, 0].float()
        q, _ = torch.linalg.qr(carriers if self.exact else carriers.detach())
        return torch.eye(len(q), device=q.device) - q @ q.T

    @torch.no_grad()
    def levels(self, picture: Tensor) -> Tensor:
        """A painted picture (N, 3, H, W) in [-1, 1] on whole levels 0 to 255, still as
        floats.

        `round_against` puts the error of rounding where no carrier is, so the phases
        are measured with two thirds of the error that rounding to the nearest level
        leaves.
        """
        with float32(picture.device):
            beside = self.beside_carriers()
            weight = (
                torch.eye(len(beside), device=beside.device) - (1 - BESIDE) * beside
            )
            cells = nnf.pixel_unshuffle((picture.float() + 1) * 127.5, CELL)
            flat = cells.transpose(0, 1).flatten(1)
            rounded = (
                round_against(flat, weight)
                .view_as(cells.transpose(0, 1))
                .transpose(0, 1)
            )
            return nnf.pixel_shuffle(rounded, CELL)


class LockedGenerator(nn.Module):
    """F or G of family `egan`: encoder, phase lock, decoder (DESIGN 3), each in two
    roles.

    HIDE turns a picture of its own domain into one of the other domain that carries it;
    REVEAL turns it back. The cycle X-Y-X hides with F and reveals with G. The cycle
    Y-X-Y, which signs and verifies, hides with G and reveals with F.
    """

    def __init__(self, key_in_encoder: bool, options: ModelOptions) -> None:
        super().__init__()
        o = options
        self.key_in_encoder = key_in_encoder
        self.payload = (o.phases, o.verniers)
        self.exact = o.exact_measuring
        self.encoder = Encoder(
            6 if key_in_encoder else 3, o.phases, o.verniers, o.width, o.encoder_blocks
        )
        self.decoder = Decoder(
            o.phases, o.verniers, o.width, o.decoder_blocks, o.exact_measuring
        )

    def encode(self, picture: Tensor, key: Tensor) -> Tensor:
        """Phases before the lock, unit complex numbers (N, 2, P, H/4, W/4), of a
        picture to hide. F ignores the key.
        """
        return self.encoder(self.seen(picture, key), HIDE)

    def measure(self, picture: Tensor, key: Tensor, hider: LockedGenerator) -> Tensor:
        """Phases, unit complex numbers (N, 2, P, H/4, W/4), in a picture that `hider`
        painted.

        Where measuring is exact, the inverse of the carriers finds them, else the
        encoder. F ignores the key.
        """
        if self.exact:
            return hider.decoder.measure(picture)
        return self.encoder(self.seen(picture, key), REVEAL)

    def seen(self, picture: Tensor, key: Tensor) -> Tensor:
        return torch.cat((picture, key), 1) if self.key_in_encoder else picture

    def decode(self, z: Tensor, key: Tensor, role: int) -> Tensor:
        return self.decoder(z, key, role)

    def levels(self, painted: Tensor) -> Tensor:
        """A picture (N, 3, H, W) that `decode` painted to hide, rounded so that its
        payload stays: floats 0 to 255.
        """
        return self.decoder.levels(painted)


def zero(conv: nn.Module) -> None:
    """Weights and bias to zero: a branch that starts as nothing."""
    for p in conv.parameters():
        nn.init.zeros_(p)
