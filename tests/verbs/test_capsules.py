"""Capsules in pictures: laid on a paint, sent through what happens to pictures, and found."""

from __future__ import annotations

import io

import numpy as np
import pytest
from conftest import psnr, smooth
from PIL import AvifImagePlugin, Image

from egan.core import modulation
from egan.crypto import capsule, keys
from egan.crypto.envelope import Refused, Signing
from egan.errors import EganError
from egan.pictures.files import readable
from egan.verbs import capsules
from egan.verbs.capsules import Cargo, Robust, Unreadable

NOTE = b"at nine"
BOX = (20, 30, 48, 48)


def rounded(paint: np.ndarray) -> np.ndarray:
    return np.clip(np.round(paint), 0, 255).astype(np.uint8)


def made_pair(seed: int) -> tuple[keys.PrivateKey, keys.PublicKey]:
    random = np.random.default_rng(seed)
    faces = random.integers(0, 256, (2, 160, 160, 3), np.uint8)
    return keys.make_pair(faces[0], faces[1], bytes(keys.ID_BYTES))


@pytest.fixture(scope="module")
def pair() -> tuple[keys.PrivateKey, keys.PublicKey]:
    return made_pair(1)


def carriers() -> np.ndarray:
    """One pattern of a cell without a mean: red and blue by columns, against each other."""
    pattern = np.zeros((3, 4, 4))
    pattern[0] = [1, -1, 1, -1]
    pattern[2] = -pattern[0]
    return pattern.reshape(48, 1)


def paint(height: int, width: int) -> np.ndarray:
    return (50 + 0.6 * smooth(height, width, 7)).astype(np.float32)


def laid(
    cargo: Cargo, height: int, width: int, robust: Robust = Robust.ANY
) -> tuple[np.ndarray, capsules.Laid]:
    under = paint(height, width)
    return capsules.lay(under, carriers(), rounded, cargo, robust)


@pytest.fixture(scope="module")
def cargo(pair) -> Cargo:
    return Cargo(smooth(160, 160, 9), (BOX,), NOTE, pair[1])


@pytest.fixture(scope="module")
def sent(cargo) -> tuple[np.ndarray, capsules.Laid]:
    return laid(cargo, 160, 160)


def through(picture: np.ndarray, form: str, **options: object) -> np.ndarray:
    out = io.BytesIO()
    Image.fromarray(picture).save(out, form, **options)
    return np.asarray(Image.open(out).convert("RGB"))


