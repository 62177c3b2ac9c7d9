"""The capsule's bytes: what it holds, how it is sealed, and the code that brings it
through.

A capsule holds the boxes, small copies of the messages and of the cover, the note and
the sender's signature. It is sealed by HPKE (RFC 9180, base mode) under a context of
its own and authenticates itself: what comes out is what was sealed, whatever happened
to the picture around it. It says nothing about that picture, and anyone who has the
public key can make one, as with any sealed letter; who made it only a signature tells.

Sealed bytes fill a rung, a number of bytes that follows from the size of the picture,
so their length tells nothing. A repeat-accumulate code (`egan.crypto.ldpc`) makes bits
of them, which one interleaver spreads over the picture.
"""

from __future__ import annotations

import heapq
import time
import zlib
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from egan.crypto import ldpc, points
from egan.crypto.envelope import Box, Refused, Sender, Signing
from egan.crypto.keys import IDENTITY_BYTES, PrivateKey, PublicKey, fingerprint
from egan.crypto.ldpc import Bits, Ratios
from egan.errors import EganError

INFO = b"egan/2 capsule\0"
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
HYBRID = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
TAG_BYTES = 16
OVERHEAD = 32 + TAG_BYTES
HYBRID_OVERHEAD = 1120 + TAG_BYTES
# The hybrid KEM is used where it leaves so many bytes for the content.
LEAST_HYBRID_CONTENT = 512
# Sealed bytes for each of the picture's blocks, by rung.
RUNGS = (
    *(2, 3, 4, 4.5, 5, 5.5, 5.75, 6, 6.25, 6.5, 6.75, 7, 7.25, 7.5, 7.75, 8),
    *(
        8.5,
        9,
        9.5,
        10,
        10.25,
        10.5,
        10.75,
        11,
        11.25,
        11.5,
        11.75,
        12,
        12.5,
        13,
        14,
        15,
    ),
)
# More blocks than this repeat the code, so that decoding takes no longer.
MOST_BLOCKS = 576
# The code's length is at most so many times its information; beyond that it repeats.
LONGEST = 5
ROUNDS, ITERATIONS = 4, 60
INTERLEAVER = b"egan/2 capsule interleaver"

MOST_BOXES = 16
MOST_NOTE = 2**16
# Flags: a signature follows; how the note is written, besides as it is.
SIGNED, DEFLATED, LETTERED = 1, 2, 4
SIGNATURE_BYTES = 64
# Common pieces of words and sentences, the most common last, for short notes (RFC
# 1951).
WORDS = (
    b"https://www. .com @ 0123456789 Monday Tuesday Wednesday Thursday Friday Saturday "
    b"Sunday January February March April June July August September October November "
    b"December tomorrow today tonight please thank you message password picture number "
    b"address meeting station o'clock The This That There They We I'll Please Meet "
    b"should would could about after before between because through under where when "
    b"which who what why how more than have been were will from with your our their "
    b"this that then them they not but all can her his one out are was for you at it is "
    b"of to in on ing ed er es ly tion and the "
)
# How common letters are in a thousand; other bytes share what is left alike.
LETTERS = (
    (b" ", 180),
    (b"e", 100),
    (b"t", 72),
    (b"ao", 64),
    (b"in", 56),
    (b"sh", 50),
    (b"r", 48),
    (b"dl", 34),
    (b"u", 24),
    (b"cmwfgyp", 18),
    (b"bv.,k", 10),
    (b"0123456789'?!-:\n", 3),
    (b'IATSWMHCBDPNLEFGROJKUVYZxjqz"/;()@', 2),
)


class Content(NamedTuple):
    """The contents of a capsule.

    size: width and height of the composite. messages: a miniature for each box. cover:
    a miniature of the whole composite, or nothing.
    """

    size: tuple[int, int]
    boxes: tuple[Box, ...] = ()
    messages: tuple[bytes, ...] = ()
    cover: bytes = b""
    note: bytes = b""


class Opened(NamedTuple):
    """A content that authenticates. hybrid: by which KEM it was sealed. corrected:
    wrong bits of the sealed bytes' code word that the code mended.
    """

    content: Content
    sender: Sender | None
    hybrid: bool
    corrected: int = 0


def sealed_bytes(rung: int, blocks: int) -> int:
    """Bytes that a picture of so many blocks carries on a rung."""
    return int(RUNGS[rung] * min(blocks, MOST_BLOCKS))


def is_hybrid(length: int) -> bool:
    """Whether `seal` uses the hybrid KEM for so many sealed bytes."""
    return length >= HYBRID_OVERHEAD + LEAST_HYBRID_CONTENT


