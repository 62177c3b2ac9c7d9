"""The arithmetic of phases with gradients, for training. Inference has
`egan.core.closed_form`, and tests check that both agree.

Phases are unit complex numbers (N, 2, P, h, w): P for each cell of a picture.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as nnf
from torch import Tensor

from egan.core.closed_form import (
    COMPANDED,
    LARGEST,
    NEIGHBOUR,
    REACH,
    SURPRISE,
    VERNIER,
)


def directions(parts: Tensor) -> Tensor:
    """Complex numbers (N, 2P, h, w), real parts first, to unit ones (N, 2, P, h, w)."""
    re, im = parts.chunk(2, 1)
    size = torch.rsqrt(re * re + im * im + 1e-6)
    return torch.stack((re * size, im * size), 1)


def room_beside(base: Tensor, painted: Tensor) -> Tensor:
    """The scale (N, 1, h, w), at most 1, by which a cell's paint (N, 48, h, w) fits
    into [-1, 1] together with its carriers.

    Clipping would remove payload. Scaled paint stays orthogonal to the carriers;
    clipped paint would not.
    """
    room = 1 - base * torch.sign(painted)
    return (
        (room.clamp_min(0) / painted.abs().clamp_min(1e-6))
        .amin(1, keepdim=True)
        .clamp_max(1)
    )


def round_against(values: Tensor, weight: Tensor) -> Tensor:
    """Whole numbers from 0 to 255 for the columns of values (n, M), so that error^T
    weight error is small; weight (n, n).

    It works as `egan.core.closed_form.round_against` does, on the values' device.
    """
    inverse, _ = torch.linalg.inv_ex(weight.double())
    upper = torch.linalg.cholesky_ex(inverse, upper=True)[0].float()
    upper = upper / upper.diagonal()[:, None]
    left = values.clone()
    for i in range(len(left)):
        exact = left[i].clone()
        left[i] = exact.round().clamp(0, 255)
        left[i + 1 :] -= upper[i, i + 1 :, None] * (exact - left[i])
    return left


def phases_of(components: Tensor, verniers: int) -> Tensor:
    """Components (N, C, h, w) as phases: unit complex numbers (N, 2, C + V, h, w), all
    but the verniers inside of REACH.

    The first V components, in [-1, 1], are written twice, as on a vernier scale: once
    over the whole circle and once VERNIER times finer, because the brightness of a cell
    needs more precision than one phase has. The others have no limit and are companded
    by R x / (1 + |x|), which gives small values the finer steps.
    """
    coarse = REACH * components[:, :verniers].clamp(-1, 1)
    rest = components[:, verniers:]
    angle = torch.cat((coarse, REACH * rest / (1 + rest.abs()), VERNIER * coarse), 1)
    return torch.stack((torch.cos(angle), torch.sin(angle)), 1)


def components_of(z: Tensor, verniers: int) -> Tensor:
    """The inverse of `phases_of` for measured phases.

    A fine phase allows several values, a turn apart. The chosen one is nearest to the
    coarse phase, measured round the circle, and to the median of the 3x3 cells around.
    The median counts at most SURPRISE, so neighbours cannot outvote a coarse phase that
    is exact.
    """
    angle = torch.atan2(z[:, 1], z[:, 0])
    coarse, rest, fine = angle.split((verniers, z.shape[2] - 2 * verniers, verniers), 1)
    rest = rest.clamp(-COMPANDED, COMPANDED)
    rest = rest / (REACH - rest.abs())
    if not verniers:
        return rest
    most = math.ceil(VERNIER * REACH / (2 * math.pi) + 0.5)
    turns = torch.arange(-most, most + 1, device=z.device, dtype=z.dtype).view(
        -1, 1, 1, 1, 1
    )
    # Shape: (turns, N, V, h, w).
    values = (2 * math.pi * turns + fine) / (VERNIER * REACH)
    with torch.no_grad():
        off = coarse - REACH * values
        off = VERNIER * (off - 2 * math.pi * torch.round(off / (2 * math.pi)))
        cost = off.square() + torch.where(values.abs() > LARGEST, 1e6, 0.0)
        likely = torch.gather(values, 0, cost.argmin(0, keepdim=True))[0]
        around = nnf.unfold(nnf.pad(likely, (1, 1, 1, 1), mode="replicate"), 3)
        median = around.unflatten(1, (verniers, 9)).median(2).values.view_as(likely)
        cost = cost + ((values - median) / NEIGHBOUR).square().clamp_max(SURPRISE)
        best = cost.argmin(0, keepdim=True)
    return torch.cat((torch.gather(values, 0, best)[0], rest), 1)


def quantise_phases(z: Tensor) -> Tensor:
    """Round unit complex numbers to the 256 phases exp(2 pi i a / 256), with a
    straight-through gradient.
    """
    step = 2 * math.pi / 256
    angle = torch.round(torch.atan2(z[:, 1], z[:, 0]).detach() / step) * step
    exact = torch.stack((torch.cos(angle), torch.sin(angle)), 1)
    return z + (exact - z).detach()


def rotate_phases(z: Tensor, k: Tensor, sign: int) -> Tensor:
    """Multiply z (N, 2, P, h, w) by exp(sign * 2 pi i k / 256); k bytes (N, P, h, w).
    lock: +1, unlock: -1.
    """
    angle = k.float() * (sign * 2 * math.pi / 256)
    c, s = torch.cos(angle), torch.sin(angle)
    return torch.stack((z[:, 0] * c - z[:, 1] * s, z[:, 0] * s + z[:, 1] * c), 1)
