"""The phase lock: a stream cipher on bytes, between a generator's encoder and its decoder (DESIGN 3).

Phases are bytes a in Z_256, meaning exp(2 pi i a / 256). Adding a uniform keystream byte makes a uniform byte that is
independent of the message: the one-time pad on Z_256, with ChaCha20 as the pad.
"""

from __future__ import annotations

import math

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

SEED_BYTES = 32


def keystream(seed: bytes, shape: tuple[int, ...]) -> Bytes:
    """ChaCha20 keystream (RFC 8439 block function, 32-byte key `seed`, nonce and counter zero) as uint8 of `shape`.

    A seed is used for one picture only, so the zero nonce never meets the same key twice. Raises ValueError for a
    seed of another length.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a keystream seed has {SEED_BYTES} bytes, not {len(seed)}")
    cipher = Cipher(algorithms.ChaCha20(seed, bytes(16)), mode=None).encryptor()
    return np.frombuffer(cipher.update(bytes(math.prod(shape))), np.uint8).reshape(
        shape
    )


def lock(phases: Bytes, key: Bytes) -> Bytes:
    """b = (a + k) mod 256, elementwise on uint8 of one shape."""
    return np.add(phases, key, dtype=np.uint8)


def unlock(phases: Bytes, key: Bytes) -> Bytes:
    """a = (b - k) mod 256: unlock(lock(a, k), k) == a."""
    return np.subtract(phases, key, dtype=np.uint8)
