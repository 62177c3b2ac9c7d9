"""Key pictures: K's key images made into a key pair, and the secrets that follow from
the private one.

The private key picture is the secret: a seed of 32 bytes is drawn from all its samples
by HKDF-SHA256 (RFC 5869), and from that seed an X25519 key (RFC 7748), an ML-KEM-768
key (FIPS 203) and an Ed25519 key (RFC 8032), each with a context of its own. The public
key picture carries the three public keys in its pixel header. Nothing is kept in PNG
metadata.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import UnsupportedAlgorithm
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
from cryptography.hazmat.primitives.hpke import (
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from egan.crypto import header, points
from egan.crypto.header import Kind, Picture
from egan.errors import EganError

# Names of weights and of K have this many bytes.
ID_BYTES = 16
# Id of K, X25519, ML-KEM-768 and Ed25519 public keys.
BODY = struct.Struct(f">{ID_BYTES}s32s1184s32s")
# Id of K, and the pixel digest of the public key picture.
PRIVATE_BODY = struct.Struct(f">{ID_BYTES}s32s")
IDENTITY_BYTES = 64
GROUPED_BITS = 128


def hkdf(material: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt."""
    return HKDF(hashes.SHA256(), length, salt=None, info=info).derive(material)


def no_ml_kem(error: Exception) -> EganError:
    return EganError(
        f"the OpenSSL of the installed cryptography package has no ML-KEM ({error})",
        "egan's keys need it: pip install --upgrade --only-binary :all: cryptography",
    )


def identity_of(x25519: bytes, mlkem: bytes, ed25519: bytes, pixels: bytes) -> bytes:
    """64 bytes that stand for a public key picture: the Ed25519 key, and a SHA-256 over
    the other two keys and the picture's pixel digest.

    Who signs shows the identity. A fingerprint follows from it, so nobody can sign with
    a key of their own under the fingerprint of somebody else.
    """
    rest = hashlib.sha256(b"egan/2 identity\0" + x25519 + mlkem + pixels).digest()
    return ed25519 + rest


def fingerprint(identity: bytes) -> str:
    """SHA-256 of an identity, as 64 hexadecimal digits."""
    return hashlib.sha256(b"egan/2 fingerprint\0" + identity).hexdigest()


