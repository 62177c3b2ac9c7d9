"""Files of strangers: only pictures are pictures, one at a time, with the colours they
were stored with.
"""

from __future__ import annotations

import io
import random
import struct
import subprocess
import threading
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from conftest import smooth
from PIL import AvifImagePlugin, EpsImagePlugin, Image, ImageCms

from egan.errors import EganError
from egan.pictures import colour, files, netpbm, streams
from egan.verbs.inspect import describe_picture

GREY = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
RGB = smooth(16, 24, 1)
WHITE_IS_ZERO, BLACK_IS_ZERO = 0, 1


def saved(picture: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, kind, **options)
    return buffer.getvalue()


def read(data: bytes) -> files.Loaded:
    return files.picture_of(data, "x.png")


def refused(data: bytes, words: str) -> None:
    with pytest.raises(EganError, match=words):
        read(data)


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(
    samples: np.ndarray, depth: int, colour: int, extra: bytes = b"", after: bytes = b""
) -> bytes:
    """Samples (H, W) or (H, W, 3) below 2**depth as a PNG, with other chunks before and
    after.
    """
    height, width = samples.shape[:2]
    rows = []
    for row in samples.reshape(height, -1):
        bits = "".join(f"{int(v):0{depth}b}" for v in row)
        bits += "0" * (-len(bits) % 8)
        rows.append(b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big"))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (
            streams.PNG,
            chunk(b"IHDR", head),
            extra,
            chunk(b"IDAT", zlib.compress(b"".join(rows))),
            after,
            chunk(b"IEND", b""),
        )
    )


def tiff(
    samples: np.ndarray,
    photometric: int = BLACK_IS_ZERO,
    order: str = "<",
    packed: bytes | None = None,
    more: dict[int, tuple[str, int]] | None = None,
) -> bytes:
    """Samples (H, W) or (H, W, 3) as a TIFF of one strip; packed: the strip itself."""
    height, width = samples.shape[:2]
    count = 1 if samples.ndim == 2 else 3
    strip = packed or samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    kind = {"u": 1, "i": 2, "f": 3, "c": 6}[samples.dtype.kind]
    tags = {
        256: ("I", width),
        257: ("I", height),
        258: ("H", samples.dtype.itemsize * 8),
        259: ("H", 1),
        262: ("H", photometric if count == 1 else 2),
        273: ("I", 8),
        277: ("H", count),
        278: ("I", height),
        279: ("I", len(strip)),
        339: ("H", kind),
    } | (more or {})
    out = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(
        f"{order}I", 8 + len(strip)
    )
    out += strip + struct.pack(f"{order}H", len(tags))
    for tag, (code, value) in sorted(tags.items()):
        entry = struct.pack(f"{order}HHI{code}", tag, {"H": 3, "I": 4}[code], 1, value)
        out += entry.ljust(12, b"\0")
    return out + bytes(4)


# Only pictures are pictures

EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"
)
DOS = b"\xc5\xd0\xd3\xc6" + struct.pack("<IIIIIIH", 30, len(EPS), 0, 0, 0, 0, 0xFFFF)
NOT_PICTURES = {
    "EPS": EPS,
    "EPS with a DOS header": DOS + EPS,
    "endless EPS": EPS.replace(b"showpage", b"{} loop"),
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + bytes(60),
    "EMF": b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(60),
    "GRIB": b"GRIB\0\0\0\1" + bytes(60),
    "BUFR": b"BUFR" + bytes(60),
    "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(60),
    "FITS": b"SIMPLE  =                    T".ljust(2880),
    "OLE, as of FPX and MIC": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    "IPTC": b"\x1c\2\0\0\0",
    "PDF": b"%PDF-1.7\n",
    "SVG": b'<?xml version="1.0"?><svg xmlns="x"/>',
    "ICO": saved(RGB, "ICO"),
    "TGA": saved(RGB, "TGA"),
    "DDS": saved(RGB, "DDS"),
    "PCX": saved(RGB, "PCX"),
    "QOI": saved(RGB, "QOI"),
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "text": b"hello",
}


