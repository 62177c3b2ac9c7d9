"""The closed forms of inference, against torch's of training and against answers known in advance."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as nnf

from egan.core import closed_form, phases
from egan.core.closed_form import REACH, VERNIER, Carriers
from egan.core.encryptgan import EncryptGANNetworks
from egan.core.inference import KeyedModel, fitted
from egan.core.networks import HIDE
from egan.core.resize import resized
from egan.core.tensors import to_unit, unit_phases
from egan.core.tiles import tiles

RNG = np.random.default_rng(11)


def picture(height: int = 64, width: int = 64) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def complex_parts(z: torch.Tensor) -> np.ndarray:
    """(1, 2, P, h, w) as the closed forms have it: (2P, h, w)."""
    return z[0].flatten(0, 1).numpy()


def test_cells_are_those_of_pixel_unshuffle() -> None:
    one = picture(64, 80)
    unshuffled = nnf.pixel_unshuffle(torch.from_numpy(one).permute(2, 0, 1), 4)
    cells = closed_form.cells_of(one)
    assert (cells == unshuffled.numpy()).all()
    assert (closed_form.picture_of(cells) == one).all()


def test_phases_and_their_inverse_agree_with_those_of_training() -> None:
    components = RNG.normal(0, 0.7, (11, 16, 16)).astype(np.float32)
    z = phases.phases_of(torch.from_numpy(components)[None], 2)
    turns = torch.atan2(z[:, 1], z[:, 0]) / (2 * math.pi)
    trained = (torch.round(turns * 256).int() % 256)[0].numpy()
    assert (closed_form.phase_bytes(components, 2) == trained).all()

    noisy = phases.directions(
        torch.randn(1, 26, 16, 16, generator=torch.Generator().manual_seed(1))
    )
    ours = closed_form.components_of(complex_parts(noisy), 2)
    assert np.allclose(ours, phases.components_of(noisy, 2)[0].numpy(), atol=1e-3)
    none = closed_form.components_of(complex_parts(noisy), 0)
    assert np.allclose(none, phases.components_of(noisy, 0)[0].numpy(), atol=1e-3)


def test_a_turn_misread_beside_its_neighbours_is_put_right() -> None:
    """Noise that takes a coarse phase past pi, and one that takes it three quarters of a fine turn off."""
    components = np.full((1, 8, 8), 0.98, np.float32)
    angle = np.concatenate((REACH * components, VERNIER * REACH * components))
    angle[0, 2, 2] += 0.7
    angle[0, 5, 5] -= 0.75 * 2 * math.pi / VERNIER
    z = np.concatenate((np.cos(angle), np.sin(angle)))
    assert np.allclose(closed_form.components_of(z, 1), components, atol=1e-4)


def test_the_median_of_the_cells_around() -> None:
    planes = RNG.normal(size=(2, 7, 9)).astype(np.float32)
    wide = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), (1, 2))
    expected = np.median(windows, axis=(3, 4))
    assert (closed_form.median_around(planes) == expected).all()


def test_unit_phases_and_turning_back_undo_the_lock() -> None:
    a, k = (RNG.integers(0, 256, (3, 4, 4), dtype=np.uint8) for _ in range(2))
    expected = complex_parts(unit_phases(torch.from_numpy(a)[None]))
    assert (closed_form.unit_phases(a) == expected).all()
    locked = closed_form.unit_phases(a + k)
    assert np.allclose(closed_form.turned_back(locked, k), expected, atol=1e-6)


def test_measuring_agrees_with_training(tiny_model: EncryptGANNetworks) -> None:
    one = picture()
    measured = tiny_model.F.decoder.measure(to_unit(one[None]))
    ours = closed_form.directions(tiny_model.carriers("F").measure(one))
    assert np.allclose(ours, complex_parts(measured), atol=1e-3)


def test_rounding_agrees_with_training_to_the_last_level(
    tiny_model: EncryptGANNetworks,
) -> None:
    values = RNG.uniform(-9, 264, (48, 500))
    weight = tiny_model.carriers("F").weight
    trained = phases.round_against(torch.from_numpy(values), torch.from_numpy(weight))
    assert (closed_form.round_against(values, weight) == trained.numpy()).all()

    painted = RNG.uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    tensor = torch.from_numpy(painted).permute(0, 3, 1, 2) / 127.5 - 1
    trained = tiny_model.F.levels(tensor).permute(0, 2, 3, 1)
    differ = tiny_model.levels("F", painted) != trained.numpy()
    # float32 puts a value on the other side of a half now and then.
    assert differ.mean() < 1e-3


def test_what_carries_a_header_comes_out_even_and_costs_little(
    tiny_model: EncryptGANNetworks,
) -> None:
    painted = RNG.uniform(20, 235, (1, 64, 64, 3)).astype(np.float32)
    even = np.zeros((64, 64, 3), bool)
    even.reshape(-1)[::37] = True
    bits = RNG.integers(0, 2, even.shape, dtype=np.uint8) * even
    made = tiny_model.levels("F", painted, even)[0]
    assert (made[even] % 2 == 0).all()
    plain = tiny_model.levels("F", painted)[0]

    carriers = tiny_model.carriers("F")
    exact = carriers.measure(painted[0])

    def error(levels: np.ndarray) -> float:
        return float(np.square(carriers.measure(levels) - exact).mean())

    known, overwritten = error(made | bits), error((plain & ~even.astype("u1")) | bits)
    assert error(plain) < known < overwritten


def test_even_levels_stay_in_range() -> None:
    values = np.array([[-7.0, 254.9, 255.0, 300.0, 0.4]] * 3)
    levels = closed_form.round_against(values, np.eye(3), np.ones((3, 5), bool))
    assert levels[0].tolist() == [0, 254, 254, 254, 0]


def test_resizing_agrees_with_torch_and_is_the_same_in_parts() -> None:
    one = RNG.uniform(-1, 1, (40, 56, 3)).astype(np.float32)
    for size in ((160, 224), (16, 24), (64, 64), (20, 200), (40, 56)):
        tensor = torch.from_numpy(one).permute(2, 0, 1)[None]
        expected = nnf.interpolate(
            tensor, size, mode="bilinear", antialias=True, align_corners=False
        )
        whole = resized(one, size)
        assert np.allclose(whole, expected[0].permute(1, 2, 0).numpy(), atol=1e-5)
        part = resized(one, size, slice(3, 14), slice(5, 16))
        assert (part == whole[3:14, 5:16]).all()


def test_tiles_cover_a_picture_once_with_borders() -> None:
    for height, width, most in ((1024, 768, 400_000), (64, 2048, 60_000), (96, 96, 1)):
        count = np.zeros((height, width), int)
        for rows, columns in tiles(height, width, most, 64, 16):
            count[rows.own(), columns.own()] += 1
            for span, side in ((rows, height), (columns, width)):
                assert span.low == max(span.start - 64, 0)
                assert span.high == min(span.stop + 64, side)
                assert span.start % 16 == 0
            if most > 1:
                outer = (rows.high - rows.low) * (columns.high - columns.low)
                assert outer <= most
        assert (count == 1).all()
    assert len(tiles(256, 256, 256 * 256, 64, 16)) == 1


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egan.core.inference.LARGEST_TILE", 84_000)


def both_ways(model: KeyedModel, height: int, width: int) -> list[np.ndarray]:
    """A paint, a decode and a key image of a picture of noise."""
    random = np.random.default_rng(3)
    one = random.integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    key = random.integers(0, 256, (1, 64, 64, 3), dtype=np.uint8)
    shape = (1, *model.keystream_shape(height, width))
    k = random.integers(0, 256, shape, dtype=np.uint8)
    return [
        model.paint("F", one, key, k),
        model.decrypt(one, key, k),
        model.key_images(one, model.options.public_layers),
    ]


def test_tiles_give_what_the_whole_would(
    tiny_model: EncryptGANNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = both_ways(tiny_model, 320, 288)
    seen: list[tuple[int, int]] = []
    run = tiny_model.run

    def spy(stage: str, *inputs: np.ndarray) -> list[np.ndarray]:
        seen.append(inputs[0].shape[-2:])
        return run(stage, *inputs)

    monkeypatch.setattr(tiny_model, "run", spy)
    monkeypatch.setattr("egan.core.inference.LARGEST_TILE", 84_000)
    parts = both_ways(tiny_model, 320, 288)
    assert len(seen) == 9
    assert np.abs(parts[0] - whole[0]).max() < 1e-2
    for part, one in zip(parts[1:], whole[1:], strict=True):
        assert np.abs(part.astype(int) - one).max() <= 1
        assert (part != one).mean() < 1e-3


def test_progress_counts_the_tiles(
    tiny_model: EncryptGANNetworks, small_tiles: None
) -> None:
    one = picture(320, 288)[None]
    k = np.zeros((1, *tiny_model.keystream_shape(320, 288)), np.uint8)
    told: list[tuple[int, int]] = []
    tiny_model.paint("F", one, one, k, lambda done, of: told.append((done, of)))
    count = told[-1][1]
    assert count > 1
    assert told == [(i, count) for i in range(count + 1)]


def test_one_key_for_a_batch_is_each_picture_s() -> None:
    key = picture(16, 16)
    shared = np.broadcast_to(key, (3, 16, 16, 3))
    tile = tiles(64, 64, 64 * 64, 0, 16)[0]
    one = fitted(shared, slice(0, 3), (64, 64), tile)
    assert (one == fitted(shared.copy(), slice(0, 3), (64, 64), tile)).all()


def test_carriers_come_from_the_stored_tensors(tiny_model: EncryptGANNetworks) -> None:
    direct = tiny_model.F.decoder.direct[HIDE]
    made = Carriers.stored(direct.weight.numpy(), direct.bias.numpy())
    z = unit_phases(torch.from_numpy(RNG.integers(0, 256, (1, 13, 2, 2), dtype="u1")))
    laid = tiny_model.F.decoder.payload(z.flatten(1, 2))[0].numpy()
    ours = np.einsum("ij,jhw->ihw", made.matrix, complex_parts(z))
    assert np.allclose(ours + made.offset[:, None, None], laid, atol=1e-5)


def test_bands_are_rounded_as_the_whole_is(
    tiny_model: EncryptGANNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    painted = RNG.uniform(0, 255, (1, 96, 64, 3)).astype(np.float32)
    even = RNG.random((96, 64, 3)) < 0.05
    whole = tiny_model.levels("F", painted, even)
    monkeypatch.setattr("egan.core.inference.CELLS", 50)
    assert (tiny_model.levels("F", painted, even) != whole).mean() < 1e-3
