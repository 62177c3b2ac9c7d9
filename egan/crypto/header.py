"""The pixel header: bytes in the least significant bits of samples that lie evenly all
over a picture.

Layout: magic "EGAN", version, kind, length of the body (4 bytes, big-endian), body,
then the first 8 bytes of the SHA-256 over the shape, all of that, and the samples with
the header's bits zeroed. Keys, disguises and signed pictures carry it, so they are
plain PNGs without metadata and survive any lossless re-save. The checksum finds
accidents; proof against an adversary is the envelope's and the signature's.

Bit n lies in cell n mod C of a walk through all C cells of 4x4 pixels, and takes the (n
// C)-th of the cell's SAMPLES: a header costs every part of the picture the same, and
its first bytes are found before its length is known. The networks' carriers are waves
inside a cell, which see its corners least, and green least of all.
"""

from __future__ import annotations

import enum
import hashlib
import math
import struct
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from egan.errors import EganError

Picture = NDArray[np.uint8]

MAGIC = b"EGAN"
VERSION = 2
PREFIX = struct.Struct(">4sBBI")
CHECKSUM_BYTES = 8
# Wrong bits of 32 that still mean a damaged header; by chance 1 picture in 8 million.
MAGIC_TOLERANCE = 2
FORMAT_1 = struct.Struct(">4sBBH")

CELL = 4
CORNERS = ((0, 0), (3, 3), (0, 3), (3, 0))
EDGES = ((0, 1), (3, 2), (1, 0), (2, 3), (0, 2), (3, 1), (2, 0), (1, 3))
MIDDLE = ((1, 1), (2, 2), (1, 2), (2, 1))
# The samples of a cell in the order in which they are taken: (row, column, channel).
SAMPLES = tuple(
    (row, column, channel)
    for places in (CORNERS, EDGES, MIDDLE)
    for channel in (1, 0, 2)
    for row, column in places
)


class Kind(enum.IntEnum):
    """The kind of a picture with a pixel header."""

    PUBLIC_KEY = 1
    PRIVATE_KEY = 2
    DISGUISE = 3
    SIGNED = 4
    LOCKED_KEY = 5

    @property
    def words(self) -> str:
        return (
            "a public key",
            "a private key",
            "a disguise",
            "a signed picture",
            "a private key with a passphrase",
        )[self - 1]


WRONG_COMMAND = {
    (Kind.SIGNED, Kind.DISGUISE): "check it with `egan verify`",
    (Kind.DISGUISE, Kind.SIGNED): "open it with `egan decrypt`",
}
PRIVATE_KINDS = (Kind.PRIVATE_KEY, Kind.LOCKED_KEY)


def header_bits(body: int) -> int:
    """Samples that a header with a body of `body` bytes takes."""
    return 8 * (PREFIX.size + body + CHECKSUM_BYTES)


