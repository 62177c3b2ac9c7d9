"""Keys and envelopes: HPKE against RFC 9180, what opens and what does not, and what a header costs."""

import numpy as np
import pytest
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from egan.crypto import envelope, header, keys
from egan.crypto.envelope import SUITE
from egan.errors import EganError

RNG = np.random.default_rng(11)


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pair() -> tuple[keys.PrivateKey, keys.PublicKey]:
    return keys.make_pair(noise(), noise(), b"weights!")


def test_suite_opens_the_vector_of_rfc_9180() -> None:
    # RFC 9180, A.2.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20Poly1305, base mode, sequence number 0
    info = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
    enc = bytes.fromhex(
        "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a"
    )
    private = X25519PrivateKey.from_private_bytes(
        bytes.fromhex(
            "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"
        )
    )
    ciphertext = bytes.fromhex(
        "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db21993c62ce81883d2dd1b51a28"
    )
    opened = openssl.hpke._decrypt_with_aad(
        SUITE, enc + ciphertext, private, info=info, aad=bytes.fromhex("436f756e742d30")
    )
    assert opened == b"Beauty is truth, truth beauty"


def test_envelope_opens_with_the_right_key_alone(pair) -> None:
    private, public = pair
    boxes = ((1, 2, 30, 40), (0, 0, 64, 64))
    sealed = envelope.seal(noise(), public, b"s" * 32, boxes, b"weights!")
    assert envelope.unseal(sealed, private, "d.png") == envelope.Opened(
        b"s" * 32, boxes
    )
    other, _ = keys.make_pair(noise(), noise(), b"weights!")
    assert envelope.unseal(sealed, other, "d.png") is None


@pytest.mark.parametrize("point", [0, 1], ids=["zero", "one"])
def test_a_public_key_with_which_anyone_could_open_is_refused(point: int) -> None:
    body = keys.BODY.pack(b"weights!", point.to_bytes(32, "little"), bytes(32))
    with pytest.raises(EganError, match="the public key's header is damaged"):
        keys.read_public(header.embed(noise(), header.Kind.PUBLIC_KEY, body), "pub.png")


def test_any_changed_sample_is_refused(pair) -> None:
    private, public = pair
    sealed = envelope.seal(noise(), public, b"s" * 32, (), b"weights!")
    for index in (0, 47, 100, 700, 5000, sealed.size - 1):
        changed = sealed.copy()
        changed.reshape(-1)[index] ^= 1 if index > 31 else 2
        with pytest.raises(EganError, match="altered"):
            envelope.unseal(changed, private, "d.png")


def test_an_adversary_who_mends_the_checksum_is_refused_by_hpke(pair) -> None:
    private, public = pair
    sealed = envelope.seal(noise(), public, b"s" * 32, (), b"weights!")
    found = header.find(sealed)
    assert found is not None
    moved = sealed.copy()
    moved[-1, -1, -1] ^= 128
    assert envelope.unseal(header.embed(moved, *found), private, "d.png") is None
    assert envelope.unseal(header.embed(sealed, *found), private, "d.png") is not None
    swapped = header.embed(sealed, found[0], b"WEIGHTS?" + found[1][8:])
    assert envelope.unseal(swapped, private, "d.png") is None


def test_a_sealed_picture_moves_by_one_level_at_most_and_has_one_length(pair) -> None:
    _, public = pair
    picture = noise()
    lengths = set()
    for boxes in ((), ((0, 0, 1, 1),), ((0, 0, 1, 1),) * 16):
        sealed = envelope.seal(picture, public, b"s" * 32, boxes, b"weights!")
        assert np.abs(sealed.astype(int) - picture).max() <= 1
        found = header.find(sealed)
        assert found is not None
        lengths.add(len(found[1]))
    assert lengths == {envelope.BODY_BYTES}
    with pytest.raises(EganError, match="17 messages"):
        envelope.seal(picture, public, b"s" * 32, ((0, 0, 1, 1),) * 17, b"weights!")


def test_two_seals_of_one_picture_differ(pair) -> None:
    _, public = pair
    picture = noise()
    first, second = (
        envelope.seal(picture, public, b"s" * 32, (), b"weights!") for _ in range(2)
    )
    assert (first != second).any()


def test_a_picture_too_small_for_the_header_is_refused(pair) -> None:
    with pytest.raises(EganError, match="too small"):
        envelope.seal(noise(16, 16), pair[1], b"s" * 32, (), b"weights!")


def test_one_level_in_one_pixel_is_another_private_key(pair) -> None:
    private, _ = pair
    changed = private.picture.copy()
    changed[40, 40, 1] ^= 1
    assert keys.PrivateKey(changed).seed != private.seed
    with pytest.raises(EganError, match="altered"):
        keys.read_private(changed, "priv.png")


def test_two_pairs_from_one_face_differ_and_stay_near_it() -> None:
    face, flower = noise(), noise()
    (one, pub1), (two, pub2) = (
        keys.make_pair(face, flower, b"weights!") for _ in range(2)
    )
    assert one.seed != two.seed
    assert pub1.fingerprint != pub2.fingerprint
    moved = one.picture.astype(int) - face
    assert np.abs(moved).max() <= 2  # one level of noise, one of the header
    counts = np.bincount((moved[20:] + 1).ravel(), minlength=3)
    assert (np.abs(counts / counts.sum() - 1 / 3) < 0.03).all()


def test_private_key_knows_its_public_fingerprint_and_shows_no_secret(pair) -> None:
    private, public = pair
    assert private.fingerprint == public.fingerprint
    assert keys.read_public(public.picture, "pub.png").fingerprint == public.fingerprint
    assert private.seed.hex() not in repr(private)
    assert repr(private) == "PrivateKey(...)"


def test_forced_keystream_depends_on_key_and_picture(pair) -> None:
    private, _ = pair
    other, _ = keys.make_pair(noise(), noise(), b"weights!")
    seeds = {
        k.wrong_keystream_seed(d)
        for k in (private, other)
        for d in (b"a" * 32, b"b" * 32)
    }
    assert len(seeds) == 4