@pytest.mark.parametrize("kind", NOT_PICTURES)
def test_what_is_no_picture_is_refused_and_starts_no_program(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object, **__: object) -> None:
        pytest.fail("a program is started")

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", start)
    refused(NOT_PICTURES[kind], "x.png is not a picture that can be read")


def test_an_image_in_memory_that_would_start_a_program_is_refused() -> None:
    image = Image.open(io.BytesIO(EPS))
    assert image.format == "EPS"
    with pytest.raises(EganError, match="it is EPS, which|is EPS, which"):
        files.decode(image, "it")


def test_photographs_of_phones_that_are_not_read_are_named() -> None:
    head = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic"
    with pytest.raises(EganError, match="HEIC") as caught:
        read(head)
    assert "JPEG" in caught.value.hint


def test_one_list_serves_reading_and_finding() -> None:
    assert {".png", ".jpeg", ".avif", ".mpo"} < streams.ENDINGS
    assert not {".eps", ".wmf", ".h5", ".ico"} & streams.ENDINGS
    assert all(files.readable(kind) for kind in streams.FORMATS)


def test_a_format_that_this_pillow_lacks_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = saved(RGB, "AVIF")
    monkeypatch.setattr(AvifImagePlugin, "SUPPORTED", False)
    files.readable.cache_clear()
    try:
        refused(data, "AVIF, which the Pillow installed here cannot read")
    finally:
        files.readable.cache_clear()


def test_reading_ends_after_a_time_that_a_person_would_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(files, "MOST_SECONDS", -1.0)
    refused(saved(RGB, "PNG"), "seconds to read")


@pytest.mark.parametrize(
    "data",
    [
        streams.PNG + chunk(b"abCd", b"") * 1001,
        b"\xff\xd8" + b"\xff\xe1\0\2" * 1001,
        b"GIF89a" + bytes(7) + b"\x21\xfe\1a\0" * 1001,
    ],
)
def test_files_of_very_many_parts_are_refused(
    data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MOST_PARTS", 1000)
    refused(data, "more than 1000 parts")


# One picture at a time


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "TIFF", "AVIF"])
def test_several_pictures_of_one_file_are_refused(kind: str) -> None:
    others = [Image.fromarray(smooth(16, 24, i)) for i in (2, 3)]
    refused(saved(RGB, kind, save_all=True, append_images=others), "several")


def test_an_animation_with_a_picture_of_its_own_is_refused() -> None:
    other = [Image.fromarray(smooth(16, 24, 2))]
    data = saved(RGB, "PNG", save_all=True, append_images=other, default_image=True)
    refused(data, "several")


SINGLE = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "AVIF", "BMP", "PPM")


@pytest.mark.parametrize("kind", SINGLE)
def test_a_second_picture_behind_the_first_is_refused(kind: str) -> None:
    one = saved(RGB, kind)
    for other in ("PNG", "JPEG", "PPM", kind):
        refused(one + saved(RGB, other), "several")


@pytest.mark.parametrize("kind", SINGLE)
@pytest.mark.parametrize("rest", [b"\0" * 100, b"\r\n", b"words behind the end"])
def test_other_bytes_behind_a_picture_change_nothing(kind: str, rest: bytes) -> None:
    one = saved(RGB, kind)
    assert np.array_equal(read(one + rest).pixels, read(one).pixels)


def test_two_plain_pictures_in_one_stream_are_refused() -> None:
    refused(b"P3 1 1 255\n1 2 3\n" * 2, "several")


def test_a_phone_with_two_lenses_makes_one_picture() -> None:
    other = [Image.fromarray(smooth(16, 24, 2))]
    assert read(saved(RGB, "MPO", save_all=True, append_images=other)).pixels.size


def test_very_many_frames_are_counted_to_the_second() -> None:
    one = saved(RGB[..., 0], "GIF")
    frame = one[one.index(b"\x2c", 13 + 768) : -1]
    refused(one[:-1] + frame * 20_000 + b";", "several")


