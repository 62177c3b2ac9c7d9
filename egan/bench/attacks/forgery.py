"""Attack 8: forged, altered, spliced and transplanted envelopes, signatures and locked
keys; score: the share that is accepted, which must be 0.

Header checksums stop nobody, so the attacker recomputes them. The control is a receiver
and a verifier who do not bind envelope and signature to the pixels: they must let the
attacks on pixels pass.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from egan.bench.attacks.scene import Budget, Random, Scene
from egan.bench.attacks.verdict import AttackVerdict, Score
from egan.bench.intervals import rate_interval
from egan.core.model import Pictures
from egan.crypto import capsule, envelope, header, passphrase, signatures
from egan.crypto.header import Kind
from egan.crypto.keys import PrivateKey, PublicKey, make_pair
from egan.errors import EganError

# Attempts of each kind.
TRIES = 25
# Every header bit is flipped in a picture of this many pixels a side.
CORNER = 64
# Sealed bytes of the capsules that are altered.
CAPSULE_BYTES = 416
WORDS = "open sesame"
# log2 of scrypt's cost here, which is low: this tries the header, not the passphrase.
LOG_N = 4
# The neutral element of the curve, encoded as an Ed25519 key.
SMALL_ORDER = (1).to_bytes(32, "little")

# What was altered, and the picture.
Forgery = tuple[str, Pictures]
Pair = tuple[PrivateKey, PublicKey]


@dataclass(frozen=True)
class People:
    """Who takes part, with key pairs that the attacker has only the public halves of,
    but for the thief's.
    """

    owner: Pair
    # A second receiver of the same letter.
    friend: Pair
    sender: Pair
    thief: Pair
    weights: bytes


def forgeries(scene: Scene, budget: Budget) -> AttackVerdict:
    """Attacks on disguises to one receiver or two, on pictures of one signer, and on a
    private key with a passphrase; all public keys are known.
    """
    name = "forged envelopes and signatures"
    planted = "envelopes and signatures not bound to the pixels"
    if not scene.scheme.locked:
        details = {"envelope": "none, so anything is accepted"}
        open_to_all = Score(1.0, [1.0, 1.0], 0.0, "broken", 0, details)
        return AttackVerdict(
            8, name, "of 1", open_to_all, 1.0, open_to_all, planted, "nothing to forge"
        )
    random, model = scene.random(14), scene.scheme.model
    owner, friend, sender, thief = (
        make_pair(scene.exact[i % 2], scene.public[i % 2], model.key_network)
        for i in range(4)
    )
    people = People(owner, friend, sender, thief, model.id)
    private, public = people.owner
    sent = [sealed(scene, i, [public], people, random) for i in (0, 1)]
    moved = list(on_pixels(sent, "envelope", random))
    letters = [*moved, *on_envelopes(sent, people, random)]
    signed = [sign(scene, i, private, random) for i in (0, 1)]
    reshown = list(on_pixels(signed, "signature", random))
    pictures = [*reshown, *on_signatures(signed, people, random)]
    locked = list(on_passphrases(private))
    score = accepted(
        [(kind, opens(p, p, private)) for kind, p in letters]
        + [(kind, verifies(p, p, public)) for kind, p in pictures]
        + [(kind, unlocks(p)) for kind, p in locked]
        + list(on_capsules(people, random))
    )
    control = accepted(
        [(kind, opens(p, sent[0], private)) for kind, p in moved]
        + [(kind, verifies(p, signed[0], public)) for kind, p in reshown]
    )
    genuine = (
        opens(sent[0].copy(), sent[0], private)
        and verifies(signed[0].copy(), signed[0], public)
        and unlocks(passphrase.lock(private, WORDS, LOG_N))
    )
    score.details["capsules replayed or moved to another picture"] = (
        "open with their own content: they vouch for nothing else"
    )
    score.details["unaltered copies replayed"] = "accepted" if genuine else "refused"
    return AttackVerdict(
        8, name, "of 1", score, 1.0, control, planted, f"{score.n} forgeries"
    )


# Receivers and verifiers


def sealed(
    scene: Scene,
    i: int,
    receivers: list[PublicKey],
    people: People,
    random: Random,
    note: bytes = b"",
) -> Pictures:
    """A disguise with an envelope that the sender signed."""
    box = scene.pairs.boxes[i]
    picture = scene.disguises[i]
    where = ((box.x, box.y, box.size, box.size),)
    size = (picture.shape[1], picture.shape[0])
    letter = envelope.Letter(random.bytes(32), size, where, note)
    signing = envelope.Signing(people.sender[0])
    return envelope.seal(picture, receivers, letter, people.weights, signing)


def opens(picture: Pictures, bound: Pictures, private: PrivateKey) -> bool:
    """Whether the receiver accepts a picture; a sound one is bound to the picture
    itself.
    """
    try:
        if bound is picture:
            return envelope.unseal(picture, private, "the disguise") is not None
        parts = envelope.parts_of(picture, "the disguise")
        context = envelope.binding(bound, parts.weights, parts.length)
        return envelope.open_slots(parts, context, private) is not None
    except EganError:
        return False


def sign(scene: Scene, i: int, private: PrivateKey, random: Random) -> Pictures:
    """A signed picture whose secret is flower i. The signature does not care what the
    picture shows, so it is disguise i.
    """
    salt = random.bytes(signatures.SALT_BYTES)
    weights, secret = scene.scheme.model.id, scene.pairs.flowers[i]
    return signatures.attach(scene.disguises[i], private, weights, salt, secret)


def verifies(picture: Pictures, bound: Pictures, public: PublicKey) -> bool:
    """Whether the verifier accepts a picture; a sound one looks at the picture itself."""
    try:
        if bound is picture:
            signatures.by(picture, public, "the picture")
            return True
        body = header.expect(picture, Kind.SIGNED, "the picture")
        weights, salt, committed, signer, signature = signatures.BODY.unpack(body)
        statement = signatures.statement(bound, weights, salt, committed, signer)
        public.verification.verify(signature, statement)
        return signer == public.identity
    except (EganError, InvalidSignature, ValueError):
        return False


def unlocks(picture: Pictures) -> bool:
    try:
        passphrase.unlock(picture, WORDS, "the private key")
        return True
    except EganError:
        return False


def accepted(results: list[tuple[str, bool]]) -> Score:
    counts: dict[str, list[bool]] = {}
    for kind, result in results:
        counts.setdefault(kind, []).append(result)
    everything = [result for _, result in results]
    rate = float(np.mean(everything))
    n = len(everything)
    interval = rate_interval(sum(everything), n)
    details = {kind: f"{sum(found)} of {len(found)}" for kind, found in counts.items()}
    return Score(rate, interval, 0.0, "broken" if rate else "held", n, details)


# Forgeries


def on_pixels(pictures: list[Pictures], what: str, random: Random) -> Iterator[Forgery]:
    """TRIES of each kind: the first picture with its header, changed beside it, and
    the second in its place.
    """
    a, b = pictures
    found = header.find(a)
    assert found is not None
    height, width = a.shape[:2]
    for _ in range(TRIES):
        changed = a.copy().reshape(-1)
        changed[random.integers(changed.size)] ^= 2
        spliced = a.copy()
        column = int(random.integers(1, width))
        spliced[:, column:] = b[:, column:]
        shift = (int(random.integers(1, height)), int(random.integers(1, width)))
        for kind, picture in (
            ("two levels of one sample", changed.reshape(a.shape)),
            ("spliced from two pictures", spliced),
            ("picture moved under it", np.roll(a, shift, (0, 1))),
            ("moved to another picture", b),
        ):
            yield f"{what}, {kind}", header.embed(picture, *found)


def on_envelopes(
    sent: list[Pictures], people: People, random: Random
) -> Iterator[Forgery]:
    """Forgeries of the first of two disguises, both sealed to the owner."""
    mail = Mail(sent, people, random)
    corner = np.ascontiguousarray(sent[0][:CORNER, :CORNER])
    signed = mail.seal(corner, [people.owner[1]], by=people.sender[0])
    yield from each_bit("envelope", signed)
    for _ in range(TRIES):
        yield from mail.spliced_bodies()
        both = mail.to_two_receivers()
        yield from mail.changed_slots(both)
        yield from mail.changed_letters(both)
    yield "envelope, format 1 replayed", format_1(sent[0], Kind.DISGUISE)


@dataclass(frozen=True)
class Mail:
    """Two disguises and everybody's keys, of which letters are made and forged."""

    sent: list[Pictures]
    people: People
    random: Random

    @property
    def weights(self) -> bytes:
        return self.people.weights

    @property
    def wide(self) -> list[Pictures]:
        """Both disguises, repeated until there is room for two receivers."""
        return [np.tile(picture, (2, 2, 1)) for picture in self.sent]

    def seal(
        self,
        onto: Pictures,
        receivers: list[PublicKey],
        note: bytes = b"",
        by: PrivateKey | None = None,
    ) -> Pictures:
        """A sealed letter in a picture (H, W, 3), signed where `by` is given."""
        letter = envelope.Letter(self.random.bytes(32), onto.shape[1::-1], (), note)
        signing = None if by is None else envelope.Signing(by)
        return envelope.seal(onto, receivers, letter, self.weights, signing)

    def to_two_receivers(self) -> envelope.Parts:
        """The sender's signed letter to the owner and a friend, in the wide picture."""
        receivers = [self.people.owner[1], self.people.friend[1]]
        sealed = self.seal(self.wide[0], receivers, b"a note", self.people.sender[0])
        return parts_of(sealed)

    def spliced_bodies(self) -> Iterator[Forgery]:
        """Parts of the second disguise's body in the first one's, and a stranger's."""
        picture, weights = self.sent[0], self.weights
        first, second = (parts_of(one) for one in self.sent)
        one, two = (weights + p.slots + p.sealed for p in (first, second))
        cut = int(self.random.integers(1, len(one)))
        for kind, body in (
            ("half of another", one[:cut] + two[cut:]),
            ("another's letter", weights + first.slots + second.sealed),
            ("another's slots", weights + second.slots + first.sealed),
        ):
            yield f"envelope, {kind}", header.embed(picture, Kind.DISGUISE, body)
        stranger = self.seal(picture, [self.people.thief[1]])
        yield "envelope, sealed to another receiver", stranger

    def changed_slots(self, both: envelope.Parts) -> Iterator[Forgery]:
        """The slots of a letter to two receivers in another order or number."""
        wide, slots = self.wide[0], both.each_slot()
        thief = self.people.thief[1]
        strange = parts_of(self.seal(wide, [thief])).each_slot()[0]
        for kind, order in (
            ("receivers swapped", slots[::-1]),
            ("a receiver twice", [slots[0], slots[0]]),
            ("a slot replaced", [slots[0], strange]),
            ("a slot added", [*slots, strange]),
            ("a slot dropped", slots[:1]),
        ):
            count = bytes([len(order)])
            body = self.weights + count + b"".join(order) + both.sealed
            yield f"envelope, {kind}", header.embed(wide, Kind.DISGUISE, body)

    def changed_letters(self, both: envelope.Parts) -> Iterator[Forgery]:
        """Forgeries by the friend, who has the file key and the signed letter too."""
        people, public, weights = self.people, self.people.owner[1], self.weights
        wide, other = self.wide
        file_key, plain = opened(wide, both, people.friend[0], weights)
        context = envelope.letter_context(
            envelope.binding(wide, weights, both.length), both.slots
        )
        at = plain.index(b"a note")
        forged = plain[:at] + b"b" + plain[at + 1 :]
        again = ChaCha20Poly1305(file_key).encrypt(envelope.NONCE, forged, context)
        body = weights + both.slots + again
        own = parts_of(self.seal(wide, [people.thief[1]], b"b note", people.thief[0]))
        _, letter = opened(wide, own, people.thief[0], weights)
        size = envelope.LETTER.size
        proof = plain[size - envelope.SIGNATURE_BYTES : size]
        moved = envelope.with_signature(letter, proof)
        for kind, picture in (
            ("its note altered", header.embed(wide, Kind.DISGUISE, body)),
            ("passed on by its receiver", passed_on(wide, plain, public, weights)),
            ("moved to another picture", passed_on(other, plain, public, weights)),
            ("a signature moved to another", passed_on(wide, moved, public, weights)),
        ):
            yield f"signed letter, {kind}", picture


