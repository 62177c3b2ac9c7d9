"""Properties of keys and envelopes that hold for every input, tried with hypothesis."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egan.crypto import envelope, signatures
from egan.crypto.keys import PrivateKey, PublicKey, make_pair, read_private, read_public
from egan.crypto.signatures import NotVerified
from egan.errors import EganError
from egan.pictures.boxes import MOST_BOXES

SIDE = 64
pixels = st.integers(0, 2**32 - 1).map(
    lambda seed: np.random.default_rng(seed).integers(
        0, 256, (SIDE, SIDE, 3), dtype=np.uint8
    )
)
weights_ids = st.binary(min_size=16, max_size=16)
seeds = st.binary(min_size=32, max_size=32)


@st.composite
def boxes(draw: st.DrawFn) -> tuple[tuple[int, int, int, int], ...]:
    """Up to sixteen boxes inside of the picture."""
    made = []
    for _ in range(draw(st.integers(0, MOST_BOXES))):
        x, y = draw(st.integers(0, SIDE - 1)), draw(st.integers(0, SIDE - 1))
        made.append(
            (x, y, draw(st.integers(1, SIDE - x)), draw(st.integers(1, SIDE - y)))
        )
    return tuple(made)


def pair(seed: int) -> tuple[PrivateKey, PublicKey]:
    random = np.random.default_rng(seed)
    a, b = (random.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8) for _ in range(2))
    return make_pair(a, b, b"weights of tests")


ANNA, BERT = pair(1), pair(2)


@settings(max_examples=40, deadline=None)
@given(pixels, pixels, weights_ids)
def test_a_key_pair_comes_back_from_its_pictures(
    x: np.ndarray, y: np.ndarray, weights: bytes
) -> None:
    private, public = make_pair(x, y, weights)
    # A random level, and the header's bit.
    assert np.abs(private.picture.astype(int) - x).max() <= 2
    assert np.abs(public.picture.astype(int) - y).max() <= 1
    again = read_public(public.picture, "pub.png")
    assert (again.fingerprint, again.network) == (private.fingerprint, weights)
    assert read_private(private.picture, "priv.png").fingerprint == private.fingerprint
    for picture, read in (
        (private.picture, read_public),
        (public.picture, read_private),
    ):
        with pytest.raises(EganError):
            read(picture, "the wrong one")


@settings(max_examples=40, deadline=None)
@given(pixels, seeds, boxes(), weights_ids, st.booleans())
def test_an_envelope_opens_to_what_was_sealed_and_only_for_its_receiver(
    picture: np.ndarray, seed: bytes, places: tuple, weights: bytes, signed: bool
) -> None:
    letter = envelope.Letter(seed, (SIDE, SIDE), places)
    signing = envelope.Signing(ANNA[0]) if signed else None
    sealed = envelope.seal(picture, [BERT[1]], letter, weights, signing)
    assert np.abs(sealed.astype(int) - picture).max() <= 1
    opened = envelope.unseal(sealed, BERT[0], "it")
    assert opened is not None
    assert (opened.seed, opened.boxes) == (seed, places)
    sender = opened.sender.fingerprint if opened.sender else None
    assert sender == (ANNA[0].fingerprint if signed else None)
    assert envelope.weights_of(sealed, "it") == weights
    assert envelope.unseal(sealed, ANNA[0], "it") is None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, SIDE * SIDE * 3 - 1), st.integers(0, 7))
def test_no_bit_of_a_disguise_or_a_signed_picture_can_be_changed(
    at: int, bit: int
) -> None:
    picture = np.random.default_rng(7).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    for made, check in (
        (
            envelope.seal(
                picture,
                [BERT[1]],
                envelope.Letter(bytes(32), (SIDE, SIDE)),
                b"weights of tests",
            ),
            opens,
        ),
        (
            signatures.attach(
                picture, ANNA[0], b"weights of tests", bytes(32), picture
            ),
            verifies,
        ),
    ):
        assert check(made)
        made.reshape(-1)[at] ^= 1 << bit
        assert not check(made)


def opens(picture: np.ndarray) -> bool:
    try:
        return envelope.unseal(picture, BERT[0], "it") is not None
    except EganError:
        return False


def verifies(picture: np.ndarray) -> bool:
    try:
        return signatures.by(picture, ANNA[1], "it").signer == ANNA[1].identity
    except (EganError, NotVerified):
        return False
