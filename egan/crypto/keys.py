"""Key pictures: K's key images made into a key pair, and the secrets that follow from the private one (DESIGN 3.1).

The private key picture is the secret: 32 bytes are drawn from all its pixel bytes by HKDF-SHA256 (RFC 5869), and from
those an X25519 key (RFC 7748) to open envelopes and an Ed25519 key (RFC 8032). The public key picture carries the two
public keys in its pixel header. Nothing is kept in PNG metadata.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from egan.crypto import header
from egan.crypto.header import Kind, Picture
from egan.errors import EganError

BODY = struct.Struct(">8s32s32s")  # id of K, X25519 public key, Ed25519 public key


def hkdf(material: bytes, info: bytes, length: int = 32) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt."""
    return HKDF(hashes.SHA256(), length, salt=None, info=info).derive(material)


@dataclass(frozen=True, repr=False, eq=False)
class PrivateKey:
    """A private key picture, uint8 (H, W, 3), and what is derived from it. Its repr shows no secret."""

    picture: Picture

    @property
    def image(self) -> Picture:
        """The key image that the networks are given: the picture in steps of 4 levels.

        Signed pictures and recovered ones are made from it and may be published. Were it the picture itself, every one
        of them would tell a little of the random levels that all secrets are derived from, and many of them enough.
        Where a sample of K(x) leaves 1 or 2 when divided by 4, its step is the same for -1, 0 and +1: half of the
        196,608 samples of a 256x256 key stay as random as they were, whatever is published.
        """
        return self.picture & np.uint8(0xFC) | np.uint8(2)

    @property
    def network(self) -> bytes:
        """Id of the K that drew it."""
        return header.expect(self.picture, Kind.PRIVATE_KEY, "the private key")

    @property
    def seed(self) -> bytes:
        """32 secret bytes from every pixel byte and the picture's shape."""
        return hkdf(
            struct.pack(">II", *self.picture.shape[:2]) + self.picture.tobytes(),
            b"egan/1 private key",
        )

    @property
    def decryption(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(hkdf(self.seed, b"egan/1 x25519"))

    @property
    def signing(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(hkdf(self.seed, b"egan/1 ed25519"))

    @property
    def identity(self) -> bytes:
        """The 64 bytes of the two public keys that belong to this one, X25519 first."""
        x25519, ed25519 = self.decryption.public_key(), self.signing.public_key()
        return x25519.public_bytes_raw() + ed25519.public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the public key that belongs to this one."""
        return fingerprint(self.identity)

    @property
    def sketch(self) -> Picture:
        """The picture for people to look at, uint8 (H, W, 3): every 8x8 block in its mean.

        A sheet that is shown around must not hold the key sample for sample.
        """
        height, width = (side // 8 for side in self.picture.shape[:2])
        blocks = self.picture[: 8 * height, : 8 * width].reshape(height, 8, width, 8, 3)
        means = blocks.mean((1, 3)).round().astype(np.uint8)
        return means.repeat(8, 0).repeat(8, 1)

    def wrong_keystream_seed(self, digest: bytes) -> bytes:
        """The keystream seed that `decrypt --force` uses when this key does not open a picture with this digest."""
        return hkdf(self.seed, b"egan/1 forced" + digest)

    def __repr__(self) -> str:
        return "PrivateKey(...)"


@dataclass(frozen=True, eq=False)
class PublicKey:
    """A public key picture, uint8 (H, W, 3), and the keys in its header."""

    picture: Picture
    network: bytes  # id of the K that drew it
    encryption: X25519PublicKey
    verification: Ed25519PublicKey

    @property
    def identity(self) -> bytes:
        """The 64 bytes of both public keys, X25519 first."""
        return self.encryption.public_bytes_raw() + self.verification.public_bytes_raw()

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.identity)


def fingerprint(identity: bytes) -> str:
    """SHA-256 of both public keys (X25519, Ed25519, 32 bytes each), as 64 hexadecimal digits."""
    return hashlib.sha256(b"egan/1 fingerprint" + identity).hexdigest()


def make_pair(
    private_image: Picture, public_image: Picture, network: bytes
) -> tuple[PrivateKey, PublicKey]:
    """A key pair from the key images K(x) and K(y), uint8 (H, W, 3), and the id of the K that made them.

    Every sample of K(x) moves by -1, 0 or +1 from the operating system's generator, inside 0..255.
    """
    noise = np.frombuffer(secrets.token_bytes(private_image.size), np.uint8)
    # 256 is not a multiple of 3: -1 is drawn 86 times in 256, 0 and +1 85 times; 1.58 bits a sample remain.
    steps = (noise % 3).astype(np.int16).reshape(private_image.shape) - 1
    shaken = np.clip(private_image.astype(np.int16) + steps, 0, 255).astype(np.uint8)
    private = PrivateKey(header.embed(shaken, Kind.PRIVATE_KEY, network))
    x25519 = private.decryption.public_key()
    ed25519 = private.signing.public_key()
    body = BODY.pack(network, x25519.public_bytes_raw(), ed25519.public_bytes_raw())
    return private, PublicKey(
        header.embed(public_image, Kind.PUBLIC_KEY, body), network, x25519, ed25519
    )


def read_private(picture: Picture, name: str) -> PrivateKey:
    """The private key in a picture. Raises EganError, naming the file `name`, for anything else or a damaged one."""
    header.expect(picture, Kind.PRIVATE_KEY, name)
    return PrivateKey(picture)


def read_public(picture: Picture, name: str) -> PublicKey:
    """The public key in a picture. Raises EganError, naming the file `name`, for anything else or a damaged one."""
    body = header.expect(picture, Kind.PUBLIC_KEY, name)
    try:
        network, x25519, ed25519 = BODY.unpack(body)
        encryption = X25519PublicKey.from_public_bytes(x25519)
        X25519PrivateKey.generate().exchange(
            encryption
        )  # a point of low order fails (RFC 7748, section 6.1)
        return PublicKey(
            picture, network, encryption, Ed25519PublicKey.from_public_bytes(ed25519)
        )
    except (struct.error, ValueError) as error:
        raise EganError(f"{name}: the public key's header is damaged") from error
