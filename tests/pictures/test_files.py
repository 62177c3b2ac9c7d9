"""Files in and out: the pixels of every mode that Pillow reads, writing whole or not at
all, and properties of headers, boxes and pasting.
"""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import smooth
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from egan.crypto import header
from egan.errors import EganError
from egan.pictures import atomic, compose, files
from egan.pictures.boxes import CHUNK, Box, boxes_text, noted_boxes
from egan.pictures.compose import Place
from egan.pictures.files import Loaded
from egan.pictures.output import png_bytes, write_output, write_private
from egan.pictures.sizes import parse_size

GREY = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
RGB = smooth(8, 8, 1)
ALPHA = np.linspace(0, 255, 64).round().astype(np.uint8).reshape(8, 8)


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, 2)


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    a = alpha[..., None] / 255
    return np.round(rgb * a + 255 * (1 - a)).astype(int)


def read(
    image: Image.Image | bytes, kind: str = "PNG", **options: object
) -> np.ndarray:
    """What egan sees of a picture: its pixels on white."""
    data = image
    if not isinstance(data, bytes):
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        data = buffer.getvalue()
    path = Path(os.environ["EGAN_TEST_FILE"])
    path.write_bytes(data)
    return files.flatten(files.read_picture(str(path))).astype(int)


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EGAN_TEST_FILE", str(tmp_path / "picture"))


def raw_png(
    width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b""
) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


# Every mode comes in


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_rgb(kind: str) -> None:
    assert np.array_equal(read(Image.fromarray(RGB), kind), RGB)


def test_rgb_lossless_webp() -> None:
    assert np.array_equal(read(Image.fromarray(RGB), "WEBP", lossless=True), RGB)


def test_rgba_on_white() -> None:
    image = Image.fromarray(np.dstack((RGB, ALPHA)))
    assert np.array_equal(read(image), on_white(RGB, ALPHA))
    assert np.array_equal(read(image, "TIFF"), on_white(RGB, ALPHA))
    assert np.array_equal(
        read(image, "WEBP", lossless=True, exact=True), on_white(RGB, ALPHA)
    )
    opaque = Image.fromarray(np.dstack((RGB, np.full_like(ALPHA, 255))))
    assert np.array_equal(read(opaque), RGB)


def test_grey_with_and_without_alpha() -> None:
    grey = Image.fromarray(GREY)
    assert np.array_equal(read(grey), three(GREY))
    with_alpha = Image.merge("LA", (grey, Image.fromarray(ALPHA)))
    assert np.array_equal(read(with_alpha), on_white(three(GREY), ALPHA))
    assert np.array_equal(
        read(grey, transparency=int(GREY[0, 5])),
        np.where(three(GREY) == GREY[0, 5], 255, three(GREY)),
    )


def test_one_bit() -> None:
    bits = GREY > 100
    assert np.array_equal(read(Image.fromarray(bits)), three(bits * 255))


def test_palette_with_and_without_transparency() -> None:
    palette = Image.fromarray(RGB).quantize(16)
    wanted = np.asarray(palette.convert("RGB"))
    indices = np.asarray(palette)
    assert np.array_equal(read(palette), wanted)
    assert np.array_equal(read(palette, "GIF"), wanted)
    clear = np.where((indices == 3)[..., None], 255, wanted)
    assert np.array_equal(read(palette, transparency=3), clear)
    half = bytes([255] * 3 + [128] + [255] * 12)
    alpha = np.where(indices == 3, 128, 255)
    assert np.array_equal(read(palette, transparency=half), on_white(wanted, alpha))


def test_sixteen_bits() -> None:
    assert np.array_equal(
        read(Image.fromarray(GREY.astype(np.uint16) * 257)), three(GREY)
    )
    assert np.array_equal(
        read(Image.fromarray(GREY.astype(np.uint16) * 257), "TIFF"), three(GREY)
    )
    for colour, samples in (
        (2, RGB),
        (6, np.dstack((RGB, np.full_like(ALPHA, 255)))),
        (4, np.dstack((GREY, ALPHA))),
    ):
        rows = (samples.astype(">u2") * 257).astype(">u2").reshape(8, -1)
        png = raw_png(8, 8, 16, colour, b"".join(b"\0" + row.tobytes() for row in rows))
        wanted = on_white(three(GREY), ALPHA) if colour == 4 else RGB
        assert np.array_equal(read(png), wanted), colour


