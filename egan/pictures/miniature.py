"""Pictures in a few hundred bytes: AV1 still images without the container and headers
that cost as much as the picture.

A miniature is one byte, how many parts in 32 of its side were kept, and an AV1 frame
(AV1 bitstream specification, section 5). The container (AVIF) and the sequence header
are written anew when it is read, from the size that the reader knows. At these sizes
AV1 needs a quarter less than WebP for the same PSNR. A sketch takes 8 bytes, where no
frame is so small.
"""

from __future__ import annotations

import functools
import io
import math
import struct
from typing import Any

import numpy as np
from PIL import Image

from egan.errors import EganError
from egan.pictures.files import Picture, readable
from egan.pictures.metrics import psnr

# Of a side, in parts of 32: what is tried, largest first.
SCALES = (32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
# Bits for each pixel below which a smaller scale is always better.
LEAST_BITS = 0.1
# First byte and length of a sketch, and the range of its colours.
SKETCH, SKETCH_BYTES = 0, 8
CHROMA_LOW, CHROMA_RANGE = 64.0, 128.0
# Set in the first byte where a sequence header is kept.
OWN_SEQUENCE = 0x80
# Of the encoder, 0 to 10: for what is kept, and to find the scale.
SPEED, HASTY = 3, 8
# Larger budgets, in bytes, are worth a slower search.
LARGE, SLOW = 450, 1
# Of 0 to 100: the quality that is tried first.
FIRST = 40
# Bytes that headers of their own cost the frames that are made in haste.
UNEQUAL = 16
# How many times larger a frame is for one step of quality, as a logarithm.
SLOPE = 0.025
TRIES = 9
LARGEST_SIDE = 4096
# What Pillow and the parser here raise for data that is no picture.
DAMAGE = (OSError, ValueError, SyntaxError, IndexError, MemoryError, RuntimeError)
# AV1's kinds of OBU, with the flag that a size follows.
TEMPORAL_DELIMITER, SEQUENCE, FRAME = b"\x12\x00", 0x0A, 0x32
# Profile 1 (4:4:4), still picture with a reduced header, level 2.0.
START = "0011100000"
# What libaom's encoder allows in frames at SPEED, and full-range BT.601 colour.
TOOLS = "011001010000000100001101000001101001"


def need_av1() -> None:
    """Raises EganError where Pillow came without its AVIF library."""
    if not readable("AVIF"):
        raise EganError(
            "capsules hold AV1 pictures, which the Pillow installed here cannot handle",
            "install Pillow 11.3 or newer from PyPI, which brings libavif",
        )


def fit(picture: Picture, budget: int) -> bytes | None:
    """The miniature of uint8 (H, W, 3) nearest to it in at most `budget` bytes; None
    where there is none so small.

    Hasty frames tell which scales are the best two; of those, careful ones are made.
    """
    height, width = picture.shape[:2]
    start = FIRST
    hasty: list[tuple[float, int, int]] = []
    for scale in SCALES:
        pixels = scaled(width, scale) * scaled(height, scale)
        if pixels > 8 * budget / LEAST_BITS:
            continue
        found, start = encoded(picture, scale, budget + UNEQUAL, HASTY, start)
        if found is None:
            continue
        near = psnr(draw(found, width, height), picture)
        hasty.append((near, scale, start))
        if near < max(hasty)[0]:
            break
    speed = SLOW if budget > LARGE else SPEED
    careful = [
        encoded(picture, scale, budget, speed, quality)[0]
        for _, scale, quality in sorted(hasty, reverse=True)[:2]
    ]
    if fitting := [made for made in careful if made is not None]:
        return max(fitting, key=lambda made: psnr(draw(made, width, height), picture))
    # Hasty frames may be shorter than careful ones: then a smaller one fits.
    for scale in SCALES[SCALES.index(hasty[-1][1]) :] if hasty else ():
        found, _ = encoded(picture, scale, budget, speed, FIRST)
        if found is not None:
            return found
    return None


def sketch(picture: Picture) -> bytes:
    """A miniature of SKETCH_BYTES of uint8 (H, W, 3): four by four patches of light, 3
    bits each, and one colour (Cb and Cr of JFIF), 4 bits each.
    """
    small = (
        Image.fromarray(picture).convert("YCbCr").resize((4, 4), Image.Resampling.BOX)
    )
    samples = np.asarray(small).reshape(-1, 3).astype(np.float64)
    bits = "".join(f"{round(y * 7 / 255):03b}" for y in samples[:, 0])
    for mean in samples[:, 1:].mean(0):
        level = (mean - CHROMA_LOW) * 15 / CHROMA_RANGE
        bits += f"{min(max(round(level), 0), 15):04b}"
    return bytes([SKETCH]) + int(bits, 2).to_bytes(SKETCH_BYTES - 1, "big")


def drawn_sketch(data: bytes, width: int, height: int) -> Picture:
    """The picture, uint8 (height, width, 3), of what `sketch` made."""
    bits = f"{int.from_bytes(data[1:], 'big'):056b}"
    light = [int(bits[i : i + 3], 2) * 255 / 7 for i in range(0, 48, 3)]
    cb, cr = (
        CHROMA_LOW + int(bits[i : i + 4], 2) * CHROMA_RANGE / 15 for i in (48, 52)
    )
    samples = np.array([(y, cb, cr) for y in light]).round().astype(np.uint8)
    small = Image.frombytes("YCbCr", (4, 4), samples.tobytes())
    large = small.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(large.convert("RGB"))


def encoded(
    picture: Picture, scale: int, budget: int, speed: int, quality: int
) -> tuple[bytes | None, int]:
    """The best miniature of that scale in at most `budget` bytes, if any, and its
    quality; the search begins with `quality`.
    """
    height, width = picture.shape[:2]
    small = Image.fromarray(picture)
    size = scaled(width, scale), scaled(height, scale)
    if size != small.size:
        small = small.resize(size, Image.Resampling.LANCZOS)
    best: bytes | None = None
    low, high = -1, 101
    for _ in range(TRIES):
        made = stripped(small, quality, speed, scale)
        if len(made) <= budget:
            best, low = made, quality
        else:
            high = quality
        if high - low <= 1 or 0.98 * budget <= len(made) <= budget:
            break
        step = math.floor(math.log(budget / len(made)) / SLOPE)
        quality = min(max(quality + step, low + 1), high - 1)
    return best, max(low, 0)


def scaled(side: int, scale: int) -> int:
    return max(1, side * scale // SCALES[0])


def stripped(picture: Image.Image, quality: int, speed: int, scale: int) -> bytes:
    """A miniature of a picture that was scaled already."""
    out = io.BytesIO()
    picture.save(
        out, "AVIF", quality=quality, subsampling="4:4:4", speed=speed, **tuning()
    )
    data = out.getvalue()
    data = data[data.index(b"mdat") + 4 :].removeprefix(TEMPORAL_DELIMITER)
    sequence, frame = units(data)
    if sequence == sequence_header(*picture.size):
        return bytes([scale]) + frame
    return bytes([scale | OWN_SEQUENCE]) + data


@functools.cache
def tuning() -> dict[str, Any]:
    """What makes libaom aim at PSNR, worth 0.25 dB here; nothing for another encoder."""
    wanted = {"advanced": {"tune": "psnr"}}
    try:
        Image.new("RGB", (8, 8)).save(io.BytesIO(), "AVIF", **wanted)
    except DAMAGE:
        return {}
    return wanted


def draw(data: bytes, width: int, height: int) -> Picture:
    """The picture, uint8 (height, width, 3), of a miniature that was made of that size.

    Raises EganError for anything that `fit` and `sketch` do not write, before it is
    decoded where its size is not the one that is expected.
    """
    damaged = EganError("a miniature is damaged")
    if not data or max(width, height) > LARGEST_SIDE:
        raise damaged
    if data[0] == SKETCH and len(data) == SKETCH_BYTES:
        return drawn_sketch(data, width, height)
    scale = data[0] & ~OWN_SEQUENCE
    if scale not in SCALES:
        raise damaged
    size = scaled(width, scale), scaled(height, scale)
    sequence, frame = sequence_header(*size), data[1:]
    need_av1()
    try:
        if data[0] & OWN_SEQUENCE:
            sequence, frame = units(data[1:])
        if size_of(sequence) != size:
            raise damaged
        unit = TEMPORAL_DELIMITER + obu(SEQUENCE, sequence) + obu(FRAME, frame)
        with Image.open(io.BytesIO(contained(unit, *size)), formats=("AVIF",)) as image:
            if image.size != size or getattr(image, "n_frames", 1) != 1:
                raise damaged
            small = image.convert("RGB")
    except DAMAGE as error:
        raise damaged from error
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def sequence_header(width: int, height: int) -> bytes:
    """The sequence header that the encoder writes at SPEED for a small picture."""
    bits = START
    sides = (width - 1, height - 1)
    lengths = [max(1, side.bit_length()) for side in sides]
    bits += "".join(f"{length - 1:04b}" for length in lengths)
    bits += "".join(f"{s:0{n}b}" for s, n in zip(sides, lengths, strict=True))
    bits += TOOLS
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def size_of(sequence: bytes) -> tuple[int, int]:
    """Width and height in the sequence header of a still picture. Raises ValueError."""
    bits = "".join(f"{byte:08b}" for byte in sequence[:16])
    if bits[3:5] != "11":
        raise ValueError("not a reduced header")
    across, down = int(bits[10:14], 2) + 1, int(bits[14:18], 2) + 1
    middle = 18 + across
    return int(bits[18:middle], 2) + 1, int(bits[middle : middle + down], 2) + 1


def units(data: bytes) -> tuple[bytes, bytes]:
    """The sequence header and the frame of exactly one picture. Raises ValueError."""
    sequence, rest = unit_of(data, SEQUENCE)
    frame, rest = unit_of(rest, FRAME)
    if rest:
        raise ValueError("more than one frame")
    return sequence, frame


def unit_of(data: bytes, kind: int) -> tuple[bytes, bytes]:
    """The content of the first unit, which must be of that kind, and what follows it."""
    size, at = 0, 1
    while at <= 4:
        size |= (data[at] & 0x7F) << (7 * (at - 1))
        at += 1
        if data[at - 1] < 0x80:
            break
    if data[0] != kind or at + size > len(data):
        raise ValueError("not a unit of this kind")
    return data[at : at + size], data[at + size :]


def obu(kind: int, content: bytes) -> bytes:
    """A unit: kind, length in base 128 with the low digits first, content."""
    size, digits = len(content), []
    while True:
        size, digit = divmod(size, 128)
        digits.append(digit | (0x80 if size else 0))
        if not size:
            return bytes([kind, *digits]) + content


def box(kind: bytes, *parts: bytes, version: int | None = None) -> bytes:
    """A box of the ISO base media file format; with a version, a full box without
    flags.
    """
    content = b"" if version is None else bytes([version, 0, 0, 0])
    content += b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def contained(unit: bytes, width: int, height: int) -> bytes:
    """An AVIF file of one picture, 8 bits, 4:4:4 (ISO/IEC 23008-12, AVIF 1.1)."""

    def file(offset: int) -> bytes:
        item = struct.pack(">2HB", 1, 0, 0)[:4]
        where = struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, offset, len(unit))
        meta = box(
            b"meta",
            box(b"hdlr", bytes(4) + b"pict" + bytes(13), version=0),
            box(b"pitm", struct.pack(">H", 1), version=0),
            box(b"iloc", where, version=0),
            box(
                b"iinf",
                struct.pack(">H", 1),
                box(b"infe", item, b"av01\0", version=2),
                version=0,
            ),
            box(
                b"iprp",
                box(
                    b"ipco",
                    box(b"ispe", struct.pack(">II", width, height), version=0),
                    box(b"pixi", b"\3\x08\x08\x08", version=0),
                    box(b"av1C", b"\x81\x20\0\0"),
                    box(b"colr", b"nclx", struct.pack(">3HB", 1, 13, 6, 0x80)),
                ),
                box(
                    b"ipma",
                    struct.pack(">IHB", 1, 1, 4),
                    b"\x01\x02\x83\x04",
                    version=0,
                ),
            ),
            version=0,
        )
        return box(b"ftyp", b"avif" + bytes(4) + b"avifmif1miafMA1A") + meta

    start = file(0)
    return file(len(start) + 8) + box(b"mdat", unit)
