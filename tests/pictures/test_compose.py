"""Pasting: notes bound to their pixels, and a word about what is lost by cutting and
shrinking.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import numpy as np
import pytest
from conftest import smooth
from PIL import Image

from egan.errors import EganError
from egan.pictures import files
from egan.pictures.boxes import CHUNK, boxes_text, noted_boxes
from egan.pictures.compose import Place, Recipe, fit_cover
from egan.pictures.files import Loaded
from egan.pictures.output import png_bytes

COVER = Loaded(smooth(128, 160, 1), None, "cover.png")
MESSAGE = Loaded(smooth(24, 32, 2), None, "message.png")
AS_IT_IS = Recipe(Place(8, 8), cover_size="keep")


def composed() -> Loaded:
    pixels, text, _ = AS_IT_IS.apply(COVER, MESSAGE)
    return Loaded(pixels, None, "composite.png", text)


def test_a_note_is_found_in_its_own_pixels() -> None:
    picture = composed()
    assert noted_boxes(picture) == ((8, 8, 32, 24),)
    assert not picture.notes


@pytest.mark.parametrize(
    "change",
    [
        np.fliplr,
        np.flipud,
        lambda a: np.rot90(a, 2),
        lambda a: np.rot90(a),
        lambda a: a[:, 16:],
        lambda a: np.roll(a, 1, axis=1),
        lambda a: a // 2,
        lambda a: np.repeat(np.repeat(a, 2, 0), 2, 1),
    ],
)
def test_a_note_of_other_pixels_is_dropped_with_a_warning(
    change: Callable[[np.ndarray], np.ndarray],
) -> None:
    picture = composed()
    picture.pixels = change(picture.pixels)
    assert noted_boxes(picture) == ()
    (note,) = picture.notes
    assert note.warning
    assert str(note).startswith("composite.png was changed")
    assert "egan compose" in str(note)
    assert noted_boxes(picture) == ()
    assert len(picture.notes) == 1, "said once"


def test_a_note_of_the_first_version_is_bound_to_nothing() -> None:
    picture = composed()
    picture.text = {CHUNK: "[[8, 8, 32, 24]]"}
    assert noted_boxes(picture) == ()
    assert len(picture.notes) == 1


@pytest.mark.parametrize("text", ["tEXt", "zTXt", "iTXt"])
def test_a_lossless_copy_keeps_its_note(text: str) -> None:
    picture = composed()
    note = picture.text[CHUNK]
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    if text == "iTXt":
        info.add_itxt(CHUNK, note, zip=True)
    else:
        info.add_text(CHUNK, note, zip=text == "zTXt")
    buffer = io.BytesIO()
    Image.fromarray(picture.pixels).convert("RGBA").save(buffer, "PNG", pnginfo=info)
    again = files.picture_of(buffer.getvalue(), "copy.png")
    assert noted_boxes(again) == ((8, 8, 32, 24),)


def test_boxes_outside_of_their_own_picture_are_damage() -> None:
    pixels = COVER.pixels
    text = boxes_text(((150, 8, 32, 24),), pixels)
    with pytest.raises(EganError, match="are damaged"):
        noted_boxes(Loaded(pixels, None, "x.png", text))
    assert json.loads(text[CHUNK])["boxes"] == [[150, 8, 32, 24]]


def test_a_composite_is_composed_again_and_keeps_its_first_box() -> None:
    once = files.picture_of(png_bytes(composed().pixels, composed().text), "once.png")
    pixels, text, _ = Recipe(Place(100, 90)).apply(once, MESSAGE)
    twice = Loaded(pixels, None, "twice.png", text)
    assert noted_boxes(twice) == ((8, 8, 32, 24), (100, 90, 32, 24))


def words(recipe: Recipe, cover: Loaded, message: Loaded) -> list[str]:
    return [str(note) for note in recipe.apply(cover, message)[2]]


def test_what_is_cut_off_a_cover_is_told() -> None:
    wide = Loaded(smooth(64, 192, 1), None, "wide.png")
    (note,) = words(Recipe(cover_size="64"), wide, MESSAGE)
    assert note.startswith("wide.png is cut around its centre from 192x64 to 64x64")
    assert words(AS_IT_IS, COVER, MESSAGE) == []


def test_a_message_much_smaller_or_of_another_shape_is_told() -> None:
    large = Loaded(smooth(300, 400, 2), None, "large.png")
    (note,) = words(Recipe(size="100", cover_size="keep"), COVER, large)
    assert note.startswith("large.png is made 4.0 times smaller")
    assert "--cover-size 512" in note
    (note,) = words(Recipe(size="32x32", cover_size="keep"), COVER, MESSAGE)
    assert note.startswith("message.png becomes another shape, 32x24 to 32x32")
    assert words(Recipe(size="31", cover_size="keep"), COVER, MESSAGE) == []


def test_fit_cuts_a_cover_to_the_nearest_size_and_moves_no_pixel() -> None:
    odd = Loaded(smooth(135, 250, 3), None, "odd.png")
    whole, _, _ = Recipe(cover_size="keep").apply(odd, MESSAGE)
    assert whole.shape == odd.pixels.shape
    with pytest.raises(EganError, match="sides must be 64 or more"):
        Recipe(cover_size="63").apply(odd, MESSAGE)
    assert np.array_equal(fit_cover(odd, (240, 128)), odd.pixels[3:131, 5:245])
    pixels, _, notes = Recipe(Place(0, 0), cover_size="fit").apply(odd, MESSAGE)
    assert pixels.shape == (128, 240, 3)
    assert not notes
