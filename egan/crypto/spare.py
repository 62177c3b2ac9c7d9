"""The spare envelope: a second seal of seed and boxes, laid into the picture so that JPEG and noise leave it readable.

Models trained with `--robust` decode disguises that were altered on the way, but their pixel header is gone by then. So
`encrypt` writes the seed a second time: HPKE again, Reed-Solomon code words, and quantisation index modulation (Chen and
Wornell 2001) of how the means of neighbouring 4x4 cells differ. The carriers of a robust payload have no mean in any cell, so
the two do not disturb each other. What the first envelope proves of the pixels this one does not: it opens for the right
key whatever was done to the picture, so nothing is decoded by it without `--force`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from numpy.typing import NDArray
from reedsolo import ReedSolomonError, RSCodec

from egan.crypto.envelope import BOX
from egan.crypto.header import Picture
from egan.crypto.keys import PrivateKey, PublicKey
from egan.crypto.keystream import SEED_BYTES
from egan.pictures.boxes import Box

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
INFO = b"egan/2 spare envelope"
MOST_BOXES = 4  # more do not fit; `decrypt` then knows the first four only
CONTENT_BYTES = SEED_BYTES + 1 + MOST_BOXES * BOX.size
SEALED_BYTES = 32 + CONTENT_BYTES + 16  # encapsulated key, ciphertext, tag
WORDS = 2  # Reed-Solomon code words, their bytes in turn
LONGEST = 255  # bytes of a code word over GF(256)
LEAST_PARITY = 16  # bytes a word; a picture with less room gets no spare
STEP = 48.0  # of the quantiser, in 8-bit levels times 8: a change of at most 3 levels by each pattern
SHARPENING = (
    0.0,
    0.025,
    0.05,
    0.075,
)  # tried when reading: resizing and back blurs, and this undoes it
LUMA = np.array([0.299, 0.587, 0.114])  # JPEG's
# How the means of the 2x2 cells of 8x8 pixels differ: across, down, and both; orthonormal over the 64 pixels.
PATTERNS = np.array([[[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]) / 8.0


def room(height: int, width: int) -> int:
    """Bytes of a code word that fit into a picture; 0 where they are too few."""
    bits = len(PATTERNS) * (height // 8) * (width // 8)
    length = min(LONGEST, bits // 8 // WORDS)
    return length if length >= -(-SEALED_BYTES // WORDS) + LEAST_PARITY else 0


def add(
    disguise: Picture,
    public: PublicKey,
    seed: bytes,
    boxes: tuple[Box, ...],
    weights: bytes,
) -> Picture:
    """A copy of the disguise, uint8 (H, W, 3), with a spare envelope; the picture as it is where that has no room.

    Before `envelope.seal`, which binds to all pixels.
    """
    length = room(*disguise.shape[:2])
    if not length:
        return disguise
    kept = boxes[:MOST_BOXES]
    packed = b"".join(BOX.pack(*box) for box in kept).ljust(
        MOST_BOXES * BOX.size, b"\0"
    )
    content = seed + bytes([len(kept)]) + packed
    sealed = SUITE.encrypt(content, public.x25519, info=INFO + weights)
    return write_bits(disguise, np.unpackbits(coded(sealed, length)))


def find(
    picture: Picture, private: PrivateKey, weights: bytes
) -> tuple[bytes, tuple[Box, ...]] | None:
    """Seed and boxes of a picture that may have been altered; None where there is no spare that this key opens."""
    height, width = picture.shape[:2]
    length = room(height, width)
    if not length:
        return None
    sums = cell_sums(picture)
    for sharpening in SHARPENING:
        soft = read_bits(sharpened(sums, sharpening), 8 * WORDS * length)
        content = opened(decoded(np.packbits(soft > 0), length), private, weights)
        if content is not None:
            break
    else:
        return None
    boxes = tuple(
        BOX.unpack_from(content, SEED_BYTES + 1 + i * BOX.size)
        for i in range(min(content[SEED_BYTES], MOST_BOXES))
    )
    inside = (x + w <= width and y + h <= height and w and h for x, y, w, h in boxes)
    return content[:SEED_BYTES], boxes if all(inside) else ()


def opened(sealed: bytes | None, private: PrivateKey, weights: bytes) -> bytes | None:
    """What is in a seal, or None where there is none or this key does not open it."""
    if sealed is None:
        return None
    try:
        return SUITE.decrypt(sealed, private.x25519, info=INFO + weights)
    except (InvalidTag, ValueError):
        return None


def lengths() -> list[int]:
    """Bytes of the sealed envelope in each word."""
    return [len(range(i, SEALED_BYTES, WORDS)) for i in range(WORDS)]


def coded(sealed: bytes, length: int) -> NDArray[np.uint8]:
    """The bytes as WORDS code words of `length` bytes, in turn."""
    words = [
        RSCodec(length - size, nsize=LONGEST).encode(sealed[i::WORDS])
        for i, size in enumerate(lengths())
    ]
    return np.array([list(word) for word in words], np.uint8).T.reshape(-1)


def decoded(found: NDArray[np.uint8], length: int) -> bytes | None:
    """The inverse of `coded`, with as many wrong bytes as half of the parity mended; None where there are more."""
    sealed = np.zeros(SEALED_BYTES, np.uint8)
    for i, size in enumerate(lengths()):
        try:
            word = RSCodec(length - size, nsize=LONGEST).decode(
                bytearray(found[i::WORDS])
            )[0]
        except ReedSolomonError:
            return None
        sealed[i::WORDS] = np.frombuffer(bytes(word), np.uint8)
    return sealed.tobytes()


def cell_sums(picture: Picture) -> NDArray[np.float64]:
    """The luma of uint8 (H, W, 3), summed over 4x4 cells: an even number of rows and columns of them."""
    luma = picture.astype(np.float64) @ LUMA
    rows, columns = (2 * (side // 8) for side in luma.shape)
    return luma[: 4 * rows, : 4 * columns].reshape(rows, 4, columns, 4).sum((1, 3))


def sharpened(sums: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Every cell with `strength` times its difference to each of its four neighbours added."""
    edged = np.pad(sums, 1, mode="edge")
    around = edged[:-2, 1:-1] + edged[2:, 1:-1] + edged[1:-1, :-2] + edged[1:-1, 2:]
    return sums + strength * (4 * sums - around)


