"""A working codec before the first step: the linear maps of the generators start from two closed-form bases.

Source code: the principal components of the 4x4 cells of training composites, as angles, so that F's encoder and G's
decoder start as a linear analysis and synthesis. Channel code: orthonormal carriers in the chroma detail of a cell,
where eyes and photographs have little, so that F's decoder writes every phase and G's encoder reads it back.
Training then only has to improve both, and can spend its time on the disguise.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from egan.networks import CELL, LockedGenerator

QUANTILE_ANGLE = 2.2  # radians, before the encoder's soft limit, for the 99.8 % quantile of a component


def principal_components(pictures: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Mean (48,) and the first `count` principal directions (count, 48) of the cells of (N, 3, H, W)."""
    cells = cell_rows(pictures)
    mean = cells.mean(0)
    _, vectors = np.linalg.eigh(np.cov((cells - mean).T.numpy().astype(np.float64)))
    basis = torch.from_numpy(np.ascontiguousarray(vectors[:, ::-1].T[:count])).float()
    return mean, basis


def cell_rows(pictures: Tensor) -> Tensor:
    return nnf.pixel_unshuffle(pictures, CELL).permute(0, 2, 3, 1).reshape(-1, 3 * CELL**2)


def chroma_carriers(count: int) -> Tensor:
    """`count` orthonormal directions (count, 48) of an RGB cell, chroma of high frequency first, luma of high frequency last.

    The three lowest cosines of either chroma and the lowest ten of luma come at the very end, so the flower has them
    to itself for up to 32 carriers.
    """
    n = CELL
    dct = np.array([[math.cos(math.pi * (2 * i + 1) * k / (2 * n)) for i in range(n)] for k in range(n)])
    dct /= np.linalg.norm(dct, axis=1, keepdims=True)
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=float)
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    ranked = []
    for c in range(3):
        for u in range(n):
            for v in range(n):
                vector = np.einsum("c,y,x->cyx", colours[c], dct[u], dct[v]).ravel()
                late = u + v <= 1 if c else u + v <= 3
                ranked.append(((late, c == 0, -(u + v)), vector))
    ranked.sort(key=lambda item: item[0])
    return torch.from_numpy(np.stack([v for _, v in ranked[:count]])).float()


@torch.no_grad()
def start_codec(
    source: LockedGenerator, sink: LockedGenerator, composites: Tensor, amplitude: float = 5.0
) -> None:
    """Set the direct maps of source (F) and sink (G) so that sink undoes source through the disguise.

    composites (N, 3, H, W) in [-1, 1] give the principal components; amplitude is the size of a carrier in 8-bit
    levels per cell.
    """
    phases = source.encoder.direct.out_channels // 3
    mean, basis = principal_components(composites, phases)
    reach = torch.quantile(((cell_rows(composites) - mean) @ basis.T)[:200_000].abs(), 0.998, dim=0)
    gain = QUANTILE_ANGLE / reach

    encode = source.encoder.direct
    encode.weight.zero_()
    encode.bias.zero_()
    encode.weight[:phases, :, 0, 0] = basis * gain[:, None]
    encode.bias[:phases] = -(basis @ mean) * gain
    encode.bias[phases : 2 * phases] = 1.0

    decode = sink.decoder.direct
    decode.weight.zero_()
    decode.weight[:, 2 * phases :, 0, 0] = (basis / gain[:, None]).T * math.pi
    decode.bias.copy_(mean)

    carriers = chroma_carriers(2 * phases)
    a = amplitude / 127.5
    write = source.decoder.direct
    write.weight.zero_()
    write.bias.zero_()
    write.weight[:, : 2 * phases, 0, 0] = carriers.T * a
    read = sink.encoder.direct
    read.weight.zero_()
    read.bias.zero_()
    read.weight[phases:, : 3 * CELL**2, 0, 0] = carriers / a

    # The U-Nets start with one colour per cell, so no grid has to be unlearned; for F that is outside of the carriers.
    for generator, size in ((source, 1.0), (sink, 0.1)):
        head = generator.decoder.head
        flat = head.weight.unflatten(0, (3, CELL**2)).mean(1, keepdim=True) * (CELL * size)
        head.weight.copy_(flat.expand(-1, CELL**2, -1, -1, -1).flatten(0, 1))
        head.bias.zero_()