# Metadata never costs a picture


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"iTXt", b"C\0\1\0\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"tEXt", b"C\0" + bytes(3 << 20)),
        chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(3 << 20))),
        chunk(b"iCCP", b"name\0\0no zlib"),
        chunk(b"iCCP", b""),
        chunk(b"eXIf", b"no EXIF"),
        chunk(b"cHRM", b"1"),
        chunk(b"gAMA", b""),
        chunk(b"pHYs", b"1"),
        chunk(b"acTL", b""),
        chunk(b"quXy", b"of another program"),
    ],
)
def test_large_and_broken_metadata_of_a_png_is_let_be(extra: bytes) -> None:
    loaded = read(png(RGB, 8, 2, extra))
    assert np.array_equal(loaded.pixels, RGB)
    assert loaded.alpha is None


EXIF = Image.Exif()
EXIF[0x0112] = 6
EXIF[0x010E] = "a description"
EXIF[0x011A] = 72.0
EXIF[0x8769] = {0x9003: "2026:01:01 00:00:00", 0xA002: 5}
ENTRY = struct.Struct(">HHI4s")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_randomly_broken_exif_costs_no_picture(kind: str) -> None:
    chance = random.Random(3)
    whole = EXIF.tobytes()
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(chance.choice((1, 2, 8))):
            broken[chance.randrange(6, len(broken))] = chance.randrange(256)
        seen = read(saved(RGB, kind, exif=bytes(broken))).pixels
        assert seen.shape[:2] in ((16, 24), (24, 16))


@pytest.mark.parametrize(
    "entry",
    [
        ENTRY.pack(0x011A, 2, 4, b"abc\0"),
        ENTRY.pack(0x011A, 5, 1, b"\xff\xff\xff\xff"),
        ENTRY.pack(0x011A, 11, 1, struct.pack(">f", float("nan"))),
        ENTRY.pack(0x8769, 1, 1, b"\7\0\0\0"),
        ENTRY.pack(0x8769, 4, 1, b"\xff\xff\xff\xff"),
        ENTRY.pack(0x010E, 11, 1, struct.pack(">f", 1.5)),
        ENTRY.pack(0x9999, 99, 2**32 - 1, b"\xff\xff\xff\xff"),
    ],
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_orientation_is_applied_beside_broken_tags(kind: str, entry: bytes) -> None:
    turn = ENTRY.pack(0x0112, 3, 1, b"\0\6\0\0")
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\2" + turn + entry + bytes(4)
    seen = read(saved(RGB, kind, exif=exif)).pixels
    assert seen.shape[:2] == (24, 16)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_each_orientation(kind: str, turn: int) -> None:
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.swapaxes(a, 0, 1),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2),
        8: np.rot90,
    }
    exif = Image.Exif()
    exif[0x0112] = turn
    data = saved(RGB, kind, **({} if kind == "BMP" else {"exif": exif}))
    wanted = RGB if kind == "BMP" else turns[turn](RGB)
    assert np.array_equal(read(data).pixels, wanted)


def test_avif_is_turned_by_its_own_property_beside_broken_exif() -> None:
    data = saved(RGB, "AVIF", exif=EXIF)
    assert read(data).pixels.shape[:2] == (24, 16)
    at = max(data.find(b"MM\0*"), data.find(b"II*\0"))
    broken = data[:at] + b"junk" + data[at + 4 :]
    assert read(broken).pixels.shape[:2] == (24, 16)


def test_threads_leave_the_callers_warning_filters_alone() -> None:
    data = [saved(RGB, kind) for kind in SINGLE]
    before = list(warnings.filters)

    def work() -> None:
        for _ in range(20):
            for one in data:
                read(one)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


# Samples of every type


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_and_white_is_zero(order: str) -> None:
    samples = GREY.astype(np.uint16) * 257
    assert np.array_equal(read(tiff(samples, order=order)).pixels[..., 0], GREY)
    if order == "<":
        seen = read(tiff(samples, WHITE_IS_ZERO, order)).pixels
        assert np.array_equal(seen[..., 0], 255 - GREY)
    else:
        refused(tiff(samples, WHITE_IS_ZERO, order), "rare kind")
    assert np.array_equal(
        read(tiff(GREY, WHITE_IS_ZERO, order)).pixels[..., 0], 255 - GREY
    )