def content_bytes(length: int) -> int:
    """Bytes that a content may have packed, for so many sealed ones; may be negative."""
    return length - (HYBRID_OVERHEAD if is_hybrid(length) else OVERHEAD)


def number(value: int) -> bytes:
    """In base 128, low digits first, the last without the high bit."""
    digits = []
    while value >= 128:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


@lru_cache(maxsize=1)
def letter_codes() -> tuple[str, ...]:
    """A Huffman code for bytes by LETTERS: the bits of each. Ties go to the lower byte."""
    weights = dict.fromkeys(range(256), 0.05)
    for letters, weight in LETTERS:
        weights |= dict.fromkeys(letters, weight)
    heap = [(weight, byte, [byte]) for byte, weight in weights.items()]
    heapq.heapify(heap)
    codes = [""] * 256
    while len(heap) > 1:
        one, two = heapq.heappop(heap), heapq.heappop(heap)
        for bit, (_, _, members) in zip("01", (one, two), strict=True):
            for byte in members:
                codes[byte] = bit + codes[byte]
        both = one[0] + two[0], min(one[1], two[1]), one[2] + two[2]
        heapq.heappush(heap, both)
    return tuple(codes)


def lettered(note: bytes) -> bytes:
    """A note by `letter_codes`, a 1 and zeros behind it."""
    codes = letter_codes()
    bits = "".join(codes[byte] for byte in note) + "1"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def from_letters(data: bytes) -> bytes:
    """The inverse of `lettered`. Raises ValueError."""
    byte_of = {code: byte for byte, code in enumerate(letter_codes())}
    bits = "".join(f"{byte:08b}" for byte in data).rstrip("0")
    out, code = bytearray(), ""
    for bit in bits[:-1]:
        code += bit
        if code in byte_of:
            out.append(byte_of[code])
            code = ""
    if code or not bits or len(out) > MOST_NOTE:
        raise ValueError("not a note of letters")
    return bytes(out)


def written_note(note: bytes) -> tuple[int, bytes]:
    """The flag of the shortest way to write a note, and the note so written."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=WORDS)
    ways = {
        0: note,
        DEFLATED: squeezer.compress(note) + squeezer.flush(),
        LETTERED: lettered(note),
    }
    return min(ways.items(), key=lambda way: len(way[1]))


def read_note(flags: int, data: bytes) -> bytes:
    """The inverse of `written_note`. Raises ValueError and zlib.error."""
    if flags & LETTERED:
        return from_letters(data)
    if not flags & DEFLATED:
        return data
    squeezer = zlib.decompressobj(-15, zdict=WORDS)
    note = squeezer.decompress(data, MOST_NOTE)
    if not squeezer.eof:
        raise ValueError("the note is too long")
    return note


def packed(content: Content, signing: Signing | None, receiver: PublicKey) -> bytes:
    """The bytes of a content, signed where there is a signing key."""
    if len(content.boxes) > MOST_BOXES or len(content.note) > MOST_NOTE:
        raise EganError("too much for a capsule", f"the most is {MOST_BOXES} messages")
    way, note = written_note(content.note)
    flags = SIGNED * (signing is not None) | way
    numbers = [*content.size, len(content.boxes)]
    for box in content.boxes:
        numbers += box
    out = bytes([flags]) + b"".join(number(n) for n in numbers)
    pieces = (*content.messages, content.cover, note)
    out += b"".join(number(len(piece)) + piece for piece in pieces)
    if signing is None:
        return out
    comment = signing.comment.encode()
    out += number(int(time.time())) + number(len(comment)) + comment
    out += signing.key.identity
    return out + signing.key.signing.sign(statement(out, receiver.identity))


def statement(signed: bytes, receiver: bytes) -> bytes:
    """What a sender signs: the content, with their own identity in it, for this
    receiver.
    """
    return b"egan/2 signed capsule\0" + receiver + signed


class Reader:
    """Takes packed bytes apart. Raises ValueError where they end too early."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self.data) - self.at:
            raise ValueError("too short")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, most: int) -> int:
        value = 0
        for place in range(5):
            digit = self.take(1)[0]
            value |= (digit & 127) << (7 * place)
            if digit < 128:
                break
        if value > most:
            raise ValueError("too large")
        return value


def unpacked(data: bytes, receiver: bytes) -> tuple[Content, Sender | None]:
    """The inverse of `packed`, zeros behind it. receiver: its identity.

    Raises Refused for anything that `packed` does not write.
    """
    try:
        content, sender, rest = parsed(Reader(data), receiver)
    except (ValueError, zlib.error) as error:
        raise Refused("the capsule's content is of an unknown form") from error
    except InvalidSignature as error:
        raise Refused(
            "the capsule carries a signature that is not for it and this receiver",
            "someone may have passed on one that was sent to them",
        ) from error
    if any(rest):
        raise Refused("the capsule's content is of an unknown form")
    return content, sender


