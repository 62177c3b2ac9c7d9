"""The arithmetic around the networks on plain arrays: cells, phases, carriers,
rounding. Nothing here is learned.

Inference of every runtime goes through these functions, one picture at a time, so a
picture comes out the same alone or in a batch. The torch versions in `egan.core.phases`
and `egan.core.networks` are for training, which needs gradients. A cell is 4x4 pixels
of RGB, 48 numbers in the order of torch's pixel_unshuffle: colour, row, column.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from egan.core.resize import resized

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

# Pixels of one side of a cell
CELL = 4
# Carrier weights are stored 32 times larger than used, so that Adam's step size fits
# them.
PAYLOAD = 1 / 32
# Relative cost of rounding error orthogonal to the carriers; error along them costs 1.
BESIDE = 0.03
# Radians: a component's phase stays inside of this, away from the wrap at pi.
REACH = 2.7
# The largest companded phase that is believed: beyond it noise would be blown up.
COMPANDED = 0.95 * REACH
# How much finer the second phase of a component is
VERNIER = 4
# How far a component usually is from the median around it
NEIGHBOUR = 0.12
# The most that being farther counts, in squared radians of a fine phase, where a turn
# is 39
SURPRISE = 20.0
# A component beyond this is no candidate.
LARGEST = 1.03

# Cells that are rounded together: their numbers stay in the processor's cache.
TOGETHER = 4096
# Rows of a cell whose errors are handed on in one matrix product
ROWS = 8


@dataclasses.dataclass(frozen=True, eq=False)
class Carriers:
    """The carriers of one generator: phases (2P,) lie in a cell as matrix @ phases +
    offset, on a scale of [-1, 1].

    matrix: float32 (48, 2P), cosines first. offset: float32 (48,).
    """

    matrix: Floats
    offset: Floats

    @classmethod
    def stored(cls, weight: Floats, bias: Floats) -> Carriers:
        """From the tensors of the decoder's linear map to hide: (48, 2P, 1, 1) and
        (48,).
        """
        matrix = weight.reshape(weight.shape[:2]).astype(np.float32)
        return cls(PAYLOAD * matrix, PAYLOAD * bias.astype(np.float32))

    @functools.cached_property
    def inverse(self) -> Floats:
        """The Moore-Penrose inverse (2P, 48). Raises LinAlgError for carriers that are
        not independent.
        """
        c = self.matrix.astype(np.float64)
        return (np.linalg.inv(c.T @ c) @ c.T).astype(np.float32)

    @functools.cached_property
    def beside(self) -> Floats:
        """The projection (48, 48) of a cell off the carriers."""
        q, _ = np.linalg.qr(self.matrix.astype(np.float64))
        return (np.eye(len(q)) - q @ q.T).astype(np.float32)

    @functools.cached_property
    def weight(self) -> Floats:
        """The cost of rounding errors, for `round_against`: (48, 48)."""
        return np.eye(len(self.beside), dtype=np.float32) - (1 - BESIDE) * self.beside

    def measure(self, picture: Pictures | Floats) -> Floats:
        """Complex numbers (2P, h, w), real parts first, in a picture (H, W, 3) of
        levels 0 to 255.

        By the inverse of the carriers: paint is orthogonal to them and does not count.
        """
        cells = cells_of(picture).astype(np.float32) / np.float32(127.5) - 1
        _, h, w = cells.shape
        offset = self.inverse @ self.offset
        found = self.inverse @ cells.reshape(len(cells), -1) - offset[:, None]
        return found.reshape(-1, h, w)


def cells_of(picture: NDArray) -> NDArray:
    """(H, W, 3) to cells (48, H/4, W/4)."""
    height, width, colours = picture.shape
    split = picture.reshape(height // CELL, CELL, width // CELL, CELL, colours)
    return split.transpose(4, 1, 3, 0, 2).reshape(-1, height // CELL, width // CELL)


def picture_of(cells: NDArray) -> NDArray:
    """Cells (48, h, w) to a picture (4h, 4w, 3)."""
    _, h, w = cells.shape
    split = cells.reshape(-1, CELL, CELL, h, w).transpose(3, 1, 4, 2, 0)
    return np.ascontiguousarray(split.reshape(h * CELL, w * CELL, -1))


def phase_bytes(components: Floats, verniers: int) -> Pictures:
    """Components (C, h, w) as phases in Z_256, uint8 (C + V, h, w), all inside of REACH
    but the verniers.

    The first V components, in [-1, 1], are written twice: once over the whole circle
    and once VERNIER times finer, as on a vernier scale, because the brightness of a
    cell needs more precision than one phase has. The others have no limit and are
    companded by R x / (1 + |x|), which gives small values the finer steps.
    """
    coarse = REACH * np.clip(components[:verniers], -1, 1)
    rest = components[verniers:]
    rest = REACH * rest / (1 + np.abs(rest))
    angle = np.concatenate((coarse, rest, VERNIER * coarse))
    return np.rint(angle * (128 / math.pi)).astype(np.int32).astype(np.uint8)


def unit_phases(phases: Pictures) -> Floats:
    """Bytes (P, h, w) to exp(2 pi i b / 256) as (2P, h, w), cosines first, from a table
    of 256 float32 values.
    """
    angle = np.arange(256) * (2 * math.pi / 256)
    circle = np.stack((np.cos(angle), np.sin(angle))).astype(np.float32)
    return np.concatenate((circle[0][phases], circle[1][phases]))


def directions(parts: Floats) -> Floats:
    """Complex numbers (2P, h, w), real parts first, to unit ones of the same shape."""
    re, im = np.split(parts, 2)
    size = 1 / np.sqrt(re * re + im * im + np.float32(1e-6))
    return np.concatenate((re * size, im * size), dtype=np.float32)


def turned_back(phases: Floats, keystream: Pictures) -> Floats:
    """Unit complex numbers (2P, h, w) times exp(-2 pi i k / 256), keystream bytes k (P,
    h, w): the lock undone.
    """
    re, im = np.split(phases, 2)
    c, s = np.split(unit_phases(keystream), 2)
    return np.concatenate((re * c + im * s, im * c - re * s))


def components_of(phases: Floats, verniers: int) -> Floats:
    """The inverse of `phase_bytes` for measured phases, unit complex (2(C + V), h, w):
    components (C, h, w).

    A fine phase leaves a few values open, a turn apart. The one taken is nearest to the
    coarse phase, measured round the circle, and to the median of the 3x3 cells around,
    for at most as much as SURPRISE: no neighbours can outvote a coarse phase that is
    exact.
    """
    re, im = np.split(phases, 2)
    angle = np.arctan2(im, re)
    count = len(angle) - verniers
    coarse, rest, fine = angle[:verniers], angle[verniers:count], angle[count:]
    rest = np.clip(rest, np.float32(-COMPANDED), np.float32(COMPANDED))
    rest = (rest / (REACH - np.abs(rest))).astype(np.float32, copy=False)
    if not verniers:
        return rest
    turn = 2 * math.pi
    most = math.ceil(VERNIER * REACH / turn + 0.5)
    candidates: list[tuple[NDArray, NDArray]] = []
    for turns in range(-most, most + 1):
        value = (turn * turns + fine) / (VERNIER * REACH)
        off = coarse - REACH * value
        off = VERNIER * (off - turn * np.rint(off / turn))
        cost = off * off
        cost[np.abs(value) > LARGEST] += 1e6
        candidates.append((value, cost))
    median = median_around(cheapest(candidates))
    for value, cost in candidates:
        step = (value - median) / NEIGHBOUR
        cost += np.minimum(step * step, SURPRISE)
    return np.concatenate((cheapest(candidates), rest), dtype=np.float32)


def cheapest(candidates: Sequence[tuple[NDArray, NDArray]]) -> NDArray:
    """Of pairs of values and costs, elementwise the value of least cost, the first of
    equal ones.
    """
    best, least = candidates[0][0].copy(), candidates[0][1].copy()
    for value, cost in candidates[1:]:
        better = cost < least
        np.copyto(best, value, where=better)
        np.copyto(least, cost, where=better)
    return best


def median_around(planes: NDArray) -> NDArray:
    """The median of the 3x3 cells around each of (V, h, w); the edge is repeated."""
    _, h, w = planes.shape
    wide = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    # Sort every column of three first, then take the median of the largest low, the
    # middle middle and the smallest high.
    a, b, c = (wide[:, i : i + h] for i in range(3))
    low, high = np.minimum(a, b), np.maximum(a, b)
    middle = np.maximum(low, np.minimum(high, c))
    low, high = np.minimum(low, c), np.maximum(high, c)
    lows, middles, highs = (
        [plane[..., i : i + w] for i in range(3)] for plane in (low, middle, high)
    )
    return middle_of(
        np.maximum(np.maximum(lows[0], lows[1]), lows[2]),
        middle_of(*middles),
        np.minimum(np.minimum(highs[0], highs[1]), highs[2]),
    )


def middle_of(a: NDArray, b: NDArray, c: NDArray) -> NDArray:
    """The elementwise median of three."""
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def round_against(
    values: NDArray, weight: NDArray, even: Mask | None = None
) -> Pictures:
    """Levels uint8 for the columns of values (n, M), so that error^T weight error is
    small; weight (n, n).

    One row after the other is rounded, and the rows that are left take up what its
    error costs: the nearest-plane method of Babai (1986) for the lattice of the
    weight's Cholesky factor.

    even: bool (n, M), the numbers that come out even, since a header will add a random
    bit to them: they are rounded first, as if half a level was added already. The
    columns of one pattern are rounded together.
    """
    if even is None:
        return round_in_order(values, factor(weight), 0)
    out = np.empty(values.shape, np.uint8)
    packed = np.packbits(even, axis=0)
    patterns, which = np.unique(packed, axis=1, return_inverse=True)
    for i in range(patterns.shape[1]):
        here = np.flatnonzero(which.ravel() == i)
        pattern = even[:, here[0]]
        order = np.argsort(~pattern, kind="stable")
        picked = values[np.ix_(order, here)]
        handing_on = factor(weight[np.ix_(order, order)])
        out[np.ix_(order, here)] = round_in_order(picked, handing_on, pattern.sum())
    return out


def factor(weight: NDArray) -> Floats:
    """The unit upper triangle (n, n) of a weight (n, n): how much of a row's error the
    rows below it take up.
    """
    upper = np.linalg.cholesky(np.linalg.inv(weight.astype(np.float64))).T
    return (upper / np.diag(upper)[:, None]).astype(np.float32)


def round_in_order(values: NDArray, handing_on: Floats, even: int) -> Pictures:
    """`round_against` from the first row to the last, of which the first `even` come
    out even.
    """
    count, width = values.shape
    levels = np.empty(values.shape, np.uint8)
    for start in range(0, width, TOGETHER):
        part = slice(start, start + TOGETHER)
        left = np.array(values[:, part])
        error = np.empty((ROWS, left.shape[1]), left.dtype)
        for first in range(0, count, ROWS):
            last = min(first + ROWS, count)
            for i in range(first, last):
                if i < even:
                    pairs = np.clip(np.rint((left[i] - 0.5) / 2), 0, 127)
                    levels[i, part] = 2 * pairs
                    expected = 2 * pairs + 0.5
                else:
                    expected = np.clip(np.rint(left[i]), 0, 255)
                    levels[i, part] = expected
                np.subtract(left[i], expected, out=error[i - first])
                left[i + 1 : last] -= np.multiply.outer(
                    handing_on[i, i + 1 : last], error[i - first]
                )
            left[last:] -= handing_on[first:last, last:].T @ error[: last - first]
    return levels


def key_picture(
    maps: Sequence[Floats], size: tuple[int, int], levels: bool
) -> Pictures:
    """The key image (H, W, 3) of three maps of mean activations (h, w), each scaled to
    bytes and resized to `size` (H, W).

    levels: m to m / (1 + m), whatever the picture; else the range of each map is
    stretched to all of 0 to 255.
    """
    channels = []
    for m in maps:
        if levels:
            scaled = m / (1 + m)
        else:
            low, high = m.min(), m.max()
            scaled = (m - low) / max(high - low, np.float32(1e-6))
        plane = resized(scaled.astype(np.float32)[..., None], size)[..., 0]
        channels.append(np.rint(plane * 255).astype(np.uint8))
    return np.stack(channels, -1)