def test_twelve_bits_are_scaled_by_their_own_white() -> None:
    samples = np.array([[0, 4095, 2048, 1024]], np.uint16)
    bits = "".join(f"{v:012b}" for v in samples[0])
    packed = int(bits, 2).to_bytes(6, "big")
    data = tiff(samples, packed=packed, more={258: ("H", 12)})
    assert read(data).pixels[0, :, 0].tolist() == [0, 255, 128, 64]


def test_floats_are_black_at_0_and_white_at_1_whatever_single_samples_are() -> None:
    for high in (1.0, 1.01, 300.0, np.inf):
        samples = np.array([[0.5, high, 0.25, np.nan, -1, 0.75]], np.float32)
        for order in "<>":
            seen = read(tiff(samples, order=order)).pixels[0, :, 0]
            assert seen.tolist() == [128, 255, 64, 0, 0, 191], (high, order)
    dark = read(tiff(np.array([[0.5, 1]], np.float32), WHITE_IS_ZERO)).pixels
    assert dark[0, :, 0].tolist() == [127, 0]


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.array([[128, 255]], np.float32), "float samples up to 255"),
        (np.array([[32768, 65535]], np.float32), "float samples up to 65535"),
        (np.array([[0.5, 1]], np.float64), "float samples of 64 bits"),
        (np.array([[0.5, 1]], np.float16), "float samples of 16 bits"),
        (np.array([[64, 127]], np.int8), "signed samples of 8 bits"),
        (np.array([[0, 32767]], np.int16), "signed samples of 16 bits"),
        (np.array([[0, 65535]], np.int32), "signed samples of 32 bits"),
        (np.array([[0, 2**32 - 1]], np.uint32), "unsigned samples of 32 bits"),
        (np.array([[0.5, 1]], np.complex64), "samples of 64 bits"),
        (np.ones((2, 2, 3), np.float32), "float samples of 32 bits"),
    ],
)
def test_samples_without_an_agreed_white_are_refused_by_name(
    samples: np.ndarray, words: str
) -> None:
    refused(tiff(samples), words)


def test_sixteen_bits_in_planes_are_refused() -> None:
    samples = np.zeros((4, 4, 3), np.uint16)
    refused(tiff(samples, more={284: ("H", 2)}), "a plane for each colour")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tag", [296, 270, 34665, 33432, 700, 50000])
def test_odd_tags_of_a_tiff_cost_no_picture(order: str, tag: int) -> None:
    data = tiff(GREY, order=order, more={tag: ("I", 2**32 - 1)})
    assert np.array_equal(read(data).pixels[..., 0], GREY)


@pytest.mark.parametrize(
    ("data", "levels"),
    [
        (b"P1 2 2 0110", [[255, 0], [0, 255]]),
        (b"P1\n# words\n2 2\n0 1\n1 0\n", [[255, 0], [0, 255]]),
        (b"P2\n2 1\n# words\n100\n0 50\n", [[0, 128]]),
        (b"P4 3 1 \xa0", [[0, 255, 0]]),
        (b"P5 2 1 1023 \x03\xff\x02\x00", [[255, 128]]),
        (b"P5 2 1 255 \x00\x64", [[0, 100]]),
        (b"Pf 1 2 -1.0\n" + struct.pack("<2f", 0.5, 1), [[255], [128]]),
    ],
)
def test_netpbm_of_every_kind(data: bytes, levels: list[list[int]]) -> None:
    assert read(data).pixels[..., 0].tolist() == levels


def test_netpbm_in_colour() -> None:
    assert read(b"P3 1 1 255 1 2 3").pixels.tolist() == [[[1, 2, 3]]]
    wide = b"P6 1 1 65535\n" + struct.pack(">3H", 65535, 25700, 0)
    assert read(wide).pixels.tolist() == [[[255, 100, 0]]]
    floats = b"PF 1 1 -1.0\n" + struct.pack("<3f", 0.5, 1, 0)
    assert read(floats).pixels.tolist() == [[[128, 255, 0]]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"P5 1 1 255\n", "samples are missing"),
        (b"P2 2 1 255 1", "samples are missing"),
        (b"P2 1 1 255 300", "larger than the largest"),
        (b"P2 1 1 255 -3", "no whole numbers"),
        (b"P5 1 1 " + b" " * 100_000, "cut off"),
        (b"P5 0 1 255 a", "no positive number"),
        (b"P5 99999 99999 255 a", "too large"),
    ],
)
def test_broken_netpbm(data: bytes, words: str) -> None:
    refused(data, words)
    assert not netpbm.several(data)