def grouped(fingerprint: str) -> str:
    """The first 128 bits of a fingerprint in groups of four digits, for people."""
    digits = fingerprint[: GROUPED_BITS // 4]
    return " ".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def parse_fingerprint(text: str) -> str:
    """The hexadecimal digits of a fingerprint as a person gives it: all 64 or the first
    32.

    Raises EganError with status 2.
    """
    digits = "".join(text.split()).replace(":", "").replace("-", "").lower()
    if len(digits) not in (GROUPED_BITS // 4, 64) or set(digits) - set(
        "0123456789abcdef"
    ):
        raise EganError(
            f"{text!r} is not a fingerprint",
            "it has 32 hexadecimal digits in groups of four, or all 64",
            2,
        )
    return digits


@dataclass(frozen=True, repr=False, eq=False)
class PrivateKey:
    """A private key picture, uint8 (H, W, 3), and what is derived from it.

    Its repr shows no secret.
    """

    picture: Picture

    @property
    def image(self) -> Picture:
        """The key image that the networks are given: the picture in steps of 4 levels.

        Signed pictures and recovered ones are made from it and may be published. Were
        it the picture itself, every one of them would tell a little of the random
        levels that all secrets are derived from, and many of them enough. Where a
        sample of K(x) leaves 1 or 2 when divided by 4, its step is the same for -1, 0
        and +1: half of the 196,608 samples of a 256x256 key stay as random as they
        were, whatever is published.
        """
        return self.picture & np.uint8(0xFC) | np.uint8(2)

    @property
    def body(self) -> tuple[bytes, bytes]:
        body = header.expect(self.picture, Kind.PRIVATE_KEY, "the private key")
        network, public_pixels = PRIVATE_BODY.unpack(body)
        return network, public_pixels

    @property
    def network(self) -> bytes:
        """Id of the K that drew it, 16 bytes."""
        return self.body[0]

    @property
    def seed(self) -> bytes:
        """32 secret bytes from every pixel byte and the picture's shape."""
        return hkdf(
            struct.pack(">II", *self.picture.shape[:2]) + self.picture.tobytes(),
            b"egan/2 private key",
        )

    @property
    def x25519(self) -> X25519PrivateKey:
        secret = hkdf(self.seed, b"egan/2 x25519")
        return X25519PrivateKey.from_private_bytes(secret)

    @property
    def mlkem(self) -> MLKEM768PrivateKey:
        """FIPS 203's seed (d, z) of 64 bytes is derived. Raises EganError without
        ML-KEM.
        """
        secret = hkdf(self.seed, b"egan/2 ml-kem-768", 64)
        try:
            return MLKEM768PrivateKey.from_seed_bytes(secret)
        except UnsupportedAlgorithm as error:
            raise no_ml_kem(error) from error

    @property
    def decryption(self) -> MLKEM768X25519PrivateKey:
        return MLKEM768X25519PrivateKey(self.mlkem, self.x25519)

    @property
    def signing(self) -> Ed25519PrivateKey:
        secret = hkdf(self.seed, b"egan/2 ed25519")
        return Ed25519PrivateKey.from_private_bytes(secret)

    @property
    def public_parts(self) -> tuple[bytes, bytes, bytes]:
        """The X25519, ML-KEM-768 and Ed25519 public keys, 32, 1184 and 32 bytes."""
        keys = (self.x25519, self.mlkem, self.signing)
        x25519, mlkem, ed25519 = (key.public_key().public_bytes_raw() for key in keys)
        return x25519, mlkem, ed25519

    @property
    def identity(self) -> bytes:
        """The 64 bytes that stand for the public key picture of the pair."""
        return identity_of(*self.public_parts, self.body[1])

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the public key picture that belongs to this one."""
        return fingerprint(self.identity)

    @property
    def sketch(self) -> Picture:
        """The picture for people to look at, uint8 (H, W, 3): every 8x8 block in its
        mean.

        A sheet that is shown around must not hold the key sample for sample.
        """
        height, width = (side // 8 for side in self.picture.shape[:2])
        blocks = self.picture[: 8 * height, : 8 * width].reshape(height, 8, width, 8, 3)
        means = blocks.mean((1, 3)).round().astype(np.uint8)
        return means.repeat(8, 0).repeat(8, 1)

    def wrong_keystream_seed(self, digest: bytes) -> bytes:
        """The keystream seed for a picture with this digest that this key does not
        open.
        """
        return hkdf(self.seed, b"egan/2 damaged" + digest)

    def __repr__(self) -> str:
        return "PrivateKey(...)"


@dataclass(frozen=True, eq=False)
class PublicKey:
    """A public key picture, uint8 (H, W, 3), and the keys in its header."""

    picture: Picture
    # Id of the K that drew the picture.
    network: bytes
    x25519: X25519PublicKey
    mlkem: MLKEM768PublicKey
    verification: Ed25519PublicKey

    @property
    def encryption(self) -> MLKEM768X25519PublicKey:
        return MLKEM768X25519PublicKey(self.mlkem, self.x25519)

    @property
    def identity(self) -> bytes:
        """The 64 bytes that stand for this picture, see `identity_of`."""
        return identity_of(
            self.x25519.public_bytes_raw(),
            self.mlkem.public_bytes_raw(),
            self.verification.public_bytes_raw(),
            header.pixel_digest(self.picture, BODY.size),
        )

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.identity)


def make_pair(
    private_image: Picture, public_image: Picture, network: bytes
) -> tuple[PrivateKey, PublicKey]:
    """A key pair from the key images K(x) and K(y), uint8 (H, W, 3), and the id of K.

    Every sample of K(x) moves by -1, 0 or +1 from the operating system's generator,
    inside 0..255. Raises EganError for pictures below 64x64 and without ML-KEM.
    """
    noise = np.frombuffer(secrets.token_bytes(private_image.size), np.uint8)
    # 256 is not a multiple of 3: -1 is drawn 86 times in 256, 0 and +1 85 times; 1.58
    # bits a sample remain.
    steps = (noise % 3).astype(np.int16).reshape(private_image.shape) - 1
    shaken = np.clip(private_image.astype(np.int16) + steps, 0, 255).astype(np.uint8)
    return pair_of(shaken, public_image, network)


def pair_of(
    secret: Picture, public_image: Picture, network: bytes
) -> tuple[PrivateKey, PublicKey]:
    """The key pair that a picture, uint8 (H, W, 3), makes as the private one; as secret
    as that picture is.
    """
    pixels = header.pixel_digest(public_image, BODY.size)
    body = PRIVATE_BODY.pack(network, pixels)
    private = PrivateKey(header.embed(secret, Kind.PRIVATE_KEY, body))
    body = BODY.pack(network, *private.public_parts)
    shared = header.embed(public_image, Kind.PUBLIC_KEY, body)
    return private, read_public(shared, "the public key")


def read_private(picture: Picture, name: str) -> PrivateKey:
    """The private key in a picture.

    Raises EganError, naming the file `name`, for anything else, for a damaged key and
    for one with a passphrase: see `egan.crypto.passphrase`.
    """
    body = header.expect(picture, Kind.PRIVATE_KEY, name)
    if len(body) != PRIVATE_BODY.size:
        raise EganError(f"{name}: the private key's header is damaged")
    return PrivateKey(picture)


def read_public(picture: Picture, name: str) -> PublicKey:
    """The public key in a picture.

    Raises EganError, naming the file `name`, for anything else or a damaged one.
    """
    body = header.expect(picture, Kind.PUBLIC_KEY, name)
    try:
        network, x25519, mlkem, ed25519 = BODY.unpack(body)
        points.check_x25519(x25519)
        points.check_ed25519(ed25519)
        return PublicKey(
            picture,
            network,
            X25519PublicKey.from_public_bytes(x25519),
            MLKEM768PublicKey.from_public_bytes(mlkem),
            Ed25519PublicKey.from_public_bytes(ed25519),
        )
    except UnsupportedAlgorithm as error:
        raise no_ml_kem(error) from error
    except (struct.error, ValueError) as error:
        raise EganError(f"{name}: the public key's header is damaged") from error
