"""Miniatures: as small as asked, near to the picture, and nothing hostile is decoded."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import psnr, smooth

from egan.errors import EganError
from egan.pictures import miniature


@pytest.mark.parametrize("budget", [40, 120, 400])
def test_a_miniature_keeps_to_its_budget(budget: int) -> None:
    made = miniature.fit(smooth(64, 64, 1), budget)
    assert made is not None
    assert len(made) <= budget


def test_more_bytes_are_nearer_to_the_picture() -> None:
    picture = smooth(48, 80, 2)
    scores = []
    for budget in (40, 100, 300):
        made = miniature.fit(picture, budget)
        assert made is not None
        drawn = miniature.draw(made, 80, 48)
        assert drawn.shape == picture.shape
        scores.append(psnr(drawn, picture))
    assert scores == sorted(scores)
    assert scores[-1] > 40


def test_nothing_fits_into_a_few_bytes() -> None:
    assert miniature.fit(smooth(64, 64, 1), 8) is None


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 64), (600, 20)])
def test_every_shape_comes_back(size: tuple[int, int]) -> None:
    height, width = size
    made = miniature.fit(smooth(height, width, 3), 5000)
    assert made is not None
    assert miniature.draw(made, width, height).shape == (height, width, 3)


def test_a_small_frame_needs_no_header_of_its_own() -> None:
    made = miniature.fit(smooth(64, 64, 1), 300)
    assert made is not None
    assert made[0] < miniature.OWN_SEQUENCE


def test_a_sketch_has_the_light_of_sixteen_patches_and_one_colour() -> None:
    patches = np.repeat(np.repeat(np.arange(16).reshape(4, 4) % 8, 8, 0), 8, 1)
    grey = np.repeat((patches * 255 / 7).round().astype(np.uint8)[:, :, None], 3, 2)
    made = miniature.sketch(grey)
    # 0 to 7 in three bits each, twice, and a middle between two steps of colour.
    levels = int.from_bytes(made[1:], "big") >> 8
    assert levels == int("".join(f"{i % 8:03b}" for i in range(16)), 2)
    assert len(made) == miniature.SKETCH_BYTES
    drawn = miniature.draw(made, 32, 32).astype(int)
    centres = slice(4, None, 8)
    assert np.abs(drawn[centres, centres] - grey[centres, centres]).max() < 24
    orange = np.full((60, 90, 3), (230, 140, 60), np.uint8)
    near = miniature.draw(miniature.sketch(orange), 90, 60)
    assert near.shape == orange.shape and psnr(near, orange) > 25


def test_sequence_headers_are_read_as_they_are_written() -> None:
    for size in ((1, 1), (64, 64), (300, 7), (512, 288)):
        assert miniature.size_of(miniature.sequence_header(*size)) == size


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x20",
        b"\x07abc",
        b"\0abc",
        bytes(9),
        b"\xa0" + bytes(100),
        b"\xa0\x0a\x7f",
        bytes([0xA0, 10, 3, 0, 0, 0, 0x32, 1, 0]),
    ],
)
def test_damaged_miniatures_are_refused(data: bytes) -> None:
    with pytest.raises(EganError, match="damaged"):
        miniature.draw(data, 64, 64)


def test_a_frame_of_another_size_is_refused_before_it_is_decoded() -> None:
    huge = miniature.obu(miniature.SEQUENCE, miniature.sequence_header(60000, 60000))
    data = bytes([0xA0]) + huge + miniature.obu(miniature.FRAME, bytes(50))
    with pytest.raises(EganError, match="damaged"):
        miniature.draw(data, 64, 64)


def test_a_second_frame_is_refused() -> None:
    made = miniature.fit(smooth(64, 64, 1), 300)
    assert made is not None
    frame = miniature.obu(miniature.FRAME, made[1:])
    sequence = miniature.obu(miniature.SEQUENCE, miniature.sequence_header(64, 64))
    assert miniature.draw(bytes([0xA0]) + sequence + frame, 64, 64).shape == (64, 64, 3)
    for more in (frame, sequence + frame):
        with pytest.raises(EganError, match="damaged"):
            miniature.draw(bytes([0xA0]) + sequence + frame + more, 64, 64)


def test_a_side_beyond_all_reason_is_refused() -> None:
    with pytest.raises(EganError, match="damaged"):
        miniature.draw(b"\x20" + bytes(50), 2**16, 16)


def test_a_frame_that_was_cut_short_never_ends_in_a_traceback() -> None:
    made = miniature.fit(smooth(64, 64, 1), 300)
    assert made is not None
    for end in range(1, len(made), 20):
        try:
            drawn = miniature.draw(made[:end], 64, 64)
        except EganError:
            continue
        assert drawn.shape == (64, 64, 3)
    assert np.array_equal(miniature.draw(made, 64, 64), miniature.draw(made, 64, 64))
