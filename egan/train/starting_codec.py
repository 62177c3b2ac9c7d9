"""A working codec before the first step: the linear maps of the generators start from
two closed-form bases.

Source code: the principal components of the 4x4 cells of training pictures, as phases,
so that one generator's encoder and the other's decoder start as a linear analysis and
synthesis. Channel code: orthonormal carriers in the chroma detail of a cell, where eyes
and photographs have little, so that one generator paints every phase and the other
reads it back. Training then only has to improve both, and can spend its time on the
disguise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor, nn

from egan.core.closed_form import CELL, PAYLOAD
from egan.core.networks import HIDE, REVEAL, LockedGenerator

# Size of an average component, in units of x in R x / (1 + |x|).
COMPANDING = 0.35
# Quantile of the components with a vernier: beyond 1.15 times this they are cut.
RANGE_QUANTILE = 0.9999


def principal_components(pictures: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (48,) and the first `count` principal directions (count, 48) of the cells of
    (N, 3, H, W).
    """
    cells = cell_rows(pictures)
    mean = cells.mean(0)
    _, vectors = np.linalg.eigh(np.cov((cells - mean).T.numpy().astype(np.float64)))
    basis = torch.from_numpy(np.ascontiguousarray(vectors[:, ::-1].T[:count])).float()
    return mean, basis


def cell_rows(pictures: Tensor) -> Tensor:
    return (
        nnf.pixel_unshuffle(pictures, CELL).permute(0, 2, 3, 1).reshape(-1, 3 * CELL**2)
    )


def chroma_carriers(count: int) -> Tensor:
    """`count` orthonormal directions (count, 48) of an RGB cell, chroma of high
    frequency first, luma of high frequency last.

    The three lowest cosines of either chroma and the lowest ten of luma come at the
    very end, so the flower has them to itself for up to 32 carriers.
    """
    ranked = sorted(
        ((u + v <= 1 if c else u + v <= 3), c == 0, -(u + v), c, u, v)
        for c in range(3)
        for u in range(CELL)
        for v in range(CELL)
    )
    return torch.from_numpy(
        np.stack([cosine(c, u, v) for *_, c, u, v in ranked[:count]])
    ).float()


def cosine(colour: int, u: int, v: int) -> NDArray[np.float64]:
    """One of the 48 orthonormal cosines of a cell: colour 0 is luma, 1 and 2 are
    chroma; u and v the frequencies.
    """
    waves = [
        np.cos(math.pi * (2 * np.arange(CELL) + 1) * k / (2 * CELL)) for k in (u, v)
    ]
    mix = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=float)[colour]
    vector = np.einsum("c,y,x->cyx", mix, *waves).ravel()
    return vector / np.linalg.norm(vector)


def component_sizes(components: Tensor, basis: Tensor, verniers: int) -> Tensor:
    """The divisor of each component (rows, count) that makes it an input of
    `phases_of`: (count,).

    For components with a vernier it is the range: the largest value seen but for a few,
    and never more than any cell can have.
    """
    few = components[:: max(1, len(components) // 200_000)]
    sizes = few.abs().mean(0) / COMPANDING
    if verniers:
        seen = 1.15 * torch.quantile(few[:, :verniers].abs(), RANGE_QUANTILE, dim=0)
        sizes[:verniers] = torch.minimum(seen, basis[:verniers].abs().sum(1))
    return sizes.clamp_min(1e-3)


def clear(linear: nn.Module) -> tuple[Tensor, Tensor]:
    """Zero a 1x1 convolution; its weight (out, in) and bias as views to fill."""
    assert isinstance(linear, nn.Conv2d)
    assert linear.bias is not None
    linear.weight.zero_()
    linear.bias.zero_()
    return linear.weight[:, :, 0, 0], linear.bias


@torch.no_grad()
def start_codec(
    source: LockedGenerator,
    sink: LockedGenerator,
    pictures: Tensor,
    amplitude: float = 4.0,
) -> None:
    """Set the linear maps of source (which hides) and sink (which reveals) so that sink
    undoes source through 8 bits.

    pictures (N, 3, H, W) in [-1, 1] are like those to hide, and give the principal
    components; amplitude is the size of a carrier in 8-bit levels per cell.
    """
    cell, (phases, verniers) = 3 * CELL**2, source.payload
    count = phases - verniers
    device = pictures.device
    mean, basis = principal_components(pictures.cpu(), count)
    sizes = component_sizes(
        (cell_rows(pictures.cpu()) - mean) @ basis.T, basis, verniers
    )
    carriers = chroma_carriers(2 * phases)
    level = amplitude / 127.5

    weight, bias = clear(source.encoder.direct[HIDE])
    weight[:, :cell] = (basis / sizes[:, None]).to(device)
    bias.copy_(-(basis @ mean) / sizes)
    weight, bias = clear(sink.decoder.direct[REVEAL])
    weight.copy_((basis * sizes[:, None]).T)
    bias.copy_(mean)
    # Carriers from cosines and sines.
    weight, _ = clear(source.decoder.direct[HIDE])
    weight.copy_(carriers.T * (level / PAYLOAD))
    # Cosines and sines from carriers.
    weight, _ = clear(sink.encoder.direct[REVEAL])
    weight[:, :cell] = (carriers / level).to(device)

    # The U-Nets start with one colour per cell, so no grid has to be unlearned, and out
    # of the carriers' way.
    for head, gain in (
        (source.decoder.head[HIDE], 1.0),
        (sink.decoder.head[REVEAL], 0.1),
    ):
        assert isinstance(head, nn.Conv2d)
        flat = head.weight.unflatten(0, (3, CELL**2)).mean(1, keepdim=True) * (
            CELL * gain
        )
        head.weight.copy_(flat.expand(-1, CELL**2, -1, -1, -1).flatten(0, 1))
        clear_bias(head)


def clear_bias(conv: nn.Conv2d) -> None:
    if conv.bias is not None:
        conv.bias.zero_()
