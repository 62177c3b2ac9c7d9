"""The algorithms that egan relies on, against the vectors of their standards."""

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.bindings._rust import openssl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from egan.crypto import keys, points
from egan.crypto.envelope import SUITE
from egan.errors import EganError

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
P = points.P


def opened(suite: Suite, private: object, vector: dict[str, str]) -> bytes:
    """The plaintext of an HPKE vector: base mode, sequence number 0."""
    enc, ct, info, aad = (
        bytes.fromhex(vector[k]) for k in ("enc", "ct", "info", "aad")
    )
    return openssl.hpke._decrypt_with_aad(suite, enc + ct, private, info=info, aad=aad)


def test_the_suite_of_envelopes_opens_the_vector_of_its_draft() -> None:
    vector = VECTORS["MLKEM768-X25519, HKDF-SHA256, ChaCha20Poly1305"]
    # X-Wing makes both private keys of a seed of 32 bytes
    seed = hashlib.shake_256(bytes.fromhex(vector["skRm"])).digest(96)
    mlkem = MLKEM768PrivateKey.from_seed_bytes(seed[:64])
    x25519 = X25519PrivateKey.from_private_bytes(seed[64:])
    parts = (mlkem.public_key(), x25519.public_key())
    public = b"".join(part.public_bytes_raw() for part in parts)
    assert public.hex() == vector["pkRm"]
    private = MLKEM768X25519PrivateKey(mlkem, x25519)
    assert opened(SUITE, private, vector) == bytes.fromhex(vector["pt"])


def test_hpke_with_x25519_opens_the_vector_of_rfc_9180() -> None:
    # Appendix A.2.1.
    vector = {
        "info": "4f6465206f6e2061204772656369616e2055726e",
        "enc": "1afa08d3dec047a643885163f1180476fa7ddb54c6a8029ea33f95796bf2ac4a",
        "aad": "436f756e742d30",
        "ct": "1c5250d8034ec2b784ba2cfd69dbdb8af406cfe3ff938e131f0def8c8b60b4db"
        "21993c62ce81883d2dd1b51a28",
    }
    secret = "8057991eef8f1f1af18f4a9491d16a1ce333f695d4db8e38da75975c4478e0fb"
    private = X25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    suite = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
    assert opened(suite, private, vector) == b"Beauty is truth, truth beauty"


def test_ml_kem_768_is_that_of_fips_203() -> None:
    vector = {k: bytes.fromhex(v) for k, v in VECTORS["ML-KEM-768"].items()}
    private = MLKEM768PrivateKey.from_seed_bytes(vector["seed"])
    assert private.public_key().public_bytes_raw() == vector["pk"]
    assert private.decapsulate(vector["ct"]) == vector["ss"]


def test_ed25519_signs_as_rfc_8032_does() -> None:
    # section 7.1, test 2
    secret = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
    signature = (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    private = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    assert private.sign(b"\x72").hex() == signature


def test_hkdf_is_that_of_rfc_5869() -> None:
    # appendix A.3: SHA-256, no salt, no info
    expected = (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
        "9d201395faa4b61a96c8"
    )
    assert keys.hkdf(b"\x0b" * 22, b"", 42).hex() == expected


def test_scrypt_is_that_of_rfc_7914() -> None:
    # section 12, second vector
    derived = Scrypt(b"NaCl", 64, 1024, 8, 16).derive(b"password")
    assert derived.hex().startswith("fdbabe1c9d3472007856e7190d01e9fe")


# Points that no honest key is


def small_order() -> list[bytes]:
    """All encodings of the eight points of small order, non-canonical ones too."""
    found = []
    for y in points.SMALL_Y:
        for number in (y, y + P):
            if number < 2**255:
                found += [number | sign << 255 for sign in (0, 1)]
    return [number.to_bytes(32, "little") for number in found]


@pytest.mark.parametrize("point", small_order(), ids=bytes.hex)
def test_ed25519_keys_of_small_order_are_refused(point: bytes) -> None:
    with pytest.raises(ValueError):
        points.check_ed25519(point)


def test_other_ed25519_keys_that_are_no_points_are_refused() -> None:
    honest = int.from_bytes(
        Ed25519PrivateKey.generate().public_key().public_bytes_raw(), "little"
    )
    y = honest % 2**255
    # Half of all numbers are no y of a point.
    while True:
        y += 1
        try:
            points.check_ed25519(y.to_bytes(32, "little"))
        except ValueError as error:
            assert str(error) == "not a point of the curve"
            break
    for wrong in (bytes(31), bytes(33), (P + 3).to_bytes(32, "little")):
        with pytest.raises(ValueError, match="canonical"):
            points.check_ed25519(wrong)


def test_x25519_keys_of_small_order_or_with_a_second_encoding_are_refused() -> None:
    numbers = [u + P for u in range(19)] + [9 | 1 << 255, *points.SMALL_U]
    for number in numbers:
        with pytest.raises(ValueError):
            points.check_x25519(number.to_bytes(32, "little"))


def test_honest_keys_are_taken() -> None:
    for _ in range(20):
        for kind, check in (
            (Ed25519PrivateKey, points.check_ed25519),
            (X25519PrivateKey, points.check_x25519),
        ):
            check(kind.generate().public_key().public_bytes_raw())


def test_openssl_refuses_what_is_listed_here_as_small_order() -> None:
    for u in points.SMALL_U:
        point = X25519PublicKey.from_public_bytes(u.to_bytes(32, "little"))
        with pytest.raises(ValueError):
            X25519PrivateKey.generate().exchange(point)


def test_an_openssl_without_ml_kem_is_named_in_one_line(monkeypatch) -> None:
    def missing(_seed: bytes) -> None:
        raise UnsupportedAlgorithm("ML-KEM-768 is not supported")

    monkeypatch.setattr(MLKEM768PrivateKey, "from_seed_bytes", missing, raising=False)
    key = keys.PrivateKey.__new__(keys.PrivateKey)
    monkeypatch.setattr(keys.PrivateKey, "seed", bytes(32))
    with pytest.raises(EganError, match="has no ML-KEM") as caught:
        _ = key.mlkem
    assert "pip install" in caught.value.hint and "\n" not in str(caught.value)
