"""Private keys with a passphrase: what opens them, and what their headers may say."""

import numpy as np
import pytest

from egan.crypto import header, keys, passphrase
from egan.crypto.header import Kind
from egan.errors import EganError

RNG = np.random.default_rng(4)
# log2 of scrypt's N.
QUICK = 4


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def private() -> keys.PrivateKey:
    return keys.make_pair(noise(64, 80), noise(), b"weights of tests")[0]


def test_the_passphrase_gives_the_key_back_sample_for_sample(private) -> None:
    locked = passphrase.lock(private, "correct horse", QUICK)
    assert passphrase.is_locked(locked, "priv.png")
    opened = passphrase.unlock(locked, "correct horse", "priv.png")
    assert (opened.picture == private.picture).all()
    found = passphrase.read_locked(locked, "priv.png")
    assert found.fingerprint == private.fingerprint


def test_a_wrong_passphrase_is_one_line(private) -> None:
    locked = passphrase.lock(private, "correct horse", QUICK)
    for wrong in ("Correct horse", "correct horse ", "", "é"):
        with pytest.raises(passphrase.WrongPassphrase) as caught:
            passphrase.unlock(locked, wrong, "priv.png")
        assert str(caught.value) == "that is not the passphrase of priv.png"
        assert caught.value.status == 1


def test_two_spellings_of_one_passphrase_are_one(private) -> None:
    locked = passphrase.lock(private, "\u00e9t\u00e9", QUICK)
    passphrase.unlock(locked, "e\u0301te\u0301", "priv.png")


def test_a_locked_key_is_noise_that_says_nothing_of_the_key(private) -> None:
    one, two = (passphrase.lock(private, "the same", QUICK) for _ in range(2))
    assert one.shape == (80, 80, 3)
    assert (one != two).mean() > 0.99
    counts = np.bincount(one.reshape(-1), minlength=256)
    # Each level comes 75 times on average.
    assert counts.min() > 30 and counts.max() < 130
    part = private.picture.tobytes()[3000:3032]
    assert part not in one.tobytes()
    with pytest.raises(EganError, match="a private key with a passphrase"):
        keys.read_private(one, "priv.png")
    with pytest.raises(EganError, match="never hand out the private one") as caught:
        raise EganError(hint_of(one))
    assert "swapped" in str(caught.value)


def hint_of(picture: np.ndarray) -> str:
    with pytest.raises(EganError) as caught:
        keys.read_public(picture, "priv.png")
    return caught.value.hint


def test_no_bit_of_the_header_and_no_sample_of_the_key_can_be_altered(private) -> None:
    locked = passphrase.lock(private, "words", QUICK)
    body = header.expect(locked, Kind.LOCKED_KEY, "priv.png")
    for i in range(8 * len(body)):
        broken = bytearray(body)
        broken[i // 8] ^= 1 << i % 8
        made = header.embed(locked, Kind.LOCKED_KEY, bytes(broken))
        with pytest.raises(EganError):
            passphrase.unlock(made, "words", "priv.png")
    for at in (0, 7, 5000):
        changed = locked.copy()
        changed.reshape(-1)[at] ^= 2
        made = header.embed(changed, Kind.LOCKED_KEY, body)
        with pytest.raises(EganError):
            passphrase.unlock(made, "words", "priv.png")


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        ((40, 8, 1), "damaged"),
        ((0, 8, 1), "damaged"),
        ((17, 0, 1), "damaged"),
        ((17, 8, 0), "damaged"),
        ((17, 8, 200), "damaged"),
        ((31, 8, 1), "asks for 2097152 MiB"),
        ((21, 8, 1), "asks for 2048 MiB"),
    ],
)
def test_costs_out_of_bounds_are_refused_before_any_work(costs, words) -> None:
    body = passphrase.BODY.pack(*costs, bytes(16), bytes(64))
    made = header.embed(noise(), Kind.LOCKED_KEY, body)
    with pytest.raises(EganError, match=words):
        passphrase.unlock(made, "words", "priv.png")


def test_an_empty_passphrase_is_refused(private) -> None:
    with pytest.raises(EganError, match="empty"):
        passphrase.lock(private, "", QUICK)


def test_the_costs_of_new_keys_take_128_mebibytes() -> None:
    assert 128 * 2**passphrase.LOG_N * passphrase.R == 128 * 2**20