def resized(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    small = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(small)


def framed(picture: np.ndarray) -> np.ndarray:
    """A screenshot: the picture somewhere on a plain page."""
    page = np.full((picture.shape[0] + 90, picture.shape[1] + 40, 3), 17, np.uint8)
    page[50 : 50 + picture.shape[0], 30 : 30 + picture.shape[1]] = picture
    return page


WAYS = {
    "as it is": lambda p: p,
    "JPEG 75": lambda p: through(p, "JPEG", quality=75),
    "JPEG 60": lambda p: through(p, "JPEG", quality=60),
    "WebP 90": lambda p: through(p, "WEBP", quality=90),
    "three quarters, then JPEG": lambda p: through(resized(p, 120, 120), "JPEG"),
    "twice as large": lambda p: resized(p, 320, 320),
    "brighter": lambda p: (p * 1.05).clip(0, 255).astype(np.uint8),
    "a screenshot": framed,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_capsule_is_found_whatever_happened(way: str, sent, pair) -> None:
    found = capsules.find(WAYS[way](sent[0]), pair[0])
    assert found is not None
    assert found.size == (160, 160)
    assert found.opened.content.note == NOTE
    assert found.opened.content.boxes == (BOX,)
    assert found.rung == sent[1].rung
    assert found.opened.sender is None


def test_the_receiver_gets_what_the_sender_was_told(sent, cargo, pair) -> None:
    found = capsules.find(WAYS["JPEG 75"](sent[0]), pair[0])
    assert found is not None
    message = capsules.cut(found.picture, BOX)
    assert psnr(message, capsules.cut(cargo.composite, BOX)) == pytest.approx(
        sent[1].messages[0], abs=1e-6
    )
    assert f"{sent[1].messages[0]:.0f} dB" in sent[1].words


def test_jpeg_alone_leaves_room_for_a_better_copy(sent, cargo, pair) -> None:
    picture, told = laid(cargo, 160, 160, Robust.JPEG)
    assert told.rung > sent[1].rung
    assert told.messages[0] > sent[1].messages[0]
    assert capsules.find(WAYS["JPEG 75"](picture), pair[0]) is not None


@pytest.mark.parametrize("size", [(128, 176), (144, 240)])
def test_other_sizes_and_sides_that_are_no_whole_blocks(size, pair) -> None:
    height, width = size
    cargo = Cargo(smooth(height, width, 9), ((0, 0, 32, 32),), b"", pair[1])
    picture, _ = laid(cargo, height, width, Robust.JPEG)
    found = capsules.find(WAYS["JPEG 75"](picture), pair[0])
    assert found is not None
    assert found.size == (width, height)


def test_several_messages_and_a_signature(pair) -> None:
    boxes = ((0, 0, 40, 40), (100, 20, 80, 60))
    sender = made_pair(3)
    signing = Signing(sender[0])
    cargo = Cargo(smooth(256, 256, 9), boxes, b"", pair[1], signing)
    picture, told = laid(cargo, 256, 256, Robust.JPEG)
    assert len(told.messages) == 2
    found = capsules.find(WAYS["JPEG 75"](picture), pair[0])
    assert found is not None
    assert found.opened.sender is not None
    assert found.opened.sender.fingerprint == sender[1].fingerprint


def test_a_whole_picture_is_one_message(pair) -> None:
    whole = Cargo(smooth(192, 192, 9), ((0, 0, 192, 192),), b"", pair[1])
    picture, told = laid(whole, 192, 192)
    assert told.composite == told.messages[0]
    found = capsules.find(picture, pair[0])
    assert found is not None
    assert psnr(found.picture, whole.composite) == pytest.approx(told.composite)


def test_a_cover_without_messages_is_drawn(pair) -> None:
    bare = Cargo(smooth(192, 192, 9), (), b"", pair[1])
    content = capsules.filled(bare, 400)
    assert content is not None
    assert content.cover
    assert psnr(capsules.drawing(content), bare.composite) > 25


def test_another_key_is_told_that_it_is_the_wrong_one(sent) -> None:
    with pytest.raises(Unreadable, match="private key does not open"):
        capsules.find(sent[0], made_pair(5)[0])


def test_too_little_that_is_left_is_told(sent, pair) -> None:
    # Pilots are seen through much more noise than the code mends.
    noise = np.random.default_rng(6).normal(0, 6, sent[0].shape)
    noisy = (sent[0] + noise).clip(0, 255).astype(np.uint8)
    assert modulation.find(noisy @ modulation.LUMA) is not None
    with pytest.raises(Unreadable, match="too little is left"):
        capsules.find(noisy, pair[0])


def test_a_cropped_picture_shows_no_capsule(sent, pair) -> None:
    assert capsules.find(sent[0][7:, 9:], pair[0]) is None


@pytest.mark.parametrize("size", [(160, 160), (97, 131), (40, 300), (16, 16)])
def test_a_picture_without_a_capsule_shows_none(size, pair) -> None:
    assert capsules.find(smooth(*size, 8), pair[0]) is None


def test_a_rung_that_lies_is_unreadable_and_no_more(sent, cargo, pair) -> None:
    length = capsule.sealed_bytes(8, 25)
    sealed = capsule.seal(bytes(20), pair[1], length)
    bits = capsule.coded(sealed, modulation.layout(25).room)
    lying = rounded(modulation.lay(paint(160, 160), carriers(), bits, 12))
    with pytest.raises(Unreadable):
        capsules.find(lying, pair[0])


def test_hostile_content_of_an_authentic_capsule_is_refused(pair) -> None:
    room = modulation.layout(25).room
    length = capsule.sealed_bytes(12, 25)
    box = (0, 0, 64, 64)
    hostile = {
        "no picture": BARE._replace(boxes=(box,), messages=(b"\x20" + b"\xff" * 30,)),
        "too large": BARE._replace(size=(60000, 60000), cover=b"\x20abc"),
        "cover of another size": BARE._replace(cover=HUGE),
    }
    for name, content in hostile.items():
        plain = capsule.packed(content, None, pair[1])
        bits = capsule.coded(capsule.seal(plain, pair[1], length), room)
        picture = rounded(modulation.lay(paint(160, 160), carriers(), bits, 12))
        with pytest.raises(EganError):
            capsules.find(picture, pair[0])
            pytest.fail(name)
    bits = capsule.coded(capsule.seal(b"\xff" * 20, pair[1], length), room)
    picture = rounded(modulation.lay(paint(160, 160), carriers(), bits, 12))
    with pytest.raises(Refused):
        capsules.find(picture, pair[0])


BARE = capsule.Content((160, 160))
# A sequence header of 4096x4096 pixels before a frame.
HUGE = bytes.fromhex("a00a09381b7fffffeda04034")


def test_pictures_that_are_too_small_and_notes_that_are_too_long(pair) -> None:
    small = Cargo(smooth(64, 64, 1), (), b"", pair[1])
    with pytest.raises(EganError, match="too small for --robust"):
        laid(small, 64, 64)
    full = Cargo(smooth(160, 160, 1), (BOX,), bytes(range(256)), pair[1])
    with pytest.raises(EganError, match="no room"):
        laid(full, 160, 160)


def test_a_pillow_without_av1_is_told_of_on_both_sides(sent, pair, monkeypatch) -> None:
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    readable.cache_clear()
    try:
        cargo = Cargo(smooth(160, 160, 1), (BOX,), b"", pair[1])
        with pytest.raises(EganError, match="Pillow installed here cannot"):
            laid(cargo, 160, 160)
        with pytest.raises(EganError, match="Pillow installed here cannot"):
            capsules.find(sent[0], pair[0])
    finally:
        readable.cache_clear()


def test_sizes_that_a_picture_may_have_had_begin_with_the_key_s() -> None:
    sizes = capsules.sizes_like((192, 192), (256, 256))
    assert sizes[0] == (256, 256)
    assert (192, 192) not in sizes
    assert all(w == h for w, h in sizes)
    assert (640, 480) in capsules.sizes_like((320, 240), (256, 256))
    assert (640, 480) in capsules.sizes_like((801, 601), (256, 256))
