"""Bilinear resizing, antialiased as torch and Pillow do it, of any part of a picture
alone to the same numbers.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def resized(
    picture: NDArray,
    size: tuple[int, int],
    rows: slice = slice(None),
    columns: slice = slice(None),
) -> Floats:
    """Rows and columns of a picture (h, w, C) at another size (H, W): float32."""
    if picture.shape[:2] == size:
        return picture[rows, columns].astype(np.float32)
    down = resized_rows(picture, size[0], rows)
    return resized_rows(down.transpose(1, 0, 2), size[1], columns).transpose(1, 0, 2)


def resized_rows(picture: NDArray, height: int, rows: slice) -> Floats:
    """Some rows of a picture (h, w, C) at another height."""
    length = len(picture)
    scale = length / height
    reach = max(scale, 1.0)
    centre = (np.arange(height)[rows] + 0.5) * scale
    first = np.maximum(np.floor(centre - reach + 0.5).astype(int), 0)
    last = np.minimum(np.floor(centre + reach + 0.5).astype(int), length)
    # Of row i the taps are first[i] to last[i]; what is beyond gets no weight.
    taps = first[:, None] + np.arange((last - first).max())
    weight = np.maximum(1 - np.abs(taps + 0.5 - centre[:, None]) / reach, 0)
    weight[taps >= last[:, None]] = 0
    weight = (weight / weight.sum(1, keepdims=True)).astype(np.float32)
    taps = np.minimum(taps, length - 1)
    out = np.zeros((len(centre), *picture.shape[1:]), np.float32)
    for tap, part in zip(taps.T, weight.T, strict=True):
        out += picture[tap] * part[:, None, None]
    return out
