"""Conversions between arrays of bytes and tensors.

Pictures are uint8 arrays (N, H, W, 3) outside of the networks and float32 tensors
(N, 3, H, W) in [-1, 1] inside: level v is v / 127.5 - 1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from egan.core.model import Pictures


def to_unit(pictures: Pictures, device: str | torch.device = "cpu") -> Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [-1, 1]."""
    # A copy, because torch wants writable memory.
    t = torch.from_numpy(np.array(pictures)).to(device)
    return t.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_bytes(pictures: Tensor) -> Pictures:
    """float (N, 3, H, W) to uint8 (N, H, W, 3): clamped to [-1, 1] and rounded."""
    return as_arrays(((pictures.float().clamp(-1, 1) + 1) * 127.5).round())


def as_arrays(levels: Tensor) -> Pictures:
    """Whole levels as floats (N, 3, H, W) to uint8 (N, H, W, 3)."""
    return levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def unit_phases(b: Tensor) -> Tensor:
    """Bytes (N, P, h, w) to exp(2 pi i b / 256) as (N, 2, P, h, w), from a table of 256
    float32 values.
    """
    angle = torch.arange(256, dtype=torch.float64, device=b.device) * (
        2 * math.pi / 256
    )
    table = torch.stack((torch.cos(angle), torch.sin(angle))).float()
    return table[:, b.int()].transpose(0, 1)


def fit_keys(keys: Pictures, size: tuple[int, int], device: torch.device) -> Tensor:
    """Key images as floats, resized to `size` (bilinear, antialiased) where they
    differ.
    """
    # One key that is broadcast over a batch is converted once.
    shared = keys.strides[0] == 0
    key = to_unit(keys[:1] if shared else keys, device)
    if key.shape[-2:] != size:
        key = nnf.interpolate(
            key, size, mode="bilinear", antialias=True, align_corners=False
        )
    return key.expand(len(keys), -1, -1, -1)
