"""Bits in the low frequencies of a picture's luma, which JPEG and resizing leave
readable (DESIGN 10).

Quantisation index modulation (Chen and Wornell 2001) of the lowest coefficients of
32x32 blocks: a coefficient moves most of the way to the nearest point of a lattice that
its symbol shifts. It is laid on the paint, before rounding, and what the carriers of
the default payload measure is restored, so the two do not disturb each other. Pilots,
known symbols among the others, tell whether there is anything, which rung of payload it
has, and how much the picture was blurred and brightened on its way.

Luma is float64 (H, W) in levels 0 to 255. "Positions" are the coefficients of all whole
blocks, block after block, the lowest of a block first. Phases and shifts are in parts
of a coefficient's step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from egan.core.closed_form import cells_of, picture_of

Floats = NDArray[np.float64]
Ratios = NDArray[np.float32]
Bits = NDArray[np.uint8]
Places = NDArray[np.int64]

BLOCK = 32
# JPEG's luma.
LUMA = np.array([0.299, 0.587, 0.114])
# Coefficients of a block that carry symbols, by their radius sqrt(u^2 + v^2).
COEFFICIENTS = 72
# The step of a coefficient is REACH / radius: higher frequencies move less, which looks
# better for the same payload. Below the radius FLATTEST steps grow no more.
REACH = 143.0
FLATTEST = 3.0
# How far a coefficient moves to its lattice point (distortion compensation).
COMPENSATION = 0.9
# Up to this radius a symbol has three bits, beyond it two.
THREE_BITS = 5.0
# Rounds of clipping, restoring coefficients and restoring carriers.
ROUNDS = 3
# One position in so many is a pilot.
PILOT_EVERY = 24
PILOTS = b"egan/2 pilots of rung "
RUNGS = 32
# Coefficients of a class, whose reliability is estimated as one.
CLASS = 9
# Cosines that the expectation for a class counts for.
TRUST = 24
# Gaussian blurs (standard deviation in pixels) and gains that are undone on trial.
BLURS = tuple(i / 10 for i in range(11))
GAINS = np.concatenate(([1.0], np.arange(0.84, 1.165, 0.01)))
# Standard deviations of the pilots' score; without a capsule the best of all trials
# stays below 5.
CERTAIN = 5.5
# By so much a blur or gain has to do better than the picture as it is.
PLAIN = 0.7


@lru_cache(maxsize=1)
def frequencies() -> tuple[Floats, Places, Places]:
    """Rows of the orthonormal DCT, and u and v (COEFFICIENTS,) of the coefficients."""
    u, v = (a.reshape(-1) for a in np.mgrid[:BLOCK, :BLOCK])
    order = np.lexsort((v, u, u * u + v * v))[1 : 1 + COEFFICIENTS]
    u, v = u[order], v[order]
    k = np.arange(max(u.max(), v.max()) + 1)[:, None]
    n = np.arange(BLOCK)
    rows = np.cos(np.pi * (2 * n + 1) * k / (2 * BLOCK)) * np.sqrt(2 / BLOCK)
    rows[0] /= np.sqrt(2)
    return rows, u, v


@lru_cache(maxsize=1)
def steps() -> Floats:
    """The lattice's step for each coefficient of a block (COEFFICIENTS,), in levels."""
    _, u, v = frequencies()
    return REACH / np.maximum(np.hypot(u, v), FLATTEST)