def parsed(reader: Reader, receiver: bytes) -> tuple[Content, Sender | None, bytes]:
    flags = reader.take(1)[0]
    width, height = (reader.number(2**16 - 1) for _ in range(2))
    boxes = []
    for _ in range(reader.number(MOST_BOXES)):
        x, y, w, h = (reader.number(2**16 - 1) for _ in range(4))
        if x + w > width or y + h > height or not (w and h):
            raise ValueError("a box outside of the picture")
        boxes.append((x, y, w, h))
    if flags & ~(SIGNED | DEFLATED | LETTERED) or not (width and height):
        raise ValueError("unknown flags")
    pieces = [reader.take(reader.number(2**24)) for _ in range(len(boxes) + 2)]
    *messages, cover, note = pieces
    note = read_note(flags, note)
    content = Content((width, height), tuple(boxes), tuple(messages), cover, note)
    sender = None
    if flags & SIGNED:
        seconds = reader.number(2**35 - 1)
        comment = reader.take(reader.number(128)).decode()
        identity = reader.take(IDENTITY_BYTES)
        signed = statement(reader.data[: reader.at], receiver)
        points.check_ed25519(identity[:32])
        verification = Ed25519PublicKey.from_public_bytes(identity[:32])
        verification.verify(reader.take(SIGNATURE_BYTES), signed)
        sender = Sender(fingerprint(identity), seconds, comment)
    return content, sender, reader.data[reader.at :]


def seal(plain: bytes, receiver: PublicKey, length: int) -> bytes:
    """Packed bytes, sealed to a receiver and exactly `length` long."""
    padded = plain.ljust(content_bytes(length), b"\0")
    if len(padded) > content_bytes(length):
        raise ValueError(f"{len(plain)} bytes do not fit into {length}")
    if is_hybrid(length):
        return HYBRID.encrypt(padded, receiver.encryption, info=INFO)
    return SUITE.encrypt(padded, receiver.x25519, info=INFO)


def unseal(sealed: bytes, private: PrivateKey) -> bytes | None:
    """Packed bytes and padding; None where this key does not open it."""
    hybrid = is_hybrid(len(sealed))
    try:
        points.check_x25519(sealed[1088:1120] if hybrid else sealed[:32])
        if hybrid:
            return HYBRID.decrypt(sealed, private.decryption, info=INFO)
        return SUITE.decrypt(sealed, private.x25519, info=INFO)
    except (InvalidTag, ValueError):
        return None


def code_for(length: int, room: int) -> ldpc.Code:
    """The code of so many bytes in a picture that carries so many bits."""
    bits = 8 * length
    return ldpc.code(bits, min(LONGEST * bits, room))


def coded(sealed: bytes, room: int) -> Bits:
    """Sealed bytes as the bits (room,) of a picture."""
    word = code_for(len(sealed), room).encode(
        np.unpackbits(np.frombuffer(sealed, np.uint8))
    )
    bits = np.empty(room, np.uint8)
    bits[ldpc.shuffled(INTERLEAVER, room)] = np.resize(word, room)
    return bits


def decoded(
    length: int,
    ratios: Ratios,
    learn: Callable[[Ratios], Ratios],
    rounds: int = ROUNDS,
) -> tuple[bytes, int] | None:
    """So many sealed bytes from the ratios (room,) of a picture's bits, and how many
    bits of the code word were wrong; None where they cannot be read.

    learn: takes posterior ratios (room,), and says the bits' ratios anew; asked between
    rounds of iterations.
    """
    room = len(ratios)
    code = code_for(length, room)
    order = ldpc.shuffled(INTERLEAVER, room)
    place = np.arange(room) % code.length
    decoder = ldpc.Decoder(code)
    for attempt in range(rounds):
        heard = np.bincount(place, ratios[order], code.length).astype(np.float32)
        found, good = decoder.run(heard, ITERATIONS)
        if good:
            bits = (found < 0).astype(np.uint8)
            wrong = int(np.count_nonzero((heard < 0) != bits))
            return np.packbits(bits[: 8 * length]).tobytes(), wrong
        if attempt < rounds - 1:
            posterior = np.empty(room, np.float32)
            posterior[order] = np.resize(found, room)
            ratios = learn(posterior)
    return None


def opened(sealed: bytes, private: PrivateKey, corrected: int = 0) -> Opened | None:
    """The contents of sealed bytes; None where this key does not open them.

    Raises Refused for content that its receiver must not take.
    """
    plain = unseal(sealed, private)
    if plain is None:
        return None
    content, sender = unpacked(plain, private.identity)
    return Opened(content, sender, is_hybrid(len(sealed)), corrected)
