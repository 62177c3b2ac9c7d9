"""The pixel header: bytes in the least significant bits of a picture's first samples, rows first, R, G, B in turn.

Layout: magic "EGAN", version, kind, length of the body (2 bytes, big-endian), body, then the first 8 bytes of the
SHA-256 over the shape, all of that, and the pixels with the header's bits zeroed. Keys and disguises carry it, so they
are plain PNGs without metadata and survive any lossless re-save. The checksum finds accidents; proof against an
adversary is the envelope's.
"""

from __future__ import annotations

import enum
import hashlib
import struct

import numpy as np
from numpy.typing import NDArray

from egan.errors import EganError

Picture = NDArray[np.uint8]

MAGIC = b"EGAN"
VERSION = 1
PREFIX = struct.Struct(">4sBBH")
CHECKSUM_BYTES = 8
MAGIC_TOLERANCE = 2  # wrong bits of 32 that still mean a damaged header; by chance 1 picture in 8 million


class Kind(enum.IntEnum):
    """What a picture with a pixel header is."""

    PUBLIC_KEY = 1
    PRIVATE_KEY = 2
    DISGUISE = 3
    SIGNED = 4

    @property
    def words(self) -> str:
        return ("a public key", "a private key", "a disguise", "a signed picture")[
            self - 1
        ]


WRONG_COMMAND = {
    (Kind.SIGNED, Kind.DISGUISE): "check it with `egan verify`",
    (Kind.DISGUISE, Kind.SIGNED): "open it with `egan decrypt`",
}


def header_bits(body: int) -> int:
    """Samples that a header with a body of `body` bytes takes."""
    return 8 * (PREFIX.size + body + CHECKSUM_BYTES)


def cleared(picture: Picture, body: int) -> Picture:
    """A copy of uint8 (H, W, 3) with the bits that such a header would use set to zero.

    Raises EganError where the picture is too small.
    """
    bits = header_bits(body)
    if picture.size < bits:
        raise EganError(
            f"a picture of {picture.shape[1]}x{picture.shape[0]} pixels is too small"
        )
    flat = picture.reshape(-1).copy()
    flat[:bits] &= 0xFE
    return flat.reshape(picture.shape)


def pixel_digest(picture: Picture, body: int) -> bytes:
    """SHA-256 over shape and pixels of uint8 (H, W, 3), with the bits of a header with that body zeroed.

    What seals and signatures are bound to: all that a viewer sees, and nothing of the header, which is written after.
    """
    shape = struct.pack(">II", *picture.shape[:2])
    return hashlib.sha256(shape + cleared(picture, body).tobytes()).digest()


def checksum(head: bytes, clean: Picture) -> bytes:
    shape = struct.pack(">II", *clean.shape[:2])
    return hashlib.sha256(shape + head + clean.tobytes()).digest()[:CHECKSUM_BYTES]


def embed(picture: Picture, kind: Kind, body: bytes) -> Picture:
    """A copy of uint8 (H, W, 3) with the header written: no sample moves by more than one level."""
    clean = cleared(picture, len(body))
    head = PREFIX.pack(MAGIC, VERSION, kind, len(body)) + body
    bits = np.unpackbits(np.frombuffer(head + checksum(head, clean), np.uint8))
    clean.reshape(-1)[: bits.size] |= bits
    return clean


def claimed_kind(picture: Picture) -> Kind | None:
    """What the header of uint8 (H, W, 3) says the picture is, whether or not that is true."""
    flat = picture.reshape(-1)
    if flat.size < header_bits(0):
        return None
    prefix = np.packbits(flat[: 8 * PREFIX.size] & 1).tobytes()
    magic, _, kind, _ = PREFIX.unpack(prefix)
    known = magic == MAGIC and kind in Kind.__members__.values()
    return Kind(kind) if known else None


def find(picture: Picture, name: str = "the picture") -> tuple[Kind, bytes] | None:
    """Kind and body of a picture's header; None where it has none.

    Raises EganError, naming the file `name`, where there is one but the picture is damaged or made by a newer egan.
    """
    flat = picture.reshape(-1)
    if flat.size < header_bits(0):
        return None
    prefix = np.packbits(flat[: 8 * PREFIX.size] & 1).tobytes()
    magic, version, kind, length = PREFIX.unpack(prefix)
    wrong_bits = (int.from_bytes(magic) ^ int.from_bytes(MAGIC)).bit_count()
    if wrong_bits > MAGIC_TOLERANCE:
        return None
    if wrong_bits:
        raise altered(name, "an egan picture")
    if version != VERSION:
        raise EganError(
            f"{name} has an egan header of version {version}, which this egan does not know",
            "a newer egan may read it, if the picture was not altered",
        )
    if flat.size < header_bits(length):
        raise altered(name, "an egan picture")
    everything = np.packbits(flat[: header_bits(length)] & 1).tobytes()
    head, found = everything[:-CHECKSUM_BYTES], everything[-CHECKSUM_BYTES:]
    known = kind in Kind.__members__.values()
    if checksum(head, cleared(picture, length)) != found:
        raise altered(name, Kind(kind).words if known else "an egan picture")
    if not known:
        raise EganError(
            f"{name} has an egan header of an unknown kind", "a newer egan may read it"
        )
    return Kind(kind), head[PREFIX.size :]


def altered(name: str, words: str) -> EganError:
    return EganError(
        f"{name} is {words} that was altered: its pixels do not have the checksum in its header",
        "one changed pixel is enough; copy the original again, and never crop, resize or re-encode it",
    )


def expect(picture: Picture, kind: Kind, name: str) -> bytes:
    """The body of a picture that must be of one kind; raises EganError naming what it is instead."""
    found = find(picture, name)
    if found is None:
        hint = {
            Kind.PUBLIC_KEY: "public keys are made by `egan keygen`",
            Kind.PRIVATE_KEY: "private keys are made by `egan keygen`",
            Kind.DISGUISE: "if it was one, it was cropped, resized, re-saved as JPEG or edited; only disguises of --weights robust survive some of that",
            Kind.SIGNED: "if it was signed, it was cropped, resized, re-saved as JPEG or edited since",
        }[kind]
        raise EganError(f"{name} is not {kind.words}: it has no egan header", hint)
    if found[0] is not kind:
        swap = {found[0], kind} == {Kind.PUBLIC_KEY, Kind.PRIVATE_KEY}
        hint = "the two keys seem to be swapped" if swap else ""
        if swap and found[0] is Kind.PRIVATE_KEY:
            hint += "; never hand out the private one"
        hint = WRONG_COMMAND.get((found[0], kind), hint)
        raise EganError(f"{name} is {found[0].words}, not {kind.words}", hint)
    return found[1]
