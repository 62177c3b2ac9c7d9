"""Private keys with a passphrase: the key picture, sealed under scrypt, as a picture of
noise.

The header names scrypt's costs and salt (RFC 7914) and the public key's identity. The
samples that it leaves alone hold the ChaCha20-Poly1305 ciphertext of the key picture's
bytes, row by row, and then random levels; the picture has 16 rows more than the key,
which makes room for header and tag. The header is sealed with it, so nothing of it can
be altered.
"""

from __future__ import annotations

import secrets
import struct
import unicodedata
from typing import NamedTuple

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from egan.crypto import header
from egan.crypto.header import Kind, Picture
from egan.crypto.keys import IDENTITY_BYTES, PrivateKey, fingerprint, read_private
from egan.errors import EganError

SALT_BYTES = 16
# log2 of scrypt's N, r, p, salt, identity of the public key.
BODY = struct.Struct(f">3B{SALT_BYTES}s{IDENTITY_BYTES}s")
# 128 MiB of memory and about half a second.
LOG_N, R, P = 17, 8, 1
# The most memory that a header may ask for, 128 N r.
MOST_BYTES = 2**30
MOST_P = 8
MORE_ROWS = 16
TAG_BYTES = 16
# Each salt gives another key, so the nonce is never used twice with one.
NONCE = bytes(12)
CONTEXT = b"egan/2 private key with a passphrase\0"


class WrongPassphrase(EganError):
    """A passphrase that does not open a private key."""


class Locked(NamedTuple):
    """The header of a private key with a passphrase, not authenticated."""

    log_n: int
    r: int
    p: int
    salt: bytes
    identity: bytes

    @property
    def fingerprint(self) -> str:
        """Of the public key of the pair, as the header says."""
        return fingerprint(self.identity)

    @property
    def body(self) -> bytes:
        return BODY.pack(self.log_n, self.r, self.p, self.salt, self.identity)

    def key(self, passphrase: str) -> bytes:
        """32 bytes by scrypt from the passphrase in Unicode's form NFC, in UTF-8."""
        spelled = unicodedata.normalize("NFC", passphrase).encode()
        kdf = Scrypt(self.salt, 32, 2**self.log_n, self.r, self.p)
        try:
            return kdf.derive(spelled)
        except MemoryError as error:
            raise EganError(
                "not enough memory for the passphrase: scrypt takes "
                f"{128 * 2**self.log_n * self.r >> 20} MiB"
            ) from error


def is_locked(picture: Picture, name: str) -> bool:
    """Whether a picture is a private key with a passphrase. Raises as `header.find`."""
    found = header.find(picture, name)
    return found is not None and found[0] is Kind.LOCKED_KEY


def read_locked(picture: Picture, name: str) -> Locked:
    """Raises EganError, naming the file, for another picture, a damaged one, and for
    costs that are out of bounds.
    """
    body = header.expect(picture, Kind.LOCKED_KEY, name)
    if len(body) != BODY.size or picture.shape[0] <= MORE_ROWS:
        raise EganError(f"{name}: the private key's header is damaged")
    found = Locked(*BODY.unpack(body))
    if not (1 <= found.log_n < 32 and found.r and 1 <= found.p <= MOST_P):
        raise EganError(f"{name}: the private key's header is damaged")
    if 128 * 2**found.log_n * found.r > MOST_BYTES:
        raise EganError(
            f"{name} asks for {128 * 2**found.log_n * found.r >> 20} MiB of memory "
            "to check its passphrase",
            f"the most that egan takes is {MOST_BYTES >> 20} MiB",
        )
    return found


def lock(private: PrivateKey, passphrase: str, log_n: int = LOG_N) -> Picture:
    """A private key as a picture of noise, uint8 (H + 16, W, 3), that the passphrase
    opens.

    Raises EganError for an empty passphrase.
    """
    if not passphrase:
        raise EganError("the passphrase is empty", status=2)
    salt = secrets.token_bytes(SALT_BYTES)
    locked = Locked(log_n, R, P, salt, private.identity)
    key = private.picture
    shape = (key.shape[0] + MORE_ROWS, key.shape[1], 3)
    cipher = ChaCha20Poly1305(locked.key(passphrase))
    sealed = cipher.encrypt(NONCE, key.tobytes(), CONTEXT + locked.body)
    noise = np.frombuffer(secrets.token_bytes(int(np.prod(shape))), np.uint8).copy()
    free = np.flatnonzero(~header.mask(shape, BODY.size).reshape(-1))
    noise[free[: len(sealed)]] = np.frombuffer(sealed, np.uint8)
    return header.embed(noise.reshape(shape), Kind.LOCKED_KEY, locked.body)


def unlock(picture: Picture, passphrase: str, name: str) -> PrivateKey:
    """The private key in a picture with a passphrase.

    Raises WrongPassphrase where it does not open, and as `read_locked`.
    """
    locked = read_locked(picture, name)
    height, width = picture.shape[0] - MORE_ROWS, picture.shape[1]
    free = np.flatnonzero(~header.mask(picture.shape, BODY.size).reshape(-1))
    size = height * width * 3 + TAG_BYTES
    sealed = picture.reshape(-1)[free[:size]].tobytes()
    cipher = ChaCha20Poly1305(locked.key(passphrase))
    try:
        plain = cipher.decrypt(NONCE, sealed, CONTEXT + locked.body)
    except InvalidTag as error:
        raise WrongPassphrase(f"that is not the passphrase of {name}") from error
    pixels = np.frombuffer(plain, np.uint8).reshape(height, width, 3)
    return read_private(pixels, name)
