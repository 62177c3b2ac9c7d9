"""Bits in low frequencies: what is laid is read, and only that."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import smooth

from egan.core import modulation
from egan.core.closed_form import cells_of
from egan.core.modulation import LUMA, find, lay, layout

BLOCKS_128 = 16
# Of SHAKE-256 of b"egan/2 pilots of rung \0"
PILOTS = [0.25, 0.75, 0.75, 0.0, 0.75, 0.75, 0.0, 0.75]


def some_bits(blocks: int, seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 2, layout(blocks).room, np.uint8)


def chroma_carriers() -> np.ndarray:
    """Patterns of a cell that have no mean in any colour: (48, 8)."""
    random = np.random.default_rng(2)
    made = random.normal(size=(8, 3, 16))
    made -= made.mean(2, keepdims=True)
    made -= made.mean(1, keepdims=True)
    return made.reshape(8, 48).T


def painted(height: int, width: int, rung: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A picture with bits on it, not rounded, and the bits."""
    bits = some_bits(modulation.block_count(height, width))
    paint = (40 + 0.7 * smooth(height, width, 4)).astype(np.float32)
    laid = lay(paint, chroma_carriers(), bits, rung)
    return laid.astype(np.float64), bits


def wrong(reading: modulation.Reading, bits: np.ndarray) -> float:
    return float(np.mean((reading.ratios() < 0) != bits))


@pytest.mark.parametrize("size", [(128, 128), (144, 176), (160, 256)])
def test_bits_in_equal_bits_out(size: tuple[int, int]) -> None:
    picture, bits = painted(*size)
    exact = find(picture @ LUMA, (0.0,), np.ones(1))
    assert exact is not None
    assert wrong(exact, bits) == 0
    whole = find(np.round(picture) @ LUMA)
    assert whole is not None
    assert whole.rung == 3
    assert wrong(whole, bits) < 0.01


@pytest.mark.parametrize("rung", [0, 17, 31])
def test_pilots_name_the_rung(rung: int) -> None:
    picture, _ = painted(128, 128, rung)
    reading = find(picture @ LUMA)
    assert reading is not None
    assert reading.rung == rung


def test_what_the_carriers_measure_is_the_same_before_and_after() -> None:
    carriers = chroma_carriers()
    paint = smooth(128, 128, 4).astype(np.float32)
    laid = lay(paint, carriers, some_bits(BLOCKS_128), 0)
    assert np.abs(laid - paint).max() > 3
    before, after = (
        carriers.T @ cells_of(p.astype(float)).reshape(48, -1) for p in (paint, laid)
    )
    assert np.abs(after - before).max() < 1e-3


@pytest.mark.parametrize("seed", range(4))
def test_a_picture_without_a_capsule_is_never_taken_for_one(seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (128, 128, 3))
    flat = np.full((128, 128), float(64 * seed))
    for luma in (smooth(128, 192, seed) @ LUMA, noise @ LUMA, flat):
        assert find(luma) is None


def test_a_picture_smaller_than_a_block_has_no_capsule() -> None:
    assert find(np.zeros((31, 64))) is None


def test_brightness_is_undone() -> None:
    picture, bits = painted(128, 128)
    reading = find(0.9 * picture @ LUMA)
    assert reading is not None
    assert wrong(reading, bits) < 0.01


def test_a_blur_is_undone() -> None:
    picture, bits = painted(128, 128)
    luma = picture @ LUMA
    padded = np.pad(luma, 1, mode="symmetric")
    kernel = np.array([0.15, 0.7, 0.15])
    rows = sum(k * padded[i : i + 128] for i, k in enumerate(kernel))
    blurred = sum(k * rows[:, i : i + 128] for i, k in enumerate(kernel))
    reading = find(blurred)
    assert reading is not None
    assert wrong(reading, bits) < 0.05


def test_a_part_that_is_painted_over_counts_less_once_bits_are_known() -> None:
    picture, bits = painted(128, 128)
    picture[:32, :32] = 90
    reading = find(picture @ LUMA)
    assert reading is not None
    reading.learn(np.float32(20) * (1 - 2 * bits.astype(np.float32)))
    assert reading.kappa[0].mean() < 0.2 * reading.kappa[1:].mean()


def test_positions_pilots_and_words_are_the_same_for_ever() -> None:
    plan = layout(64)
    assert len(plan.pilots) == 192
    assert plan.room == 10365
    assert plan.pilots[:4].tolist() == [0, 24, 48, 89]
    assert modulation.pilot_shifts(0, 8).tolist() == PILOTS


def test_neighbouring_shifts_differ_in_one_bit() -> None:
    words = modulation.all_words(3)
    order = np.argsort(modulation.gray_shifts(words))
    around = np.roll(words[order], 1, 0)
    assert (words[order] != around).sum(1).tolist() == [1] * 8


def test_steps_fall_with_frequency() -> None:
    steps = modulation.steps()
    assert (np.diff(steps) <= 0).all()
    assert steps[0] == pytest.approx(modulation.REACH / modulation.FLATTEST)