def parts_of(sealed: Pictures) -> envelope.Parts:
    return envelope.parts_of(sealed, "a disguise")


def opened(
    onto: Pictures, parts: envelope.Parts, private: PrivateKey, weights: bytes
) -> tuple[bytes, bytes]:
    """The file key and the bytes of a letter, as a receiver gets them."""
    bound = envelope.binding(onto, weights, parts.length)
    found = envelope.open_slots(parts, bound, private)
    assert found is not None
    return found


def passed_on(onto: Pictures, plain: bytes, to: PublicKey, weights: bytes) -> Pictures:
    """The bytes of a letter, signature and all, sealed anew to somebody by who has
    them.
    """
    words = len(plain) - envelope.LETTER.size
    body = envelope.Plan(1, words).body
    bound = envelope.binding(onto, weights, body)
    file_key = bytes(envelope.FILE_KEY_BYTES)
    slots = envelope.sealed_slots([to], 1, file_key, envelope.slot_info(bound))
    context = envelope.letter_context(bound, slots)
    sealed = ChaCha20Poly1305(file_key).encrypt(envelope.NONCE, plain, context)
    return header.embed(onto, Kind.DISGUISE, weights + slots + sealed)


def on_signatures(
    signed: list[Pictures], people: People, random: Random
) -> Iterator[Forgery]:
    """Forgeries from two pictures of one signer, made by someone with a key of their
    own.
    """
    owner, thief, weights = people.owner[0], people.thief[0], people.weights
    body, other_body = (
        header.expect(p, Kind.SIGNED, "a signed picture") for p in signed
    )
    pack, unpack = signatures.BODY.pack, signatures.BODY.unpack
    _, salt, committed, signer, signature = unpack(body)

    def made(*fields: bytes) -> Pictures:
        return header.embed(signed[0], Kind.SIGNED, pack(weights, *fields))

    corner = np.ascontiguousarray(signed[0][:CORNER, :CORNER])
    yield from each_bit(
        "signature", signatures.attach(corner, owner, weights, salt, corner)
    )
    for _ in range(TRIES):
        statement = signatures.statement(signed[0], weights, salt, committed, signer)
        stolen = thief.signing.sign(statement)
        yield (
            "signature, by another key in the owner's name",
            made(salt, committed, owner.identity, stolen),
        )
        swapped = unpack(other_body)[2]
        yield (
            "signature, another secret's commitment",
            made(salt, swapped, signer, signature),
        )
        new, secret = random.bytes(signatures.SALT_BYTES), signed[1]
        yield (
            "signature, the thief's own",
            signatures.attach(signed[0], thief, weights, new, secret),
        )
        # R = A = the neutral element and S = 0 fit every message
        trivial = SMALL_ORDER + bytes(32)
        yield (
            "signature, a key of small order",
            made(new, committed, SMALL_ORDER + signer[32:], trivial),
        )
    yield "signature, format 1 replayed", format_1(signed[0], Kind.SIGNED)