def coefficients(luma: Floats) -> Floats:
    """Coefficients (blocks, COEFFICIENTS) of the whole blocks of luma, row by row."""
    rows, u, v = frequencies()
    high, wide = (side // BLOCK for side in luma.shape)
    whole = luma[: high * BLOCK, : wide * BLOCK].reshape(high, BLOCK, wide, BLOCK)
    found = rows @ whole.transpose(0, 2, 1, 3) @ rows.T
    return found[:, :, u, v].reshape(-1, COEFFICIENTS)


def from_coefficients(values: Floats, height: int, width: int) -> Floats:
    """Luma (height, width) of coefficients, zero beside the whole blocks."""
    rows, u, v = frequencies()
    high, wide = height // BLOCK, width // BLOCK
    square = np.zeros((high, wide, len(rows), len(rows)))
    square[:, :, u, v] = values.reshape(high, wide, COEFFICIENTS)
    blocks = (rows.T @ square @ rows).transpose(0, 2, 1, 3)
    luma = np.zeros((height, width))
    luma[: high * BLOCK, : wide * BLOCK] = blocks.reshape(high * BLOCK, wide * BLOCK)
    return luma


def block_count(height: int, width: int) -> int:
    return (height // BLOCK) * (width // BLOCK)


class Layout(NamedTuple):
    """Which positions are pilots, and which hold symbols of three bits and of two."""

    pilots: Places
    three: Places
    two: Places

    @property
    def room(self) -> int:
        """Bits that the picture carries."""
        return 3 * len(self.three) + 2 * len(self.two)


@lru_cache(maxsize=8)
def layout(blocks: int) -> Layout:
    positions = np.arange(blocks * COEFFICIENTS)
    block, coefficient = np.divmod(positions, COEFFICIENTS)
    # Shifted from block to block, so that every frequency has pilots.
    pilot = (coefficient + 7 * block) % PILOT_EVERY == 0
    _, u, v = frequencies()
    three = (np.hypot(u, v) <= THREE_BITS)[coefficient]
    return Layout(
        positions[pilot], positions[~pilot & three], positions[~pilot & ~three]
    )


def pilot_shifts(rung: int, count: int) -> Floats:
    """The shifts of a rung's pilots, quarters of a step: the upper two bits of a byte of
    SHAKE-256 each.
    """
    stream = hashlib.shake_256(PILOTS + bytes([rung])).digest(count)
    return (np.frombuffer(stream, np.uint8) >> 6) / 4


def gray_shifts(bits: Bits) -> Floats:
    """Shifts (n,) of words (n, b): neighbours differ in one bit (Gray code)."""
    turned = np.bitwise_xor.accumulate(bits, axis=1)
    weights = 1 << np.arange(bits.shape[1])[::-1]
    return turned @ weights / (1 << bits.shape[1])


@lru_cache(maxsize=2)
def all_words(count: int) -> Bits:
    """All words of so many bits (2^count, count)."""
    places = np.arange(count)[::-1]
    return (np.arange(1 << count)[:, None] >> places & 1).astype(np.uint8)


def shifts(bits: Bits, rung: int, blocks: int) -> Floats:
    """The shift of each position's lattice (blocks, COEFFICIENTS) for bits (room,)."""
    plan = layout(blocks)
    out = np.empty(blocks * COEFFICIENTS)
    out[plan.pilots] = pilot_shifts(rung, len(plan.pilots))
    split = 3 * len(plan.three)
    out[plan.three] = gray_shifts(bits[:split].reshape(-1, 3))
    out[plan.two] = gray_shifts(bits[split:].reshape(-1, 2))
    return out.reshape(blocks, COEFFICIENTS)


def lay(
    paint: NDArray[np.float32], carriers: NDArray[np.floating], bits: Bits, rung: int
) -> NDArray[np.float32]:
    """A paint (H, W, 3) in levels with bits (room,) and a rung, 0 to 31, laid on it.

    carriers: (48, n), spanning all patterns of a cell by which the payload is measured.
    Both sides are multiples of 4. Rounding and clipping the result are left to the
    caller.
    """
    height, width, _ = paint.shape
    picture = paint.astype(np.float64)
    basis, _ = np.linalg.qr(carriers.astype(np.float64))
    shape = (-1, height // 4, width // 4)
    payload = basis.T @ cells_of(picture).reshape(len(basis), -1)
    shift = steps() * shifts(bits, rung, block_count(height, width))
    found = coefficients(picture @ LUMA)
    lattice = steps() * np.round((found - shift) / steps()) + shift
    wanted = found + COMPENSATION * (lattice - found)
    for _ in range(ROUNDS):
        picture = np.clip(picture, 0, 255)
        missing = wanted - coefficients(picture @ LUMA)
        picture += from_coefficients(missing, height, width)[..., None]
        cells = cells_of(picture).reshape(len(basis), -1)
        cells = cells + basis @ (payload - basis.T @ cells)
        picture = picture_of(cells.reshape(shape))
    return picture.astype(np.float32)


class Reading:
    """The symbols of a picture at every position, once its pilots are found.

    rung: from the pilots. score: their certainty, in standard deviations. phases:
    (blocks, COEFFICIENTS). kappa: the reliability of phases, as the concentration of a
    von Mises distribution around the true shift.
    """

    def __init__(self, found: Floats, rung: int, score: float) -> None:
        """found: coefficients (blocks, COEFFICIENTS), blur and gain undone."""
        self.rung, self.score = rung, score
        self.phases = found / steps()
        self.layout = layout(len(found))
        by_class = class_kappa(self.pilot_cosines(), self.layout.pilots)
        self.kappa = np.broadcast_to(by_class, found.shape)

    def pilot_cosines(self) -> Floats:
        pilots = self.layout.pilots
        known = pilot_shifts(self.rung, len(pilots))
        return np.cos(2 * np.pi * (self.phases.reshape(-1)[pilots] - known))

    def ratios(self) -> Ratios:
        """log P(bit = 0) / P(bit = 1) of all bits (room,)."""
        out = []
        for positions, count in ((self.layout.three, 3), (self.layout.two, 2)):
            near = self.nearness(positions, count)
            logs = self.kappa.reshape(-1)[positions][:, None] * near
            weight = np.exp(logs - logs.max(1, keepdims=True))
            ones = all_words(count).astype(np.float64)
            zero, one = weight @ (1 - ones), weight @ ones
            out.append(np.log((zero + 1e-12) / (one + 1e-12)).reshape(-1))
        return np.concatenate(out).astype(np.float32)

    def learn(self, posterior: Ratios) -> None:
        """Estimate kappa again from what a decoder made of the ratios: (room,).

        By frequency and by block, so that a part that was painted over counts less.
        """
        cosines = np.empty(self.phases.size)
        cosines[self.layout.pilots] = self.pilot_cosines()
        split = 3 * len(self.layout.three)
        for positions, said in (
            (self.layout.three, posterior[:split].reshape(-1, 3)),
            (self.layout.two, posterior[split:].reshape(-1, 2)),
        ):
            count = said.shape[1]
            logs = np.clip(said, -30, 30) @ (0.5 - all_words(count)).T
            weight = np.exp(logs - logs.max(1, keepdims=True))
            near = self.nearness(positions, count)
            cosines[positions] = (weight * near).sum(1) / weight.sum(1)
        by_class = class_kappa(cosines, np.arange(cosines.size))
        missing = (1 - cosines).reshape(self.phases.shape).sum(1)
        # A block's noise against the usual, drawn to it.
        drawn = 0.15 * missing.mean() + 1e-9
        place = (missing.mean() + drawn) / (missing + drawn)
        self.kappa = by_class * place[:, None]

    def nearness(self, positions: Places, count: int) -> Floats:
        """Cosine of phase against the shift of each word (n, 2^count)."""
        phases = self.phases.reshape(-1)[positions][:, None]
        return np.cos(2 * np.pi * (phases - gray_shifts(all_words(count))))


def class_kappa(cosines: Floats, positions: Places) -> Floats:
    """Kappa (COEFFICIENTS,) by class, from cosines at positions.

    Each class is drawn to the mean that noise of one level in all coefficients would
    give.
    """
    kind = positions % COEFFICIENTS // CLASS
    sums = np.bincount(kind, cosines, COEFFICIENTS // CLASS)
    counts = np.bincount(kind, minlength=COEFFICIENTS // CLASS)
    mean = max(sums.sum() / counts.sum(), 0.02)
    # The mean cosine of normal noise is exp(-2 pi^2 (noise / step)^2).
    noise = np.geomspace(0.1, 100, 200)[:, None]
    step = steps().reshape(-1, CLASS).mean(1)
    expected = np.exp(-2 * np.pi**2 * (noise / step) ** 2)
    nearest = np.abs(expected @ counts / counts.sum() - mean).argmin()
    means = (sums + TRUST * expected[nearest]) / (counts + TRUST)
    return np.repeat(concentration(means), CLASS)


def concentration(mean: Floats) -> Floats:
    """Kappa of a von Mises distribution from its mean cosine (Banerjee et al. 2005)."""
    mean = np.clip(mean, 0, 0.995)
    return mean * (2 - mean**2) / (1 - mean**2)


def deblurred(luma: Floats, blurs: tuple[float, ...]) -> Iterator[Floats]:
    """The luma with each blur undone; edges mirrored, no frequency raised above 4."""
    if not any(blurs):
        yield luma
        return
    height, width = luma.shape
    mirrored = np.concatenate((luma, luma[::-1]))
    spectrum = np.fft.rfft2(np.concatenate((mirrored, mirrored[:, ::-1]), 1))
    down, across = np.fft.fftfreq(2 * height), np.fft.rfftfreq(2 * width)
    square = down[:, None] ** 2 + across**2
    for blur in blurs:
        gain = np.exp(np.minimum(2 * np.pi**2 * blur**2 * square, np.log(4)))
        sharp = np.fft.irfft2(spectrum * gain, (2 * height, 2 * width))
        yield sharp[:height, :width] if blur else luma


def quick_look(luma: Floats) -> Reading | None:
    """`find` without undoing blurs and gains: for a picture as it was laid, and to try
    many sizes.
    """
    return find(luma, (0.0,), np.ones(1))


def find(
    luma: Floats, blurs: tuple[float, ...] = BLURS, gains: Floats = GAINS
) -> Reading | None:
    """The symbols in a picture of its original size; None where no pilots are seen.

    Of all blurs and gains those are taken that bring out the pilots best.
    """
    blocks = block_count(*luma.shape)
    if not blocks:
        return None
    pilots = layout(blocks).pilots
    step = steps()[pilots % COEFFICIENTS]
    known = np.array([pilot_shifts(rung, len(pilots)) for rung in range(RUNGS)])
    wanted = np.exp(-2j * np.pi * known).T * np.sqrt(2 / len(pilots))
    best: tuple[float, float, int, Floats] = (-1.0, 0.0, 0, np.empty(0))
    for trial, plain in enumerate(deblurred(luma, blurs)):
        found = coefficients(plain)
        phases = found.reshape(-1)[pilots] / step / gains[:, None]
        scores = (np.exp(2j * np.pi * phases) @ wanted).real
        merit = scores.copy()
        if trial == 0:
            # The first of the blurs and gains is the picture as it is.
            merit[0] += PLAIN
        gain, rung = np.unravel_index(merit.argmax(), merit.shape)
        if merit[gain, rung] > best[0]:
            score = float(scores[gain, rung])
            best = float(merit[gain, rung]), score, int(rung), found / gains[gain]
    _, score, rung, found = best
    return Reading(found, rung, score) if score >= CERTAIN else None