def cell_differences(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """The coefficients (P, H/8, W/8) of PATTERNS in sums of cells (H/4, W/4)."""
    rows, columns = sums.shape
    return np.einsum(
        "hawb,pab->phw", sums.reshape(rows // 2, 2, columns // 2, 2), PATTERNS
    )


def order(shape: Sequence[int], bits: int) -> NDArray[np.int64]:
    """Which bit each coefficient (P, H/8, W/8) carries: the bits of one byte lie side by side, so that what hurts a place
    in the picture hurts few bytes; every bit as often as any other or once more.
    """
    patterns, height, width = shape
    return (
        (np.arange(patterns * height * width) % bits)
        .reshape(height, width, patterns)
        .transpose(2, 0, 1)
    )


def write_bits(picture: Picture, bits: NDArray[np.uint8]) -> Picture:
    """A copy whose coefficients lie a quarter of STEP above (bit 1) or below (bit 0) a multiple of STEP."""
    found = cell_differences(cell_sums(picture))
    sign = (2.0 * bits - 1)[order(found.shape, bits.size)] * (STEP / 4)
    change = STEP * np.round((found - sign) / STEP) + sign - found
    cells = np.einsum("phw,pab->hawb", change, PATTERNS).reshape(
        2 * found.shape[1], 2 * found.shape[2]
    )
    out = picture.astype(np.float64)
    out[: 4 * cells.shape[0], : 4 * cells.shape[1]] += np.kron(cells, np.ones((4, 4)))[
        ..., None
    ]
    return np.clip(np.round(out), 0, 255).astype(np.uint8)


def read_bits(sums: NDArray[np.float64], bits: int) -> NDArray[np.float64]:
    """How surely each bit is 1 in sums of cells: positive for 1, negative for 0, summed over the slots that carry it."""
    found = cell_differences(sums)
    soft = np.sin(2 * np.pi * found / STEP)
    return np.bincount(
        order(found.shape, bits).reshape(-1), soft.reshape(-1), bits
    ).astype(np.float64)
