"""The envelope of a disguise: a letter, sealed once, and its key, sealed to each
receiver.

The body of the pixel header is the id of the weights, a count of slots, the slots, and
the sealed letter. A slot is a fresh file key, sealed by HPKE (RFC 9180, base mode) with
MLKEM768-X25519, HKDF-SHA256 and ChaCha20-Poly1305: whoever records a picture today and
owns a quantum computer later must break X25519 and ML-KEM-768 both. The letter is
sealed under the file key by ChaCha20-Poly1305.

The slots are bound to the pixels of the disguise (the header's bits zeroed) and to the
weights, the letter to all of that and to the slots, so opening it proves the right key
and that nothing was altered. Slots that nobody was meant for are sealed to keys that
were thrown away, in an order by chance; the letter's length is padded and leaves room
for a signature that nobody may have made. So an outsider cannot tell who receives it,
nor whether it is signed or has a note.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PublicKey,
    Suite,
)

from egan.crypto import header, points
from egan.crypto.header import Kind, Picture
from egan.crypto.keys import (
    ID_BYTES,
    IDENTITY_BYTES,
    PrivateKey,
    PublicKey,
    fingerprint,
    no_ml_kem,
)
from egan.crypto.keystream import SEED_BYTES
from egan.errors import EganError
from egan.pictures.boxes import MOST_BOXES, Box

SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
FILE_KEY_BYTES = 32
# Encapsulated key, ciphertext and tag.
SLOT_BYTES = 1120 + FILE_KEY_BYTES + 16
# The sender's X25519 point in a slot, after ML-KEM's ciphertext.
SHARE = slice(1088, 1120)
TAG_BYTES = 16
# A file key seals one letter, so the nonce is never used twice with it.
NONCE = bytes(12)

BOX = struct.Struct(">4H")
# Seed; width and height; number of boxes and boxes; identity of the sender; seconds
# since 1970 (UTC); lengths of comment and note; signature of the sender.
LETTER = struct.Struct(
    f">{SEED_BYTES}s2HB{MOST_BOXES * BOX.size}s{IDENTITY_BYTES}sQBI64s"
)
SIGNATURE_BYTES = 64
# Bytes of UTF-8.
MOST_COMMENT = 128
# Sides and places in a letter are below this.
SIDE_LIMIT = 2**16
# Shorter words are padded to this many bytes.
LEAST_PADDING = 128
HEAD_BYTES = ID_BYTES + 1
MOST_SLOTS = 255


class Refused(EganError):
    """An envelope that opens, with content that its receiver must not take: of an
    unknown form, or with a signature that is not for it. No other copy makes up for
    that.
    """


class Letter(NamedTuple):
    """What travels sealed. Boxes lie inside of the true size, in pixels.

    size: width and height of the composite, of which the disguise is the whole or,
    where the networks take no such size, more: what was added lies to the right and
    below.
    """

    seed: bytes
    size: tuple[int, int]
    boxes: tuple[Box, ...] = ()
    note: bytes = b""


class Sender(NamedTuple):
    """Who signed a letter, when, and with what comment; the signature was checked."""

    fingerprint: str
    # Since 1970-01-01 00:00 UTC, by the sender's clock.
    seconds: int
    comment: str = ""


class Opened(NamedTuple):
    """A letter that authenticates; `sender` is None where nobody signed it."""

    letter: Letter
    sender: Sender | None = None

    @property
    def seed(self) -> bytes:
        return self.letter.seed

    @property
    def boxes(self) -> tuple[Box, ...]:
        return self.letter.boxes


@dataclass(frozen=True)
class Signing:
    """A sender's private key, and a comment that is signed with the letter."""

    key: PrivateKey
    comment: str = ""

    def __post_init__(self) -> None:
        if len(self.comment.encode()) > MOST_COMMENT:
            raise EganError(
                f"the comment has {len(self.comment.encode())} bytes",
                f"the most is {MOST_COMMENT}",
                2,
            )
        if not self.comment.isprintable():
            raise EganError(
                "the comment has line ends or other control characters", status=2
            )


