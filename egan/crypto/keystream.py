"""The keystream of a picture: ChaCha20, from a seed that is used once."""

from __future__ import annotations

import math

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

SEED_BYTES = 32


def keystream(seed: bytes, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """ChaCha20 keystream as uint8 of `shape`: RFC 8439's block function, 32-byte key
    `seed`, nonce and counter zero.

    A seed is used for one picture only, so the zero nonce never meets the same key
    twice. Raises ValueError for a seed of another length.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a keystream seed has {SEED_BYTES} bytes, not {len(seed)}")
    cipher = Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor()
    stream = cipher.update(bytes(math.prod(shape)))
    return np.frombuffer(stream, np.uint8).reshape(shape)
