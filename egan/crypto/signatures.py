"""Signed pictures: an Ed25519 signature (RFC 8032) over a picture's pixels, in its
header.

Everything here is public: anyone with the signer's public key checks the signature,
derives the keystream and decodes the secret image. The signature proves who made the
picture and that no sample was altered. The match of the decoded image with the
verifier's copy, as in the paper, shows that it was made from that secret, up to a
threshold; the commitment to the secret's pixels settles it to the last bit.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from egan.crypto import header, points
from egan.crypto.header import Kind, Picture
from egan.crypto.keys import (
    ID_BYTES,
    IDENTITY_BYTES,
    PrivateKey,
    PublicKey,
    fingerprint,
    grouped,
    hkdf,
)
from egan.errors import EganError

SALT_BYTES = 32
# Id of the weights, salt, commitment, identity of the signer, signature.
BODY = struct.Struct(f">{ID_BYTES}s{SALT_BYTES}s32s{IDENTITY_BYTES}s64s")


class NotVerified(EganError):
    """A readable picture that is not valid for its signature or its secret: exit status
    1.
    """


class Signature(NamedTuple):
    """The header of a signed picture, after its signature was found valid for the
    signer that it names.
    """

    weights: bytes
    salt: bytes
    commitment: bytes
    # The identity of a public key, 64 bytes.
    signer: bytes

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.signer)

    @property
    def keystream_seed(self) -> bytes:
        return keystream_seed(self.signer, self.weights, self.salt)

    def commits_to(self, secret: Picture) -> bool:
        """Whether the signer signed exactly this secret, uint8 (H, W, 3), every bit."""
        return commitment(secret, self.salt) == self.commitment


def keystream_seed(signer: bytes, weights: bytes, salt: bytes) -> bytes:
    """The seed of a signed picture's keystream: HKDF-SHA256 over public data, so that
    anyone may verify.

    It hides nothing. The salt makes two pictures of one secret differ, and gives each
    its own keystream, as the lock was trained with.
    """
    return hkdf(salt + signer + weights, b"egan/2 sign keystream")


def commitment(secret: Picture, salt: bytes) -> bytes:
    """SHA-256 over salt, shape and pixels of the secret image, uint8 (H, W, 3).

    The network's match cannot tell a secret from a close copy, and a dishonest signer
    could look for a picture that decodes to something between two secrets. This is
    binding where the match is not. It is not there to hide: a signed picture shows its
    secret to anyone with the public key, and the salt, which only keeps equal secrets
    from having equal commitments, is public too. So a commitment that hides would
    protect what is in plain view.
    """
    shape = struct.pack(">II", *secret.shape[:2])
    return hashlib.sha256(b"egan/2 secret\0" + salt + shape + secret.tobytes()).digest()


def statement(
    picture: Picture, weights: bytes, salt: bytes, committed: bytes, signer: bytes
) -> bytes:
    """What is signed. Fixed lengths after a context string, so it has one reading, and
    none as another egan signature.

    Bound are the signer's identity (a signature cannot be claimed for another key),
    weights and salt (so the keystream), the commitment to the secret, and every pixel
    with the header's bits zeroed. No time and no receiver: a signed picture that is
    shown again is as good as the first time.
    """
    digest = header.pixel_digest(picture, BODY.size)
    return b"egan/2 signed picture\0" + signer + weights + salt + committed + digest


def attach(
    picture: Picture, private: PrivateKey, weights: bytes, salt: bytes, secret: Picture
) -> Picture:
    """A copy of uint8 (H, W, 3) with the signature in its pixel header: no sample moves
    by more than one level.
    """
    signer, committed = private.identity, commitment(secret, salt)
    signature = private.signing.sign(
        statement(picture, weights, salt, committed, signer)
    )
    body = BODY.pack(weights, salt, committed, signer, signature)
    return header.embed(picture, Kind.SIGNED, body)


def read(picture: Picture, name: str) -> Signature:
    """The signature of a picture, checked against the key that the picture itself
    names.

    Who that belongs to is for the caller to say: see `by`. Raises EganError, naming the
    file, where the picture is not a signed one, and NotVerified where the signature is
    not valid for these pixels.
    """
    body = header.expect(picture, Kind.SIGNED, name)
    if len(body) != BODY.size:
        raise EganError(f"{name}: the signed picture's header is damaged")
    weights, salt, committed, signer, signature = BODY.unpack(body)
    try:
        points.check_ed25519(signer[:32])
        Ed25519PublicKey.from_public_bytes(signer[:32]).verify(
            signature, statement(picture, weights, salt, committed, signer)
        )
    except (InvalidSignature, ValueError) as error:
        raise NotVerified(
            f"{name}: the signature is not valid: the picture was forged or altered"
        ) from error
    return Signature(weights, salt, committed, signer)


def by(picture: Picture, public: PublicKey, name: str) -> Signature:
    """The signature of a picture that must be made with the private half of `public`.

    Raises as `read` does.
    """
    found = read(picture, name)
    if found.signer != public.identity:
        raise NotVerified(
            f"{name} is signed by another key: {grouped(found.fingerprint)}",
            f"the public key here has the fingerprint {grouped(public.fingerprint)}",
        )
    return found