class Plan(NamedTuple):
    """How long the parts of an envelope are, in a picture of one shape."""

    slots: int
    # Bytes of comment, note and padding.
    padded: int

    @property
    def body(self) -> int:
        """Bytes of the header's body."""
        letter = LETTER.size + self.padded + TAG_BYTES
        return HEAD_BYTES + self.slots * SLOT_BYTES + letter


def plan(shape: Sequence[int], receivers: int, words: int = 0) -> Plan:
    """The parts of an envelope for so many receivers, with `words` bytes of note and
    comment, in a picture (H, W, 3).

    The number of slots is 1, 2 or a multiple of 4, and comment and note take a power of
    two, as far as there is room. Raises EganError, naming a size that would do, where
    there is none.
    """
    room = header.capacity(shape)
    need = Plan(receivers, words).body
    if receivers > MOST_SLOTS:
        raise EganError(f"{receivers} receivers", f"the most is {MOST_SLOTS}", 2)
    if need > room:
        raise too_long(shape, receivers, words, need)
    slots = receivers if receivers <= 2 else min(MOST_SLOTS, -(-receivers // 4) * 4)
    slots = max(receivers, min(slots, (room - Plan(0, words).body) // SLOT_BYTES))
    padded = max(LEAST_PADDING, 1 << max(0, words - 1).bit_length())
    padded = max(words, min(padded, room - Plan(slots, 0).body))
    return Plan(slots, padded)


def too_long(shape: Sequence[int], receivers: int, words: int, need: int) -> EganError:
    height, width = shape[:2]
    scale = math.sqrt((need - header.capacity(shape)) * 8 / (3 * height * width) + 1)
    larger = [16 * math.ceil(side * scale / 16) for side in (width, height)]
    what = "this letter"
    if receivers > 1:
        what += f" to {receivers} receivers"
    free = room_for_words(shape, receivers)
    if words and free >= 0:
        what = f"a note and comment of {words} bytes"
        fits = f"{free} bytes fit"
    else:
        most = (header.capacity(shape) - Plan(0, words).body) // SLOT_BYTES
        fits = "1 receiver fits" if most == 1 else f"{max(0, most)} receivers fit"
    return EganError(
        f"a picture of {width}x{height} pixels is too small for {what}",
        f"{fits}; a picture of {larger[0]}x{larger[1]} pixels would do",
    )


def room_for_words(shape: Sequence[int], receivers: int = 1) -> int:
    """Bytes that comment and note together may have in a picture (H, W, 3); below 0:
    there is no room for a letter at all.
    """
    return header.capacity(shape) - Plan(receivers, 0).body


def binding(disguise: Picture, weights: bytes, body: int) -> bytes:
    """Weights and pixels, 48 bytes: slots, letter and signature are bound to them."""
    return weights + header.pixel_digest(disguise, body)


def statement(bound: bytes, slots: bytes, file_key: bytes, letter: bytes) -> bytes:
    """What a sender signs: "I wrote this letter, with these pixels, to those for whom
    these slots are".

    Sign first, then seal, with both sides inside of what is signed (Davis, "Defective
      Sign & Encrypt", USENIX 2001).
    - Inside of the seal, the signature tells an outsider nothing: not who sent it, and
      not that anyone signed.
    - The slots are signed. A receiver who passes the letter on must add a slot for the
      third person, and is found out; and no receiver learns who the others are, as they
      would if keys were named.
    - The file key is signed, so that one signature is good under one file key only:
      without it a sender could build slots that make two letters of one ciphertext.
    - The letter names the sender's identity, so nobody can take the signature off and
      put their own name to it without signing a statement of their own.
    - HPKE's authenticated mode was not chosen: whoever steals the receiver's key could
      forge letters to them in anybody's name (key-compromise impersonation, RFC 9180,
      section 9.1.1). A signature does not have that flaw. What it costs: the receiver
      can show others that the sender wrote this. There is no deniability. All parts
      have fixed lengths, so the concatenation has one reading only.
    """
    hashed = (hashlib.sha256(part).digest() for part in (slots, file_key, letter))
    return b"egan/2 signed letter\0" + bound + b"".join(hashed)


def slot_info(bound: bytes) -> bytes:
    return b"egan/2 file key\0" + bound


def letter_context(bound: bytes, slots: bytes) -> bytes:
    """The associated data of the sealed letter: what it is bound to."""
    return b"egan/2 letter\0" + bound + slots


def seal(
    disguise: Picture,
    receivers: Sequence[PublicKey],
    letter: Letter,
    weights: bytes,
    signing: Signing | None = None,
) -> Picture:
    """A copy of the disguise, uint8 (H, W, 3), with the envelope in its pixel header.

    weights: their id, 16 bytes. Where the samples of `header.mask(shape, plan.body)`
    are even, only bits are added. Raises EganError for more than 16 boxes, for a
    receiver who is named twice, and where the picture has too little room.
    """
    words = (signing.comment.encode() if signing else b"") + letter.note
    shaped = plan(disguise.shape, len(receivers), len(words))
    bound = binding(disguise, weights, shaped.body)
    file_key = secrets.token_bytes(FILE_KEY_BYTES)
    slots = sealed_slots(receivers, shaped.slots, file_key, slot_info(bound))
    plain = written(letter, words, shaped, signing)
    if signing is not None:
        signed = signing.key.signing.sign(statement(bound, slots, file_key, plain))
        plain = with_signature(plain, signed)
    context = letter_context(bound, slots)
    sealed = ChaCha20Poly1305(file_key).encrypt(NONCE, plain, context)
    return header.embed(disguise, Kind.DISGUISE, weights + slots + sealed)


def sealed_slots(
    receivers: Sequence[PublicKey], count: int, file_key: bytes, info: bytes
) -> bytes:
    """The count of slots, and the slots in random order."""
    if len({key.fingerprint for key in receivers}) < len(receivers):
        raise EganError("two of the public keys are the same", status=2)
    slots = [SUITE.encrypt(file_key, key.encryption, info=info) for key in receivers]
    while len(slots) < count:
        nobody, chance = throwaway_key(), secrets.token_bytes(FILE_KEY_BYTES)
        slots.append(SUITE.encrypt(chance, nobody, info=info))
    secrets.SystemRandom().shuffle(slots)
    return bytes([count]) + b"".join(slots)


def throwaway_key() -> MLKEM768X25519PublicKey:
    try:
        mlkem = MLKEM768PrivateKey.generate().public_key()
    except UnsupportedAlgorithm as error:
        raise no_ml_kem(error) from error
    return MLKEM768X25519PublicKey(mlkem, X25519PrivateKey.generate().public_key())


def written(
    letter: Letter, words: bytes, shaped: Plan, signing: Signing | None
) -> bytes:
    """The letter's bytes, with zeros where the signature goes."""
    boxes, note = letter.boxes, letter.note
    if len(boxes) > MOST_BOXES:
        raise EganError(
            f"{len(boxes)} messages in one picture", f"the most is {MOST_BOXES}"
        )
    if max(letter.size) >= SIDE_LIMIT:
        raise EganError("a side of more than 65,535 pixels does not fit into a letter")
    fixed = LETTER.pack(
        letter.seed,
        *letter.size,
        len(boxes),
        b"".join(BOX.pack(*box) for box in boxes),
        signing.key.identity if signing else b"",
        int(time.time()) if signing else 0,
        len(words) - len(note),
        len(note),
        b"",
    )
    return fixed + words.ljust(shaped.padded, b"\0")


def with_signature(plain: bytes, signature: bytes) -> bytes:
    at = LETTER.size - SIGNATURE_BYTES
    return plain[:at] + signature + plain[LETTER.size :]


class Parts(NamedTuple):
    """The body of a disguise's header, taken apart."""

    weights: bytes
    # The slots, with their count in front.
    slots: bytes
    sealed: bytes

    @property
    def length(self) -> int:
        return len(self.weights) + len(self.slots) + len(self.sealed)

    def each_slot(self) -> list[bytes]:
        slots = self.slots[1:]
        return [
            slots[i : i + SLOT_BYTES]
            for i in range(0, self.slots[0] * SLOT_BYTES, SLOT_BYTES)
        ]


def parts_of(disguise: Picture, name: str) -> Parts:
    """Raises EganError, naming the file, where the picture is no whole disguise."""
    body = header.expect(disguise, Kind.DISGUISE, name)
    end = HEAD_BYTES + SLOT_BYTES * (body[ID_BYTES] if len(body) > ID_BYTES else 0)
    if end == HEAD_BYTES or len(body) < end + LETTER.size + TAG_BYTES:
        raise EganError(f"{name}: the disguise's header is damaged")
    return Parts(body[:ID_BYTES], body[ID_BYTES:end], body[end:])


def weights_of(disguise: Picture, name: str) -> bytes:
    """Id of the weights that made a disguise, 16 bytes. Raises as `parts_of` does."""
    return parts_of(disguise, name).weights


def digest_of(disguise: Picture) -> bytes:
    """A SHA-256 over shape and samples of a picture, with the header's bits and all."""
    shape = struct.pack(">II", *disguise.shape[:2])
    return hashlib.sha256(shape + disguise.tobytes()).digest()


def unseal(disguise: Picture, private: PrivateKey, name: str) -> Opened | None:
    """The letter in a disguise; None where this key does not open it.

    Raises EganError, naming the file, where the picture is no whole disguise, and
    Refused where it opens but says what its receiver must not take.
    """
    parts = parts_of(disguise, name)
    bound = binding(disguise, parts.weights, parts.length)
    found = open_slots(parts, bound, private)
    if found is None:
        return None
    file_key, plain = found
    unsigned = with_signature(plain, bytes(SIGNATURE_BYTES))
    signed = statement(bound, parts.slots, file_key, unsigned)
    return opened(plain, signed, disguise.shape, name)


def open_slots(
    parts: Parts, bound: bytes, private: PrivateKey
) -> tuple[bytes, bytes] | None:
    """The file key and the bytes of the letter; None where no slot opens with this key."""
    decryption, info = private.decryption, slot_info(bound)
    context = letter_context(bound, parts.slots)
    for slot in parts.each_slot():
        try:
            points.check_x25519(slot[SHARE])
            file_key = SUITE.decrypt(slot, decryption, info=info)
            cipher = ChaCha20Poly1305(file_key)
            return file_key, cipher.decrypt(NONCE, parts.sealed, context)
        except (InvalidTag, ValueError):
            continue
    return None


def opened(plain: bytes, signed: bytes, shape: Sequence[int], name: str) -> Opened:
    """The contents of a letter's bytes. Raises Refused for bytes that `seal` does not
    write.
    """
    unknown = Refused(f"{name}: the envelope's content is of an unknown form")
    if len(plain) < LETTER.size:
        raise unknown
    (
        seed,
        width,
        height,
        count,
        packed,
        identity,
        seconds,
        comment_bytes,
        note_bytes,
        signature,
    ) = LETTER.unpack_from(plain)
    end = LETTER.size + comment_bytes + note_bytes
    if count > MOST_BOXES or comment_bytes > MOST_COMMENT or end > len(plain):
        raise unknown
    if any(packed[count * BOX.size :]) or any(plain[end:]):
        raise unknown
    if not (
        1 <= width <= shape[1] < width + 16 and 1 <= height <= shape[0] < height + 16
    ):
        raise Refused(f"{name}: the envelope names another size than the picture's")
    boxes = tuple(BOX.iter_unpack(packed[: count * BOX.size]))
    for x, y, w, h in boxes:
        if x + w > width or y + h > height or not (w and h):
            raise Refused(f"{name}: the envelope names a box outside of the picture")
    words = plain[LETTER.size : end]
    letter = Letter(seed, (width, height), boxes, words[comment_bytes:])
    if not any(identity) and not any(signature):
        if seconds or comment_bytes:
            raise unknown
        return Opened(letter)
    try:
        comment = words[:comment_bytes].decode()
        points.check_ed25519(identity[:32])
        verification = Ed25519PublicKey.from_public_bytes(identity[:32])
        verification.verify(signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise Refused(
            f"{name} carries a signature that is not for this picture and this receiver",
            "someone may have taken it from another picture, "
            "or passed on one that was sent to them",
        ) from error
    return Opened(letter, Sender(fingerprint(identity), seconds, comment))
