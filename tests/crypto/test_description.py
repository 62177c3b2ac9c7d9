"""A second writer and reader of egan's pictures, made from FORMAT 2 in egan-security(7) alone.

Nothing of `egan.crypto` is used to build or to take apart what is tested, only to say whether
egan agrees.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import struct

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from egan.crypto import envelope, keys, passphrase, signatures

RNG = np.random.default_rng(8)
WEIGHTS = b"weights of tests"
HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
ORDER = [
    (row, column, channel)
    for places in (
        [(0, 0), (3, 3), (0, 3), (3, 0)],
        [(0, 1), (3, 2), (1, 0), (2, 3), (0, 2), (3, 1), (2, 0), (1, 3)],
        [(1, 1), (2, 2), (1, 2), (2, 1)],
    )
    for channel in (1, 0, 2)
    for row, column in places
]


def noise(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def hkdf(secret: bytes, context: bytes, length: int = 32) -> bytes:
    return HKDF(hashes.SHA256(), length, None, context).derive(secret)


def shape_of(picture: np.ndarray) -> bytes:
    return struct.pack(">II", *picture.shape[:2])


def places(picture: np.ndarray, count: int) -> list[tuple[int, int, int]]:
    height, width, _ = picture.shape
    columns = width // 4
    cells = columns * (height // 4)
    step = max(1, 618034 * cells // 1000000)
    while math.gcd(step, cells) > 1:
        step += 1
    found = []
    for n in range(count):
        cell = n * step % cells
        row, column, channel = ORDER[n // cells]
        found.append(
            (4 * (cell // columns) + row, 4 * (cell % columns) + column, channel)
        )
    return found


def cleared(picture: np.ndarray, body: int) -> np.ndarray:
    out = picture.copy()
    for where in places(picture, 8 * (10 + body + 8)):
        out[where] &= 254
    return out


def digest(picture: np.ndarray, body: int) -> bytes:
    return sha(shape_of(picture), cleared(picture, body).tobytes())


def written(picture: np.ndarray, kind: int, body: bytes) -> np.ndarray:
    head = b"EGAN" + bytes([2, kind]) + len(body).to_bytes(4, "big") + body
    out = cleared(picture, len(body))
    whole = head + sha(shape_of(out), head, out.tobytes())[:8]
    for n, where in enumerate(places(picture, 8 * len(whole))):
        out[where] |= whole[n // 8] >> (7 - n % 8) & 1
    return out


def read(picture: np.ndarray) -> tuple[int, bytes]:
    def bytes_of(count: int) -> bytes:
        bits = [int(picture[where]) & 1 for where in places(picture, 8 * count)]
        return np.packbits(np.array(bits, np.uint8)).tobytes()

    start = bytes_of(10)
    assert start[:5] == b"EGAN\2"
    length = int.from_bytes(start[6:10], "big")
    whole = bytes_of(10 + length + 8)
    clean = cleared(picture, length)
    assert whole[-8:] == sha(shape_of(clean), whole[:-8], clean.tobytes())[:8]
    return start[5], whole[10:-8]


class Public:
    def __init__(self, picture: np.ndarray) -> None:
        kind, body = read(picture)
        assert kind == 1 and len(body) == 16 + 32 + 1184 + 32
        x25519, mlkem, self.ed25519 = body[16:48], body[48:1232], body[1232:]
        rest = sha(b"egan/2 identity\0", x25519, mlkem, digest(picture, len(body)))
        self.identity = self.ed25519 + rest
        self.kem = MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(mlkem),
            X25519PublicKey.from_public_bytes(x25519),
        )


class Private:
    def __init__(self, picture: np.ndarray) -> None:
        assert read(picture)[0] == 2
        seed = hkdf(shape_of(picture) + picture.tobytes(), b"egan/2 private key")
        self.kem = MLKEM768X25519PrivateKey(
            MLKEM768PrivateKey.from_seed_bytes(hkdf(seed, b"egan/2 ml-kem-768", 64)),
            X25519PrivateKey.from_private_bytes(hkdf(seed, b"egan/2 x25519")),
        )
        self.signing = Ed25519PrivateKey.from_private_bytes(
            hkdf(seed, b"egan/2 ed25519")
        )


@pytest.fixture(scope="module")
def pairs() -> list[tuple[keys.PrivateKey, keys.PublicKey]]:
    return [keys.make_pair(noise(64, 64), noise(64, 80), WEIGHTS) for _ in range(2)]


def test_fingerprints_follow_from_the_description(pairs) -> None:
    private, public = pairs[0]
    identity = Public(public.picture).identity
    assert sha(b"egan/2 fingerprint\0", identity).hex() == public.fingerprint
    ours = Private(private.picture).signing.public_key().public_bytes_raw()
    assert ours == identity[:32]
    _, body = read(private.picture)
    assert body == WEIGHTS + digest(public.picture, 1264)


def test_a_disguise_that_is_built_from_the_description_opens(pairs) -> None:
    (private, public), (sender, sender_public) = pairs
    picture = noise(112, 144)
    letter_bytes, slots = 306 + 128, 2
    body = 16 + 1 + slots * 1168 + letter_bytes + 16
    bound = WEIGHTS + digest(picture, body)
    file_key = os.urandom(32)
    sealed = [
        HPKE.encrypt(file_key, Public(p.picture).kem, info=b"egan/2 file key\0" + bound)
        for p in (sender_public, public)
    ]
    counted = bytes([slots]) + b"".join(sealed)
    identity = Public(sender_public.picture).identity
    words = "grüße".encode() + b"a note"
    start = b"s" * 32 + struct.pack(">HHB", 140, 99, 1)
    start += struct.pack(">4H", 1, 2, 30, 40).ljust(128, b"\0") + identity
    start += struct.pack(">QBI", 1_800_000_000, 7, 6)
    end = words.ljust(128, b"\0")
    unsigned = start + bytes(64) + end
    signed = (
        b"egan/2 signed letter\0" + bound + sha(counted) + sha(file_key) + sha(unsigned)
    )
    letter = start + Private(sender.picture).signing.sign(signed) + end
    assert len(letter) == letter_bytes
    context = b"egan/2 letter\0" + bound + counted
    cipher = ChaCha20Poly1305(file_key).encrypt(bytes(12), letter, context)
    made = written(picture, 3, WEIGHTS + counted + cipher)
    opened = envelope.unseal(made, private, "d.png")
    expected = envelope.Letter(b"s" * 32, (140, 99), ((1, 2, 30, 40),), b"a note")
    who = envelope.Sender(sender.fingerprint, 1_800_000_000, "grüße")
    assert opened == envelope.Opened(expected, who)


def test_a_disguise_is_read_as_the_description_says(pairs) -> None:
    (private, public), (sender, sender_public) = pairs
    picture = noise(128, 128)
    letter = envelope.Letter(b"k" * 32, (120, 128), ((0, 0, 120, 128),), b"exactly")
    receivers = [sender_public, public]
    signing = envelope.Signing(sender, "c")
    made = envelope.seal(picture, receivers, letter, WEIGHTS, signing)
    kind, body = read(made)
    count = body[16]
    assert (kind, body[:16], count) == (3, WEIGHTS, 2)
    bound = WEIGHTS + digest(made, len(body))
    end = 17 + count * 1168
    found = []
    for at in range(17, end, 1168):
        info = b"egan/2 file key\0" + bound
        # One of the two slots is somebody else's.
        with contextlib.suppress(InvalidTag):
            kem = Private(private.picture).kem
            found.append(HPKE.decrypt(body[at : at + 1168], kem, info))
    (file_key,) = found
    context = b"egan/2 letter\0" + bound + body[16:end]
    plain = ChaCha20Poly1305(file_key).decrypt(bytes(12), body[end:], context)
    assert plain[:32] == b"k" * 32
    assert struct.unpack(">HHB", plain[32:37]) == (120, 128, 1)
    assert plain[37:165] == struct.pack(">4H", 0, 0, 120, 128).ljust(128, b"\0")
    comment, note = struct.unpack(">BI", plain[237:242])
    assert plain[306:] == b"cexactly".ljust(128, b"\0")
    assert (comment, note) == (1, 7)
    unsigned = plain[:242] + bytes(64) + plain[306:]
    signed = b"egan/2 signed letter\0" + bound + sha(body[16:end]) + sha(file_key)
    identity = Public(sender_public.picture).identity
    assert plain[165:229] == identity
    verification = Ed25519PublicKey.from_public_bytes(identity[:32])
    verification.verify(plain[242:306], signed + sha(unsigned))


def test_a_signed_picture_that_is_built_from_the_description_is_valid(pairs) -> None:
    private, public = pairs[0]
    picture, secret, salt = noise(64, 80), noise(64, 80), os.urandom(32)
    committed = sha(b"egan/2 secret\0", salt, shape_of(secret), secret.tobytes())
    identity = Public(public.picture).identity
    statement = b"egan/2 signed picture\0" + identity + WEIGHTS + salt + committed
    statement += digest(picture, 208)
    signature = Private(private.picture).signing.sign(statement)
    body = WEIGHTS + salt + committed + identity + signature
    found = signatures.by(written(picture, 4, body), public, "s.png")
    assert found.commits_to(secret)
    seed = hkdf(salt + identity + WEIGHTS, b"egan/2 sign keystream")
    assert found.keystream_seed == seed


def test_a_key_with_a_passphrase_is_read_as_the_description_says(pairs) -> None:
    private, public = pairs[0]
    locked = passphrase.lock(private, "e\u0301t\u00e9", 4)
    kind, body = read(locked)
    log_n, r, p = body[:3]
    assert (kind, len(body), log_n, r, p) == (5, 83, 4, 8, 1)
    assert body[19:] == Public(public.picture).identity
    taken = set(places(locked, 8 * (10 + 83 + 8)))
    free = [value for where, value in np.ndenumerate(locked) if where not in taken]
    key = Scrypt(body[3:19], 32, 2**log_n, r, p).derive("\u00e9t\u00e9".encode())
    sealed = bytes(free[: private.picture.size + 16])
    context = b"egan/2 private key with a passphrase\0" + body
    plain = ChaCha20Poly1305(key).decrypt(bytes(12), sealed, context)
    assert plain == private.picture.tobytes()
    assert len(locked) == len(private.picture) + 16