def test_floats() -> None:
    assert np.array_equal(
        read(Image.fromarray(GREY.astype(np.float32) / 255), "TIFF"), three(GREY)
    )
    strange = np.array([[np.nan, -1, 0.5, 1]], dtype=np.float32)
    assert np.array_equal(
        read(Image.fromarray(strange), "TIFF")[0, :, 0], [0, 0, 128, 255]
    )


def test_cmyk_and_ycbcr() -> None:
    flat = np.full((8, 8, 3), (200, 40, 90), np.uint8)
    cmyk = read(Image.fromarray(flat).convert("CMYK"), "JPEG", quality=100)
    assert np.abs(cmyk - flat).max() <= 3
    assert (
        np.abs(read(Image.fromarray(flat).convert("YCbCr"), "TIFF") - flat).max() <= 2
    )


@pytest.mark.parametrize(("orientation", "turn"), [(1, 0), (3, 2), (6, -1), (8, 1)])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation(kind: str, orientation: int, turn: int) -> None:
    picture = smooth(64, 128, 2)
    exif = Image.Exif()
    exif[0x0112] = orientation
    seen = read(Image.fromarray(picture), kind, exif=exif, quality=95)
    wanted = np.rot90(picture, turn)
    assert seen.shape == wanted.shape
    assert np.abs(seen - wanted).mean() < 4


def test_a_damaged_file_of_any_format_is_named(tmp_path: Path) -> None:
    picture = Image.fromarray(smooth(40, 40, 3))
    random = np.random.default_rng(4)
    path = tmp_path / "bad"
    for kind in (
        "PNG",
        "JPEG",
        "TIFF",
        "WEBP",
        "GIF",
        "BMP",
        "PPM",
        "AVIF",
    ):
        buffer = io.BytesIO()
        picture.save(buffer, kind)
        for _ in range(25):
            data = bytearray(buffer.getvalue())
            for at in random.integers(0, min(len(data), 400), 4):
                data[at] = random.integers(256)
            path.write_bytes(data[: random.integers(1, len(data) + 1)])
            try:
                files.read_picture(str(path))
            except EganError as error:
                assert str(path) in str(error)


def test_any_error_of_a_decoder_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bad.png"
    Image.fromarray(RGB).save(path)

    def fail(_image: Image.Image) -> None:
        raise zlib.error("bad block")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", fail)
    with pytest.raises(EganError, match=r"bad.png is damaged or truncated: bad block"):
        files.read_picture(str(path))


# Writing


def test_a_png_holds_the_pixels_and_the_text() -> None:
    data = png_bytes(RGB, {"egan:boxes": "[]"})
    with Image.open(io.BytesIO(data)) as image:
        assert image.text == {"egan:boxes": "[]"}
        assert np.array_equal(np.asarray(image), RGB)
    # Not contiguous.
    turned = RGB[::-1, ::-1]
    assert np.array_equal(read(png_bytes(turned)), turned)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    write_output(b"one", str(out))
    with pytest.raises(EganError, match="exists already"):
        write_output(b"two", str(out))
    assert out.read_bytes() == b"one"
    write_output(b"two", str(out), force=True)
    assert out.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["out.png"]


def test_modes_of_files(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    before = os.umask(0o027)
    try:
        write_output(b"x", str(out))
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == 0o640
    out.chmod(0o600)
    write_output(b"y", str(out), force=True)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_the_umask_is_read_and_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0o027)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(
                "os.umask",
                lambda _mask: pytest.fail("threads beside this one would feel it"),
            )
            assert atomic.current_umask() == 0o027
    finally:
        os.umask(before)


