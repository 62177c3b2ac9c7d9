"""What the signature of a signed picture is bound to."""

import numpy as np
import pytest

from egan.crypto import envelope, header, keys, signatures
from egan.crypto.header import Kind
from egan.crypto.signatures import NotVerified
from egan.errors import EganError

RNG = np.random.default_rng(21)
WEIGHTS = b"weights of tests"


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[keys.PrivateKey, keys.PublicKey]]:
    return [keys.make_pair(noise(), noise(), WEIGHTS) for _ in range(2)]


def test_every_part_of_a_signature_is_bound(pairs) -> None:
    (private, public), (other, _) = pairs
    secret, salt = noise(), b"n" * 32
    picture = signatures.attach(noise(), private, WEIGHTS, salt, secret)
    found = signatures.by(picture, public, "s.png")
    assert found.commits_to(secret) and not found.commits_to(secret ^ 1)
    assert found.fingerprint == public.fingerprint
    body = header.expect(picture, Kind.SIGNED, "s.png")
    for at in range(len(body)):
        changed = bytearray(body)
        changed[at] ^= 1
        forged = header.embed(picture, Kind.SIGNED, bytes(changed))
        with pytest.raises(EganError, match="not valid|another key"):
            signatures.by(forged, public, "s.png")
    # another's identity in front of the same signature, and another's own signature
    claimed = body[:80] + other.identity + body[144:]
    with pytest.raises(NotVerified, match="not valid"):
        signatures.read(header.embed(picture, Kind.SIGNED, claimed), "s.png")
    with pytest.raises(NotVerified, match="signed by another key"):
        signatures.by(
            signatures.attach(noise(), other, WEIGHTS, salt, secret), public, "s.png"
        )


@pytest.mark.parametrize("point", [1, 2**255 - 20, 0, 1 | 1 << 255, 2**255 - 18])
def test_a_signer_of_small_order_or_with_a_second_encoding_is_refused(
    point: int, pairs
) -> None:
    """The neutral element fits S = 0 and R = itself for every picture."""
    rest = pairs[0][1].identity[32:]
    neutral = (1).to_bytes(32, "little") + bytes(32)
    identity = point.to_bytes(32, "little") + rest
    body = signatures.BODY.pack(WEIGHTS, bytes(32), bytes(32), identity, neutral)
    with pytest.raises(NotVerified, match="not valid"):
        signatures.read(header.embed(noise(), Kind.SIGNED, body), "s.png")


def test_a_signature_of_a_letter_is_none_of_a_picture(pairs) -> None:
    # neither context is the beginning of the other
    (private, public), _ = pairs
    one = envelope.statement(bytes(48), b"slots", bytes(32), b"letter")
    two = signatures.statement(noise(), WEIGHTS, b"n" * 32, b"c" * 32, public.identity)
    assert one.split(b"\0")[0] == b"egan/2 signed letter"
    assert two.split(b"\0")[0] == b"egan/2 signed picture"
    assert private.signing.sign(one) != private.signing.sign(two)


def test_a_signed_picture_that_looks_white_names_its_signer_still(pairs) -> None:
    """The fingerprint covers the look of the public key, whoever shows another one."""
    (private, public), _ = pairs
    picture = signatures.attach(noise(), private, WEIGHTS, bytes(32), noise())
    body = header.expect(public.picture, Kind.PUBLIC_KEY, "pub.png")
    white = np.full_like(public.picture, 254)
    tampered = keys.read_public(header.embed(white, Kind.PUBLIC_KEY, body), "pub.png")
    with pytest.raises(NotVerified, match="signed by another key"):
        signatures.by(picture, tampered, "s.png")
