"""The phase lock: exact inverse, the published cipher, and uniform bytes whatever the message."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egan.core.lock import lock, unlock
from egan.crypto.keystream import keystream


@given(st.binary(min_size=1, max_size=300), st.binary(min_size=32, max_size=32))
def test_unlock_undoes_lock(data: bytes, seed: bytes) -> None:
    a = np.frombuffer(data, np.uint8)
    k = keystream(seed, a.shape)
    assert (unlock(lock(a, k), k) == a).all()


def test_keystream_is_chacha20_of_the_rfc() -> None:
    # RFC 8439, appendix A.1, test vector 1: key, nonce and counter zero
    expected = "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
    assert keystream(bytes(32), (4, 4, 4)).tobytes().hex() == expected


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        keystream(bytes(31), (4,))


def test_lock_wraps_around() -> None:
    assert lock(np.uint8([250]), np.uint8([10])).tolist() == [4]
    assert unlock(np.uint8([4]), np.uint8([10])).tolist() == [250]


@pytest.mark.parametrize("message", [0, 77, 255])
def test_locked_bytes_of_a_fixed_message_are_uniform(message: int) -> None:
    """Chi-square over 256 bins of 2^20 bytes: mean 255, standard deviation 22.6; 400 is six deviations away."""
    a = np.full(1 << 20, message, np.uint8)
    counts = np.bincount(
        lock(a, keystream(bytes([message]) * 32, a.shape)), minlength=256
    )
    expected = a.size / 256
    assert ((counts - expected) ** 2 / expected).sum() < 400
    # the control: the same test catches a keystream that is a little off
    biased = lock(a, np.minimum(keystream(bytes(32), a.shape), 250))
    counts = np.bincount(biased, minlength=256)
    assert ((counts - expected) ** 2 / expected).sum() > 400


def test_locked_bytes_do_not_depend_on_the_message_in_distribution() -> None:
    """Over all 256 keystream bytes, every message byte gives every locked byte exactly once: the one-time pad."""
    every = np.arange(256, dtype=np.uint8)
    for a in range(256):
        assert sorted(lock(np.full(256, a, np.uint8), every).tolist()) == list(
            range(256)
        )