def test_of_many_writers_one_wins(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    start = threading.Barrier(8)
    failed = []

    def write(number: int) -> None:
        start.wait()
        try:
            write_output(b"%d" % number * 10_000, str(out))
        except EganError:
            failed.append(number)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = set(range(8)) - set(failed)
    assert out.read_bytes() == b"%d" % winner * 10_000
    assert os.listdir(tmp_path) == ["out.png"]


def test_without_hard_links_files_are_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    out = tmp_path / "out.png"
    write_output(b"one", str(out))
    with pytest.raises(EganError, match="exists already"):
        write_output(b"two", str(out))
    assert out.read_bytes() == b"one"


def test_links_and_devices_stay_what_they_are(tmp_path: Path) -> None:
    target, link, pipe = (
        tmp_path / "target.png",
        tmp_path / "link.png",
        tmp_path / "pipe",
    )
    link.symlink_to(target)
    write_output(b"one", str(link))
    with pytest.raises(EganError, match="exists already"):
        write_output(b"two", str(link))
    write_output(b"two", str(link), force=True)
    assert link.is_symlink()
    assert target.read_bytes() == b"two"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_output(b"three", str(pipe))
    assert os.read(reader, 10) == b"three"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_name_as_long_as_the_system_allows(tmp_path: Path) -> None:
    write_output(b"x", str(tmp_path / ("x" * 251 + ".png")))


def test_private_files(tmp_path: Path) -> None:
    out = tmp_path / "priv.png"
    before = os.umask(0)
    try:
        write_private(b"secret", str(out))
    finally:
        os.umask(before)
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    with pytest.raises(EganError, match="never overwritten"):
        write_private(b"other", str(out))
    assert out.read_bytes() == b"secret"
    link = tmp_path / "link.png"
    link.symlink_to(tmp_path / "elsewhere.png")
    with pytest.raises(EganError, match="exists already"):
        write_private(b"secret", str(link))
    assert sorted(os.listdir(tmp_path)) == ["link.png", "priv.png"]


# Properties

SIDES = st.integers(16, 40)
PICTURES = st.tuples(SIDES, SIDES).flatmap(lambda s: arrays(np.uint8, (*s, 3)))
BODIES = st.binary(max_size=60)


@settings(max_examples=60, deadline=None)
@given(PICTURES, st.sampled_from(header.Kind), BODIES)
def test_a_header_is_found_again(
    picture: np.ndarray, kind: header.Kind, body: bytes
) -> None:
    made = header.embed(picture, kind, body)
    assert header.find(made) == (kind, body)
    assert header.expect(made, kind, "x.png") == body
    moved = np.abs(made.astype(int) - picture)
    assert moved.max() <= 1
    assert not moved[~header.mask(made.shape, len(body))].any()


@settings(max_examples=60, deadline=None)
@given(PICTURES, st.sampled_from(header.Kind), BODIES, st.data())
def test_no_change_of_a_picture_with_a_header_goes_unseen(
    picture: np.ndarray, kind: header.Kind, body: bytes, data: st.DataObject
) -> None:
    made = header.embed(picture, kind, body)
    sample = data.draw(st.integers(0, made.size - 1))
    made.reshape(-1)[sample] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(
        EganError, match=r"x.png (is .* altered|has an egan header of version)"
    ):
        header.find(made, "x.png")


@settings(max_examples=60, deadline=None)
@given(PICTURES)
def test_no_header_is_found_in_other_pictures(picture: np.ndarray) -> None:
    # Four zero bytes are no magic.
    picture.reshape(-1)[:32] &= 0xFE
    assert header.find(picture) is None


@settings(max_examples=80, deadline=None)
@given(
    cover=st.tuples(SIDES, SIDES),
    message=st.tuples(st.integers(1, 48), st.integers(1, 48)),
    x=st.integers(0, 48),
    y=st.integers(0, 48),
    from_right=st.booleans(),
    from_bottom=st.booleans(),
)
def test_a_message_is_pasted_inside_or_refused(
    cover, message, x, y, from_right, from_bottom
) -> None:
    canvas = np.zeros((*cover, 3), np.uint8)
    image = Image.new("RGBA", message, "white")
    fits = x + message[0] <= cover[1] and y + message[1] <= cover[0]
    if not fits:
        with pytest.raises(
            EganError, match="larger than the cover|does not fit inside"
        ):
            compose.paste(canvas, image, Place(x, y, from_right, from_bottom))
        return
    pasted, box = compose.paste(canvas, image, Place(x, y, from_right, from_bottom))
    left, top, w, h = box
    assert (w, h) == message
    assert left == (cover[1] - w - x if from_right else x)
    assert top == (cover[0] - h - y if from_bottom else y)
    assert (pasted[top : top + h, left : left + w] == 255).all()
    assert pasted.sum() == 255 * 3 * w * h
    assert not canvas.any()


@given(st.integers(0, 999_999), st.integers(0, 999_999), st.booleans(), st.booleans())
def test_places_are_read(x: int, y: int, right: bool, bottom: bool) -> None:
    text = f"{'-' * right}{x},{'-' * bottom}{y}"
    assert compose.parse_place(text) == Place(x, y, right, bottom)


@given(st.text(max_size=12))
def test_other_places_and_sizes_are_wrong_usage(text: str) -> None:
    for parse in (compose.parse_place, lambda t: parse_size(t, "--size")):
        try:
            parse(text)
        except EganError as error:
            assert error.status == 2


def noted(text: str, height: int = 64, width: int = 80) -> tuple[Box, ...]:
    pixels = np.zeros((height, width, 3), np.uint8)
    return noted_boxes(Loaded(pixels, None, "x.png", {CHUNK: text}))


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.integers(0, 79)), draw(st.integers(0, 63))
    return x, y, draw(st.integers(1, 80 - x)), draw(st.integers(1, 64 - y))


