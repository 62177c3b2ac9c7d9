"""TIFF files, taken apart: the first directory, with the tags that make the pixels."""

from __future__ import annotations

import struct

from egan.errors import EganError
from egan.pictures.streams import Stream, followed

WIDTH, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION = 256, 258, 259, 262, 274
SAMPLES, PLANAR, SAMPLE_FORMAT, SUBFILE, PROFILE = 277, 284, 339, 254, 34675
NEEDED = {
    *(WIDTH, 257, BITS, COMPRESSION, PHOTOMETRIC, 266, 273, SAMPLES, 278, 279),
    *(PLANAR, 292, 293, 317, 320, 322, 323, 324, 325, 338, SAMPLE_FORMAT, 347),
    *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532),
}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}
INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 18: "Q"}
# None, Huffman, fax, LZW, Deflate, PackBits, LZMA, Zstandard.
LOSSLESS = {1, 2, 3, 4, 5, 8, 32771, 32773, 32946, 34925, 50000}
MOST_VALUES = 1 << 20


def take_tiff(data: bytes) -> Stream:
    """The first picture of a TIFF, its tags read and those cut that make no pixels.

    A new directory with copies of the needed entries is put behind the end of the data,
    since offsets in a TIFF are absolute.
    """
    stream = Stream("TIFF", data)
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    try:
        entries, following, end = directory(data, order, big)
    except struct.error:
        return stream
    kept = []
    for entry in entries:
        tag, kind, count, at, length = entry[:5]
        end = max(end, at + length)
        if tag == PROFILE:
            stream.profile = data[at : at + length]
        elif kind in INTEGERS and count <= MOST_VALUES and at + length <= len(data):
            stream.tags[tag] = struct.unpack_from(
                f"{order}{count}{INTEGERS[kind]}", data, at
            )
        if tag in NEEDED:
            kept.append(entry[5])
    tags = stream.tags
    for offsets, sizes in ((273, 279), (324, 325)):
        pairs = zip(tags.get(offsets, ()), tags.get(sizes, ()), strict=False)
        end = max(end, *(at + size for at, size in pairs), 0)
    reduced = tags.get(SUBFILE, (0,))[:1] == (1,)
    stream.several = following != 0 or reduced or followed(data, end, "TIFF")
    if tags.get(COMPRESSION, (1,))[0] not in LOSSLESS:
        stream.lossy = "a TIFF compressed with loss"
    place = len(data) + len(data) % 2
    head, number, offset = (16, "Q", "Q") if big else (8, "H", "I")
    made = struct.pack(f"{order}{number}", len(kept)) + b"".join(kept)
    made += struct.pack(f"{order}{offset}", following)
    first = struct.pack(f"{order}{offset}", place)
    stream.data = (
        data[: head - len(first)]
        + first
        + data[head:].ljust(place - head, b"\0")
        + made
    )
    return stream


def directory(
    data: bytes, order: str, big: bool
) -> tuple[list[tuple[int, int, int, int, int, bytes]], int, int]:
    """The entries of the first directory, the place of the next one, and the end of
    this.

    Each entry: tag, type, count, place and length of its values, and its bytes. Raises
    struct.error for a directory that is cut off.
    """
    (at,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, at)
    at += 8 if big else 2
    size, room = (20, 8) if big else (12, 4)
    if at + count * size > len(data):
        raise struct.error("cut off")
    entries = []
    for begin in range(at, at + count * size, size):
        tag, kind, number = struct.unpack_from(
            f"{order}HH{'Q' if big else 'I'}", data, begin
        )
        length = SIZES.get(kind, 1) * number
        place = begin + size - room
        if length > room:
            (place,) = struct.unpack_from(
                f"{order}{'Q' if big else 'I'}", data, begin + size - room
            )
        entries.append((tag, kind, number, place, length, data[begin : begin + size]))
    at += count * size
    # Some writers leave out the last zero.
    following = int.from_bytes(data[at : at + room], "little")
    if order == ">":
        following = int.from_bytes(data[at : at + room], "big")
    return entries, following, at + room


KINDS = {1: "unsigned", 2: "signed", 3: "float", 5: "complex", 6: "complex float"}


def check_samples(stream: Stream, name: str) -> None:
    """Raises EganError for samples without an agreed white, or that Pillow misreads."""
    tags = stream.tags
    bits = max(tags.get(BITS, (1,)), default=1)
    kind = min(tags.get(SAMPLE_FORMAT, (1,)), default=1)
    count = tags.get(SAMPLES, (1,))[0]
    photometric = tags.get(PHOTOMETRIC, (0,))[0]
    hint = "save it as an 8-bit or 16-bit PNG"
    floats = kind == 3 and bits == 32 and count == 1
    if photometric in (32803, 34892):
        raise EganError(f"{name} is a raw photograph", "develop it to PNG or JPEG")
    if not floats and (kind != 1 or bits > 16):
        words = f"{KINDS.get(kind, 'untyped')} samples of {bits} bits"
        raise EganError(f"{name} has {words}, which egan does not read", hint)
    words = ""
    if tags.get(PLANAR, (1,))[0] == 2 and bits > 8 and count > 1:
        words = f"{bits}-bit samples in a plane for each colour"
    elif floats and stream.data[:1] == b"M" and tags.get(COMPRESSION, (1,))[0] != 1:
        words = "compressed float samples, the high byte first"
    elif stream.data[:4] == b"MM\0+":
        words = "offsets of 8 bytes, the high byte first"
    if words:
        raise EganError(f"{name} has {words}, which egan does not read", hint)
