"""The phase lock: a stream cipher on bytes, between a generator's encoder and its
decoder (DESIGN 3).

Phases are bytes a in Z_256, meaning exp(2 pi i a / 256). Adding a uniform keystream
byte makes a uniform byte that is independent of the message: the one-time pad on Z_256,
with ChaCha20 as the pad.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def lock(phases: Bytes, key: Bytes) -> Bytes:
    """b = (a + k) mod 256, elementwise on uint8 of one shape."""
    return np.add(phases, key, dtype=np.uint8)


def unlock(phases: Bytes, key: Bytes) -> Bytes:
    """a = (b - k) mod 256: unlock(lock(a, k), k) == a."""
    return np.subtract(phases, key, dtype=np.uint8)