@settings(deadline=None)
@given(st.lists(boxes(), max_size=16).map(tuple))
def test_boxes_are_noted_and_sealed(these: tuple[Box, ...]) -> None:
    (text,) = boxes_text(these, np.zeros((64, 80, 3), np.uint8)).values()
    assert noted(text) == these


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.floats() | st.text(max_size=3),
    lambda some: (
        st.lists(some, max_size=5)
        | st.dictionaries(st.text(max_size=3), some, max_size=3)
    ),
)


@settings(deadline=None)
@given(ANYTHING.map(json.dumps) | st.text())
def test_other_notes_are_damaged_or_whole_boxes(text: str) -> None:
    try:
        found = noted(text)
    except EganError as error:
        assert "x.png" in str(error)
    else:
        assert all(
            x >= 0 and y >= 0 and w >= 1 and h >= 1 and x + w <= 80 and y + h <= 64
            for x, y, w, h in found
        )


@given(
    st.integers(16, 200),
    st.integers(16, 200),
    st.integers(1, 220),
    st.integers(1, 220),
    st.integers(),
)
def test_random_places_fit(width: int, height: int, w: int, h: int, seed: int) -> None:
    place = compose.random_place((width, height), (w, h), seed)
    assert place == compose.random_place((width, height), (w, h), seed)
    assert 0 <= place.x <= max(0, width - w)
    assert 0 <= place.y <= max(0, height - h)


def test_transparent_parts_of_a_message_show_the_cover() -> None:
    message = Image.fromarray(np.dstack((RGB, ALPHA)))
    canvas = smooth(64, 64, 9)
    pasted, _ = compose.paste(canvas, message, Place(4, 6))
    a = ALPHA[..., None] / 255
    wanted = RGB * a + canvas[6:14, 4:12] * (1 - a)
    assert np.abs(pasted[6:14, 4:12] - wanted).max() <= 1.5


def test_covers_are_cut_around_their_centre() -> None:
    picture = np.zeros((64, 192, 3), np.uint8)
    picture[:, 64:128] = 255
    fitted = compose.fit_cover(Loaded(picture, None, "x.png"), (64, 64))
    assert (fitted == 255).all()
