"""The envelope of a disguise: keystream seed and message boxes, sealed by HPKE (RFC 9180) to the public key.

DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, base mode, one call. The info string binds the seal to the
SHA-256 of the disguise's pixels with the header's bits zeroed, and to the weights that made it, so opening it proves
the right key and that no pixel was altered. The sealed bytes lie in the pixel header. Their length is the same whether
there is a message or not.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from egan import header
from egan.errors import EganError
from egan.header import Kind, Picture
from egan.keys import PrivateKey, PublicKey
from egan.lock import SEED_BYTES

Box = tuple[int, int, int, int]  # x, y, width, height in pixels from the top left

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
INFO = b"egan/1 encrypt"
MOST_BOXES = 16
BOX = struct.Struct(">4H")
WEIGHTS_BYTES = 8
CONTENT_BYTES = SEED_BYTES + 1 + MOST_BOXES * BOX.size
SEALED_BYTES = 32 + CONTENT_BYTES + 16  # encapsulated key, ciphertext, tag
BODY_BYTES = WEIGHTS_BYTES + SEALED_BYTES


@dataclass(frozen=True)
class Opened:
    """What an envelope holds."""

    seed: bytes
    boxes: tuple[Box, ...]


def pixel_digest(disguise: Picture) -> bytes:
    """SHA-256 over shape and pixels of uint8 (H, W, 3), the header's bits zeroed."""
    shape = struct.pack(">II", *disguise.shape[:2])
    return hashlib.sha256(shape + header.cleared(disguise, BODY_BYTES).tobytes()).digest()


def bound_info(disguise: Picture, weights: bytes) -> bytes:
    return INFO + pixel_digest(disguise) + weights


def seal(
    disguise: Picture, public: PublicKey, seed: bytes, boxes: tuple[Box, ...], weights: bytes
) -> Picture:
    """A copy of the disguise, uint8 (H, W, 3), with the envelope in its pixel header.

    Raises EganError for more than 16 boxes or a picture too small for the header.
    """
    if len(boxes) > MOST_BOXES:
        raise EganError(f"{len(boxes)} messages in one picture", f"the most is {MOST_BOXES}")
    packed = b"".join(BOX.pack(*box) for box in boxes).ljust(MOST_BOXES * BOX.size, b"\0")
    sealed = SUITE.encrypt(
        seed + bytes([len(boxes)]) + packed, public.encryption, info=bound_info(disguise, weights)
    )
    return header.embed(disguise, Kind.DISGUISE, weights + sealed)


def weights_of(disguise: Picture, name: str) -> bytes:
    """Id of the weights that made a disguise; raises EganError, naming the file, where it is no whole disguise."""
    body = header.expect(disguise, Kind.DISGUISE, name)
    if len(body) != BODY_BYTES:
        raise EganError(f"{name}: the disguise's header is damaged")
    return body[:WEIGHTS_BYTES]


def unseal(disguise: Picture, private: PrivateKey, name: str) -> Opened | None:
    """The content of a disguise's envelope; None where this key does not open it.

    Raises EganError, naming the file, where the picture is no whole disguise.
    """
    weights = weights_of(disguise, name)
    sealed = header.expect(disguise, Kind.DISGUISE, name)[WEIGHTS_BYTES:]
    try:
        content = SUITE.decrypt(sealed, private.decryption, info=bound_info(disguise, weights))
    except (InvalidTag, ValueError):
        return None
    count = content[SEED_BYTES]
    if len(content) != CONTENT_BYTES or count > MOST_BOXES:
        raise EganError(f"{name}: the envelope's content is of an unknown form")
    boxes = tuple(BOX.unpack_from(content, SEED_BYTES + 1 + i * BOX.size) for i in range(count))
    height, width = disguise.shape[:2]
    for x, y, w, h in boxes:
        if x + w > width or y + h > height or not (w and h):
            raise EganError(f"{name}: the envelope names a box outside of the picture")
    return Opened(content[:SEED_BYTES], boxes)