def capacity(shape: Sequence[int]) -> int:
    """The longest body, in bytes, of a header in a picture (H, W, 3); below 0: none."""
    samples = len(SAMPLES) * (shape[0] // CELL) * (shape[1] // CELL)
    return samples // 8 - PREFIX.size - CHECKSUM_BYTES


@lru_cache(8)
def places(height: int, width: int, bits: int) -> NDArray[np.int64]:
    """Which samples of a picture (H, W, 3), counted row by row, carry bits 0 to `bits`.

    The walk goes through the cells, counted row by row, in steps of the first number
    from 0.618034 C up that shares no factor with their number C: the golden section
    spreads any number of steps evenly.
    """
    columns = width // CELL
    cells = columns * (height // CELL)
    step = max(1, cells * 618034 // 1000000)
    while math.gcd(step, cells) != 1:
        step += 1
    n = np.arange(bits, dtype=np.int64)
    cell = n % cells * step % cells
    row, column, channel = np.array(SAMPLES)[n // cells].T
    y = CELL * (cell // columns) + row
    x = CELL * (cell % columns) + column
    found = (y * width + x) * 3 + channel
    found.flags.writeable = False
    return found


def positions(shape: Sequence[int], body: int) -> NDArray[np.int64]:
    """The samples, counted row by row, that a header with such a body uses, in its
    order.

    Raises EganError where the picture is too small.
    """
    if body > capacity(shape):
        raise EganError(f"a picture of {shape[1]}x{shape[0]} pixels is too small")
    return places(shape[0], shape[1], header_bits(body))


def mask(shape: Sequence[int], body: int) -> NDArray[np.bool_]:
    """Bool (H, W, 3): the samples that such a header will use.

    `embed` leaves a picture alone, but for the bits themselves, where these are even.
    """
    used = np.zeros((shape[0], shape[1], 3), np.bool_)
    used.reshape(-1)[positions(shape, body)] = True
    return used


def cleared(picture: Picture, body: int) -> Picture:
    """A copy of uint8 (H, W, 3) with the bits that such a header would use set to zero.

    Raises EganError where the picture is too small.
    """
    used = positions(picture.shape, body)
    flat = picture.reshape(-1).copy()
    flat[used] &= 0xFE
    return flat.reshape(picture.shape)


def pixel_digest(picture: Picture, body: int) -> bytes:
    """SHA-256 over shape and pixels of uint8 (H, W, 3), the header's bits zeroed.

    Seals and signatures are bound to it: to all that a viewer sees, and to nothing of
    the header, which is written after.
    """
    shape = struct.pack(">II", *picture.shape[:2])
    return hashlib.sha256(shape + cleared(picture, body).tobytes()).digest()


def checksum(head: bytes, clean: Picture) -> bytes:
    shape = struct.pack(">II", *clean.shape[:2])
    return hashlib.sha256(shape + head + clean.tobytes()).digest()[:CHECKSUM_BYTES]


def embed(picture: Picture, kind: Kind, body: bytes) -> Picture:
    """A copy of uint8 (H, W, 3) with the header: no sample moves by more than one
    level.

    Raises EganError where the picture is too small.
    """
    clean = cleared(picture, len(body))
    head = PREFIX.pack(MAGIC, VERSION, kind, len(body)) + body
    bits = np.unpackbits(np.frombuffer(head + checksum(head, clean), np.uint8))
    clean.reshape(-1)[positions(picture.shape, len(body))] |= bits
    return clean


def bytes_at(picture: Picture, where: NDArray[np.int64]) -> bytes:
    return np.packbits(picture.reshape(-1)[where] & 1).tobytes()


def claimed_kind(picture: Picture) -> Kind | None:
    """The kind that the header of uint8 (H, W, 3) claims, true or not."""
    if capacity(picture.shape) < 0:
        return None
    where = places(*picture.shape[:2], 8 * PREFIX.size)
    magic, _, kind, _ = PREFIX.unpack(bytes_at(picture, where))
    known = magic == MAGIC and kind in Kind.__members__.values()
    return Kind(kind) if known else None


def find(picture: Picture, name: str = "the picture") -> tuple[Kind, bytes] | None:
    """Kind and body of a picture's header; None where it has none.

    Raises EganError, naming the file `name`, where there is one but the picture is
    damaged or made by another version of egan.
    """
    shape = picture.shape
    if capacity(shape) < 0:
        return None
    prefix = bytes_at(picture, places(shape[0], shape[1], 8 * PREFIX.size))
    magic, version, kind, length = PREFIX.unpack(prefix)
    wrong_bits = (int.from_bytes(magic) ^ int.from_bytes(MAGIC)).bit_count()
    if wrong_bits > MAGIC_TOLERANCE:
        refuse_format_1(picture, name)
        return None
    if wrong_bits:
        raise altered(name, "an egan picture")
    if version != VERSION:
        raise EganError(
            f"{name} has an egan header of version {version}, "
            "which this egan does not know",
            "a newer egan may read it, if the picture was not altered",
        )
    if length > capacity(shape):
        raise altered(name, "an egan picture")
    everything = bytes_at(picture, positions(shape, length))
    head, found = everything[:-CHECKSUM_BYTES], everything[-CHECKSUM_BYTES:]
    known = kind in Kind.__members__.values()
    if checksum(head, cleared(picture, length)) != found:
        raise altered(name, Kind(kind).words if known else "an egan picture")
    if not known:
        raise EganError(
            f"{name} has an egan header of an unknown kind", "a newer egan may read it"
        )
    return Kind(kind), head[PREFIX.size :]


def refuse_format_1(picture: Picture, name: str) -> None:
    """Raises EganError for a picture of format 1, whose header began in the first row."""
    bits = picture.reshape(-1)[: 8 * FORMAT_1.size] & 1
    magic, version, kind, _ = FORMAT_1.unpack(np.packbits(bits).tobytes())
    if (magic, version) == (MAGIC, 1) and 1 <= kind <= 4:
        raise EganError(
            f"{name} is {Kind(kind).words} of format 1, which egan no longer reads",
            "make new keys with `egan keygen`, and with those the picture again",
        )


def altered(name: str, words: str) -> EganError:
    return EganError(
        f"{name} is {words} that was altered: "
        "its pixels do not have the checksum in its header",
        "one changed pixel is enough; copy the original again, "
        "and never crop, resize or re-encode it",
    )


def expect(picture: Picture, kind: Kind, name: str) -> bytes:
    """The body of a picture that must be of one kind.

    Raises EganError, naming what it is instead.
    """
    found = find(picture, name)
    if found is None:
        was = "it was cropped, resized, re-saved as JPEG or edited"
        hint = {
            Kind.PUBLIC_KEY: "public keys are made by `egan keygen`",
            Kind.PRIVATE_KEY: "private keys are made by `egan keygen`",
            Kind.LOCKED_KEY: "private keys are made by `egan keygen`",
            Kind.DISGUISE: f"if it was one, {was}",
            Kind.SIGNED: f"if it was signed, {was} since",
        }[kind]
        raise EganError(f"{name} is not {kind.words}: it has no egan header", hint)
    if found[0] is not kind:
        swap = Kind.PUBLIC_KEY in (found[0], kind) and (
            found[0] in PRIVATE_KINDS or kind in PRIVATE_KINDS
        )
        hint = "the two keys seem to be swapped" if swap else ""
        if swap and found[0] in PRIVATE_KINDS:
            hint += "; never hand out the private one"
        hint = WRONG_COMMAND.get((found[0], kind), hint)
        raise EganError(f"{name} is {found[0].words}, not {kind.words}", hint)
    return found[1]