def on_capsules(people: People, random: Random) -> Iterator[tuple[str, bool]]:
    """What can be done to sealed capsules that the sender signed, by kind, and whether
    a receiver then takes one for the sender's.
    """
    (owner, public), (friend, friend_public) = people.owner, people.friend
    (sender, _), (thief, _) = people.sender, people.thief

    def accepts(sealed: bytes, private: PrivateKey) -> bool:
        try:
            found = capsule.opened(sealed, private)
        except EganError:
            return False
        if found is None or found.sender is None:
            return False
        return found.sender.fingerprint == sender.fingerprint

    def signed(message: bytes, by: PrivateKey, to: PublicKey = public) -> bytes:
        content = capsule.Content((256, 256), ((0, 0, 8, 8),), (message,))
        return capsule.packed(content, envelope.Signing(by), to)

    plain = signed(b"message a", sender)
    sealed = capsule.seal(plain, public, CAPSULE_BYTES)
    for i in range(8 * len(sealed)):
        broken = bytearray(sealed)
        broken[i // 8] ^= 1 << i % 8
        yield "capsule, one bit", accepts(bytes(broken), owner)
    for _ in range(TRIES):
        other = capsule.seal(signed(random.bytes(6), sender), public, CAPSULE_BYTES)
        cut = int(random.integers(1, len(sealed)))
        mixed = sealed[:cut] + other[cut:]
        yield "capsule, half of another", accepts(mixed, owner)
        elsewhere = capsule.seal(plain, friend_public, CAPSULE_BYTES)
        yield "capsule, passed on by its receiver", accepts(elsewhere, friend)
        yield "capsule, sealed to another receiver", accepts(elsewhere, owner)
        forged = signed(b"message b", thief).replace(thief.identity, sender.identity)
        forged = capsule.seal(forged, public, CAPSULE_BYTES)
        yield (
            "capsule, signed by another key in the sender's name",
            accepts(forged, owner),
        )
        altered = capsule.seal(
            plain.replace(b"message a", b"message b"), public, CAPSULE_BYTES
        )
        yield "capsule, signed and its message altered", accepts(altered, owner)
        own = capsule.seal(signed(b"message c", thief), public, CAPSULE_BYTES)
        yield "capsule, the thief's own", accepts(own, owner)


def on_passphrases(private: PrivateKey) -> Iterator[Forgery]:
    corner = np.ascontiguousarray(private.picture[:CORNER, :CORNER])
    pair, _ = make_pair(corner, corner, private.network)
    picture = passphrase.lock(pair, WORDS, LOG_N)
    yield from each_bit("passphrase", picture)
    moved = picture.copy()
    # The last row holds random levels alone.
    moved[-1] ^= 1
    yield "passphrase, a level altered, checksum left", moved
    yield "passphrase, format 1 replayed", format_1(picture, Kind.PRIVATE_KEY)


def each_bit(what: str, picture: Pictures) -> Iterator[Forgery]:
    """Every bit of a header flipped: of the body with the checksum mended, and of all."""
    found = header.find(picture)
    assert found is not None
    kind, body = found
    for i in range(8 * len(body)):
        broken = bytearray(body)
        broken[i // 8] ^= 1 << i % 8
        yield f"{what}, one header bit", header.embed(picture, kind, bytes(broken))
    for at in header.positions(picture.shape, len(body)):
        changed = picture.copy()
        changed.reshape(-1)[at] ^= 1
        yield f"{what}, one header bit, checksum left", changed


def format_1(picture: Pictures, kind: Kind) -> Pictures:
    """A picture with a whole header of format 1, in the first samples."""
    body = bytes(361)
    head = header.FORMAT_1.pack(header.MAGIC, 1, kind, len(body)) + body
    flat = picture.copy().reshape(-1)
    bits = 8 * (len(head) + header.CHECKSUM_BYTES)
    flat[:bits] &= 0xFE
    shape = struct.pack(">II", *picture.shape[:2])
    digest = hashlib.sha256(shape + head + flat.tobytes()).digest()
    whole = head + digest[: header.CHECKSUM_BYTES]
    flat[:bits] |= np.unpackbits(np.frombuffer(whole, np.uint8))
    return flat.reshape(picture.shape)
