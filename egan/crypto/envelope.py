"""The envelope of a disguise: keystream seed, message boxes and sender, sealed by HPKE (RFC 9180) to the public key.

DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, ChaCha20-Poly1305, base mode, one call. The info string binds the seal to the
SHA-256 of the disguise's pixels with the header's bits zeroed, and to the weights that made it, so opening it proves
the right key and that no pixel was altered. The sealed bytes lie in the pixel header. Their length is the same with or
without messages and with or without a sender, so an outsider can tell neither.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from egan.core.lock import SEED_BYTES
from egan.crypto import header
from egan.crypto.header import Kind, Picture
from egan.crypto.keys import PrivateKey, PublicKey, fingerprint
from egan.errors import EganError

Box = tuple[int, int, int, int]  # x, y, width, height in pixels from the top left

SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
INFO = b"egan/1 encrypt"
MOST_BOXES = 16
BOX = struct.Struct(">4H")
WEIGHTS_BYTES = 8
LETTER_BYTES = SEED_BYTES + 1 + MOST_BOXES * BOX.size
SENDER = struct.Struct(
    ">64s64s"
)  # both public keys of the sender, Ed25519 signature; zeros where nobody signed
CONTENT_BYTES = LETTER_BYTES + SENDER.size
SEALED_BYTES = 32 + CONTENT_BYTES + 16  # encapsulated key, ciphertext, tag
BODY_BYTES = WEIGHTS_BYTES + SEALED_BYTES


class Refused(EganError):
    """An envelope that opens, with a content that its receiver must not take: of an unknown form, or with a signature
    that is not for this letter. No other copy of the content makes up for it.
    """


@dataclass(frozen=True)
class Opened:
    """What an envelope holds. `sender` is the fingerprint of the key that signed it, checked; None where nobody did."""

    seed: bytes
    boxes: tuple[Box, ...]
    sender: str | None = None


def pixel_digest(disguise: Picture) -> bytes:
    """What the seal is bound to: SHA-256 over shape and pixels of uint8 (H, W, 3), the header's bits zeroed."""
    return header.pixel_digest(disguise, BODY_BYTES)


def bound_info(disguise: Picture, weights: bytes) -> bytes:
    return INFO + pixel_digest(disguise) + weights


def signed_statement(
    disguise: Picture, weights: bytes, letter: bytes, sender: bytes, receiver: bytes
) -> bytes:
    """What a sender signs: "I, sender, wrote this letter, with these pixels, to you, receiver".

    Sign first, then seal, with both names inside of what is signed (Davis, "Defective Sign & Encrypt", USENIX 2001).
    - Inside of the seal, the signature tells an outsider nothing: not who sent it, and not that anyone signed.
    - The receiver's keys are signed, so a receiver who seals the same letter again to a third person is found out:
      the signature names somebody else (surreptitious forwarding).
    - The sender's keys are signed, so nobody can take the signature off and put their own name to it without
      signing a statement of their own; and pixels, seed and boxes together are all that the message depends on.
    - HPKE's authenticated mode was not chosen: whoever steals the receiver's key could forge letters to them in
      anybody's name (key-compromise impersonation, RFC 9180 section 9.1.1). A signature does not have that flaw.
      What it costs: the receiver can show others that the sender wrote this. There is no deniability.
    All parts have fixed lengths, so the concatenation has one reading only.
    """
    return (
        b"egan/1 signed disguise\0"
        + sender
        + receiver
        + weights
        + pixel_digest(disguise)
        + letter
    )


def seal(
    disguise: Picture,
    public: PublicKey,
    seed: bytes,
    boxes: tuple[Box, ...],
    weights: bytes,
    signer: PrivateKey | None = None,
) -> Picture:
    """A copy of the disguise, uint8 (H, W, 3), with the envelope in its pixel header, signed where there is a signer.

    Raises EganError for more than 16 boxes or a picture too small for the header.
    """
    if len(boxes) > MOST_BOXES:
        raise EganError(
            f"{len(boxes)} messages in one picture", f"the most is {MOST_BOXES}"
        )
    packed = b"".join(BOX.pack(*box) for box in boxes).ljust(
        MOST_BOXES * BOX.size, b"\0"
    )
    letter = seed + bytes([len(boxes)]) + packed
    sender = bytes(SENDER.size)
    if signer is not None:
        statement = signed_statement(
            disguise, weights, letter, signer.identity, public.identity
        )
        sender = SENDER.pack(signer.identity, signer.signing.sign(statement))
    sealed = SUITE.encrypt(
        letter + sender, public.encryption, info=bound_info(disguise, weights)
    )
    return header.embed(disguise, Kind.DISGUISE, weights + sealed)


def weights_of(disguise: Picture, name: str) -> bytes:
    """Id of the weights that made a disguise; raises EganError, naming the file, where it is no whole disguise."""
    body = header.expect(disguise, Kind.DISGUISE, name)
    if len(body) != BODY_BYTES:
        raise EganError(f"{name}: the disguise's header is damaged")
    return body[:WEIGHTS_BYTES]


def unseal(disguise: Picture, private: PrivateKey, name: str) -> Opened | None:
    """The content of a disguise's envelope; None where this key does not open it.

    Raises EganError, naming the file, where the picture is no whole disguise, and Refused where it opens but carries a
    signature that is not for this letter, these pixels and this receiver.
    """
    weights = weights_of(disguise, name)
    sealed = header.expect(disguise, Kind.DISGUISE, name)[WEIGHTS_BYTES:]
    try:
        content = SUITE.decrypt(
            sealed, private.decryption, info=bound_info(disguise, weights)
        )
    except (InvalidTag, ValueError):
        return None
    count = content[SEED_BYTES]
    if len(content) != CONTENT_BYTES or count > MOST_BOXES:
        raise Refused(f"{name}: the envelope's content is of an unknown form")
    boxes = tuple(
        BOX.unpack_from(content, SEED_BYTES + 1 + i * BOX.size) for i in range(count)
    )
    height, width = disguise.shape[:2]
    for x, y, w, h in boxes:
        if x + w > width or y + h > height or not (w and h):
            raise Refused(f"{name}: the envelope names a box outside of the picture")
    letter = content[:LETTER_BYTES]
    return Opened(
        content[:SEED_BYTES],
        boxes,
        sender_of(content[LETTER_BYTES:], disguise, weights, letter, private, name),
    )


def sender_of(
    proof: bytes,
    disguise: Picture,
    weights: bytes,
    letter: bytes,
    private: PrivateKey,
    name: str,
) -> str | None:
    if not any(proof):
        return None
    sender, signature = SENDER.unpack(proof)
    statement = signed_statement(disguise, weights, letter, sender, private.identity)
    try:
        Ed25519PublicKey.from_public_bytes(sender[32:]).verify(signature, statement)
    except (InvalidSignature, ValueError) as error:
        raise Refused(
            f"{name} carries a signature that is not for this picture and this receiver",
            "someone may have taken it from another picture, or passed on one that was sent to them",
        ) from error
    return fingerprint(sender)