# Transparency


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_the_transparent_grey_of_a_png_of_any_depth(depth: int) -> None:
    samples = np.array([[0, 2**depth - 1, (2**depth - 1) // 2 + 1]])
    for place in range(2):
        clear = struct.pack(">H", samples[0, place])
        loaded = read(png(samples, depth, 0, chunk(b"tRNS", clear)))
        assert loaded.alpha is not None
        wanted = np.where(samples == samples[0, place], 0, 255)
        assert np.array_equal(loaded.alpha, wanted)
        levels = np.round(samples * 255 / (2**depth - 1))
        assert np.array_equal(loaded.pixels[..., 0], levels)


@pytest.mark.parametrize("depth", [8, 16])
def test_the_transparent_colour_of_a_png_is_one_alone(depth: int) -> None:
    samples = np.random.default_rng(2).integers(0, 2**depth, (2, 4, 3))
    samples[0, 1] = samples[0, 0]
    samples[0, 1, 1] ^= 1
    clear = struct.pack(">3H", *map(int, samples[0, 0]))
    loaded = read(png(samples, depth, 2, chunk(b"tRNS", clear)))
    assert loaded.alpha is not None
    assert loaded.alpha.reshape(-1).tolist() == [0] + [255] * 7


# Profiles


def xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))


def gamma(value: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + bytes(2)


def profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC profile, version 2, of a display or printer."""
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    pcs = b"Lab " if space == b"CMYK" else b"XYZ "
    tags = {b"wtpt": xyz((0.9642, 1, 0.8249))} | tags
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78)
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for name, value in tags.items():
        value += bytes(-len(value) % 4)
        table += name + struct.pack(">II", at + len(body), len(value))
        body += value
    head = bytes(4) + b"test" + struct.pack(">I", 0x02400000) + kind + space + pcs
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061)
    whole = head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


def display(red, green, blue, power: float) -> bytes:
    primaries = {b"rXYZ": xyz(red), b"gXYZ": xyz(green), b"bXYZ": xyz(blue)}
    curves = {name: gamma(power) for name in (b"rTRC", b"gTRC", b"bTRC")}
    return profile(b"RGB ", primaries | curves)


# Colorants relative to D50, of Adobe RGB (1998) and Display P3.
ADOBE = display(
    (0.60974, 0.31111, 0.01947),
    (0.20528, 0.62567, 0.06087),
    (0.14919, 0.06322, 0.74457),
    563 / 256,
)
P3 = display(
    (0.51512, 0.24120, -0.00105),
    (0.29198, 0.69225, 0.04189),
    (0.15710, 0.06657, 0.78407),
    2.2,
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_colours_of_a_wide_profile_come_in_as_srgb(kind: str) -> None:
    """The colour that Display P3 writes (234, 51, 34) is the red of sRGB."""
    flat = np.full((16, 16, 3), (234, 51, 34), np.uint8)
    options = {"JPEG": {"quality": 100}, "WEBP": {"lossless": True}}.get(kind, {})
    seen = read(saved(flat, kind, icc_profile=P3, **options)).pixels[8, 8].astype(int)
    assert np.abs(seen - (255, 0, 0)).max() <= 12
    assert np.abs(seen - (234, 51, 34)).max() > 20
    greens = np.full((16, 16, 3), (144, 255, 60), np.uint8)
    seen = read(saved(greens, kind, icc_profile=ADOBE, **options)).pixels[8, 8]
    assert seen[0] < 40 and seen[1] > 245


def test_the_profile_of_srgb_changes_no_sample() -> None:
    noise = np.random.default_rng(4).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    assert np.array_equal(read(saved(noise, "PNG", icc_profile=SRGB)).pixels, noise)


def test_a_grey_profile_sets_the_curve() -> None:
    linear = profile(b"GRAY", {b"kTRC": gamma(1.0)})
    seen = read(saved(np.full((8, 8), 55, np.uint8), "PNG", icc_profile=linear)).pixels
    assert np.abs(seen.astype(int) - 128).max() <= 2, "0.2157 of the light"
    assert (seen[..., :1] == seen).all()


def test_a_profile_of_inks_is_used() -> None:
    """A table of the corners, in which only black ink is seen."""
    corners = np.zeros((2, 2, 2, 2, 3), np.uint8)
    corners[..., 0, :] = (255, 128, 128)
    corners[..., 1, :] = (128, 128, 128)
    line = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0))
    lut += struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut += line * 4 + corners.tobytes() + line * 3
    inks = profile(b"CMYK", {b"A2B0": lut, b"A2B1": lut})
    for kind in ("TIFF", "JPEG"):
        buffer = io.BytesIO()
        im = Image.new("CMYK", (16, 16), (255, 255, 255, 0))
        im.save(buffer, kind, icc_profile=inks)
        assert read(buffer.getvalue()).pixels.min() >= 253, kind


@pytest.mark.parametrize(
    "junk", [b"junk", bytes(200), SRGB[:200], profile(b"GRAY", {b"kTRC": gamma(1)}), P3]
)
def test_junk_and_profiles_of_other_spaces_are_ignored(junk: bytes) -> None:
    picture = GREY if junk == P3 else RGB
    seen = read(saved(picture, "PNG", icc_profile=junk)).pixels
    wanted = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, 2)
    assert np.array_equal(seen, wanted)


# Pictures that carry bits


def exact(data: bytes, lossy: bool = False) -> files.Loaded:
    return files.exact_picture_of(data, "x.png", lossy)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exact_pixels_are_those_stored(kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"lossless": True} if kind == "WEBP" else {}
    loaded = exact(saved(RGB, kind, icc_profile=P3, exif=exif, **options))
    assert np.array_equal(loaded.pixels, RGB)
    assert any("shows" in str(n) or "orientation" in str(n) for n in loaded.notes)


def test_a_note_says_what_makes_other_programs_show_a_picture_otherwise() -> None:
    odd = chunk(b"gAMA", struct.pack(">I", 100_000))
    (note,) = exact(png(RGB, 8, 2, odd)).notes
    assert note.warning
    assert "a gAMA chunk" in str(note)
    usual = chunk(b"gAMA", struct.pack(">I", 45455))
    assert not exact(png(RGB, 8, 2, usual)).notes
    assert not exact(saved(RGB, "PNG", icc_profile=SRGB)).notes
    assert "a colour profile" in str(exact(saved(RGB, "PNG", icc_profile=P3)).notes[0])
    facts = describe_picture(exact(png(RGB, 8, 2, odd)))
    assert facts["warning"].startswith("x.png has a gAMA chunk")
    clear = Image.fromarray(np.dstack((RGB, np.full((16, 24), 9, np.uint8))))
    buffer = io.BytesIO()
    clear.save(buffer, "PNG")
    loaded = exact(buffer.getvalue())
    assert np.array_equal(loaded.pixels, RGB)
    assert "transparent parts" in str(loaded.notes[0])


@pytest.mark.parametrize(
    ("kind", "options", "words"),
    [
        ("JPEG", {}, "is a JPEG, though named .png"),
        ("WEBP", {"quality": 90}, "a lossy WebP"),
        ("AVIF", {}, "an AVIF"),
        ("GIF", {}, "a GIF of 256 colours"),
        ("TIFF", {"compression": "jpeg"}, "a TIFF compressed with loss"),
    ],
)
def test_lossy_formats_carry_no_bits(kind: str, options: dict, words: str) -> None:
    data = saved(RGB, kind, **options)
    with pytest.raises(EganError, match=words):
        exact(data)
    assert exact(data, lossy=True).lossy
    assert read(data).pixels.shape == RGB.shape


def test_a_profile_that_this_pillow_cannot_apply_is_no_silent_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Missing:
        def __getattr__(self, name: str) -> None:
            raise ImportError("no LittleCMS")

    data = saved(RGB, "PNG", icc_profile=SRGB)
    monkeypatch.setattr(ImageCms, "core", Missing())
    colour.conversion.cache_clear()
    try:
        refused(data, "colour profile, which the Pillow installed here cannot apply")
    finally:
        colour.conversion.cache_clear()
