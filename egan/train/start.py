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
from torch import Tensor, nn

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


def clear(linear: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Zero a 1x1 convolution; its weight (out, in) and bias as views to fill."""
    assert linear.bias is not None
    linear.weight.zero_()
    linear.bias.zero_()
    return linear.weight[:, :, 0, 0], linear.bias


@torch.no_grad()
def start_codec(
    source: LockedGenerator, sink: LockedGenerator, composites: Tensor, amplitude: float = 5.0
) -> None:
    """Set the direct maps of source (F) and sink (G) so that sink undoes source through the disguise.

    composites (N, 3, H, W) in [-1, 1] give the principal components; amplitude is the size of a carrier in 8-bit
    levels per cell.
    """
    phases = source.encoder.direct.out_channels // 3
    device = composites.device
    mean, basis = principal_components(composites.cpu(), phases)
    components = ((cell_rows(composites.cpu()) - mean) @ basis.T)[:200_000]
    gain = QUANTILE_ANGLE / torch.quantile(components.abs(), 0.998, dim=0).clamp_min(1e-3)
    carriers = chroma_carriers(2 * phases)
    level = amplitude / 127.5

    weight, bias = clear(source.encoder.direct)  # angles from components, argument 0
    weight[:phases] = (basis * gain[:, None]).to(device)
    bias[:phases] = (-(basis @ mean) * gain).to(device)
    bias[phases : 2 * phases] = 1.0
    weight, bias = clear(sink.decoder.direct)  # components from angles
    weight[:, 2 * phases :] = ((basis / gain[:, None]).T * math.pi).to(device)
    bias.copy_(mean)
    weight, _ = clear(source.decoder.direct)  # carriers from cosines and sines
    weight[:, : 2 * phases] = (carriers.T * level).to(device)
    weight, _ = clear(sink.encoder.direct)  # cosines and sines from carriers
    weight[phases:, : 3 * CELL**2] = (carriers / level).to(device)

    # The U-Nets start with one colour per cell, so no grid has to be unlearned, and F's is outside of the carriers.
    for generator, size in ((source, 1.0), (sink, 0.1)):
        head = generator.decoder.head
        flat = head.weight.unflatten(0, (3, CELL**2)).mean(1, keepdim=True) * (CELL * size)
        head.weight.copy_(flat.expand(-1, CELL**2, -1, -1, -1).flatten(0, 1))
        if head.bias is not None:
            head.bias.zero_()
