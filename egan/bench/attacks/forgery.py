"""Attack 8: forged, altered, spliced and transplanted envelopes and signatures; score: the share that is accepted, which
must be 0.

Header checksums stop nobody, so the attacker recomputes them. The control is a receiver and a verifier who do not bind
envelope and signature to the pixels: they must let the attacks on pixels pass.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from cryptography.exceptions import InvalidSignature, InvalidTag

from egan.bench.attacks.scene import Budget, Random, Scene
from egan.bench.attacks.verdict import Score, Verdict
from egan.core.encryptgan import Pictures
from egan.crypto import envelope, header, signatures
from egan.crypto.header import Kind
from egan.crypto.keys import PrivateKey, PublicKey, make_pair
from egan.errors import EganError

TRIES = 25  # of each kind

Forgery = tuple[str, Pictures]  # kind, picture


def forgeries(scene: Scene, budget: Budget) -> Verdict:
    """Attacks on two disguises to one receiver and on two pictures of one signer; all public keys are known."""
    name, planted = (
        "forged envelopes and signatures",
        "envelopes and signatures not bound to the pixels",
    )
    if not scene.scheme.locked:
        open_to_all = Score(
            1.0,
            [1.0, 1.0],
            0.0,
            "broken",
            0,
            {"envelope": "none, so anything is accepted"},
        )
        return Verdict(
            8, name, "of 1", open_to_all, 1.0, open_to_all, planted, "nothing to forge"
        )
    random, weights = scene.random(14), scene.scheme.model.id
    (private, public), (thief, other) = (keys_of(scene, i) for i in (0, 1))
    sent = [sealed(scene, i, public, random) for i in (0, 1)]
    letters = list(on_envelopes(sent, other, weights, random))
    signed = [sign(scene, i, private, random) for i in (0, 1)]
    pictures = list(on_signatures(signed, private, thief, weights, random))
    score = accepted(
        [(kind, opens(p, p, private)) for kind, p in letters]
        + [(kind, verifies(p, p, public)) for kind, p in pictures]
    )
    control = accepted(
        [(kind, opens(p, sent[0], private)) for kind, p in letters]
        + [(kind, verifies(p, signed[0], public)) for kind, p in pictures]
    )
    genuine = opens(sent[0].copy(), sent[0], private) and verifies(
        signed[0].copy(), signed[0], public
    )
    score.details["unaltered copies replayed"] = "accepted" if genuine else "refused"
    return Verdict(
        8, name, "of 1", score, 1.0, control, planted, f"{score.n} forgeries"
    )


def keys_of(scene: Scene, i: int) -> tuple[PrivateKey, PublicKey]:
    return make_pair(scene.exact[i], scene.public[i], scene.scheme.model.key_network)


def sealed(scene: Scene, i: int, public: PublicKey, random: Random) -> Pictures:
    box = scene.pairs.boxes[i]
    where = ((box.x, box.y, box.size, box.size),)
    return envelope.seal(
        scene.disguises[i], public, random.bytes(32), where, scene.scheme.model.id
    )


def opens(picture: Pictures, bound: Pictures, private: PrivateKey) -> bool:
    """Whether the receiver accepts a picture; a sound one is bound to the picture itself."""
    try:
        if bound is picture:
            return envelope.unseal(picture, private, "the disguise") is not None
        body = header.expect(picture, Kind.DISGUISE, "the disguise")
        weights, cipher = body[: envelope.WEIGHTS_BYTES], body[envelope.WEIGHTS_BYTES :]
        envelope.SUITE.decrypt(
            cipher, private.decryption, info=envelope.bound_info(bound, weights)
        )
        return True
    except (EganError, InvalidTag, ValueError):
        return False


def sign(scene: Scene, i: int, private: PrivateKey, random: Random) -> Pictures:
    """A signed picture whose secret is flower i. What it shows does not matter to the signature: it is disguise i."""
    return signatures.attach(
        scene.disguises[i],
        private,
        scene.scheme.model.id,
        random.bytes(signatures.SALT_BYTES),
        scene.pairs.flowers[i],
    )


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


def accepted(results: list[tuple[str, bool]]) -> Score:
    counts: dict[str, list[bool]] = {}
    for kind, result in results:
        counts.setdefault(kind, []).append(result)
    everything = [result for _, result in results]
    rate = float(np.mean(everything))
    n = len(everything)
    # Without a success the rule of three bounds the rate at 95 %; the bootstrap would say zero.
    high = (
        3 / n
        if rate == 0
        else min(1.0, rate + 1.96 * float(np.sqrt(rate * (1 - rate) / n)))
    )
    low = max(0.0, rate - 1.96 * float(np.sqrt(rate * (1 - rate) / n)))
    details = {kind: f"{sum(found)} of {len(found)}" for kind, found in counts.items()}
    return Score(rate, [low, high], 0.0, "broken" if rate else "held", n, details)


def on_envelopes(
    sent: list[Pictures], other: PublicKey, weights: bytes, random: Random
) -> Iterator[Forgery]:
    """TRIES of each kind, made from two sealed disguises to one receiver."""
    body, other_body = (header.expect(p, Kind.DISGUISE, "a disguise") for p in sent)
    for _ in range(TRIES):
        for kind, picture in altered(sent, len(body), random):
            yield f"envelope, {kind}", header.embed(picture, Kind.DISGUISE, body)
        yield (
            "envelope, one bit changed",
            header.embed(sent[0], Kind.DISGUISE, one_bit(body, random)),
        )
        cut = int(random.integers(1, len(body)))
        yield (
            "envelope, half of another",
            header.embed(sent[0], Kind.DISGUISE, body[:cut] + other_body[cut:]),
        )
        yield (
            "envelope, sealed to another receiver",
            envelope.seal(sent[0], other, random.bytes(32), (), weights),
        )


def on_signatures(
    signed: list[Pictures],
    owner: PrivateKey,
    thief: PrivateKey,
    weights: bytes,
    random: Random,
) -> Iterator[Forgery]:
    """TRIES of each kind, made from two pictures of one signer, by someone with a key of their own."""
    body, other_body = (
        header.expect(p, Kind.SIGNED, "a signed picture") for p in signed
    )
    pack, unpack = signatures.BODY.pack, signatures.BODY.unpack
    for _ in range(TRIES):
        for kind, picture in altered(signed, len(body), random):
            yield f"signature, {kind}", header.embed(picture, Kind.SIGNED, body)
        yield (
            "signature, one bit changed",
            header.embed(signed[0], Kind.SIGNED, one_bit(body, random)),
        )
        _, salt, committed, signer, _ = unpack(body)
        statement = signatures.statement(signed[0], weights, salt, committed, signer)
        claimed = pack(
            weights, salt, committed, owner.identity, thief.signing.sign(statement)
        )
        yield (
            "signature, by another key in the owner's name",
            header.embed(signed[0], Kind.SIGNED, claimed),
        )
        swapped = pack(*unpack(body)[:2], unpack(other_body)[2], *unpack(body)[3:])
        yield (
            "signature, another secret's commitment",
            header.embed(signed[0], Kind.SIGNED, swapped),
        )
        salt, secret = random.bytes(signatures.SALT_BYTES), signed[1]
        yield (
            "signature, the thief's own",
            signatures.attach(signed[0], thief, weights, salt, secret),
        )


def altered(pictures: list[Pictures], body: int, random: Random) -> Iterator[Forgery]:
    """The first picture, changed where the header is not, and the second in its place."""
    a, b = pictures
    height, width = a.shape[:2]
    changed = a.copy().reshape(-1)
    index = int(random.integers(header.header_bits(body), changed.size))
    changed[index] += 1 if changed[index] < 255 else -1
    yield "one level of one sample", changed.reshape(a.shape)
    spliced = a.copy()
    column = int(random.integers(1, width))
    spliced[:, column:] = b[:, column:]
    yield "spliced from two pictures", spliced
    shift = (int(random.integers(1, height)), int(random.integers(1, width)))
    yield "picture moved under it", np.roll(a, shift, (0, 1))
    yield "moved to another picture", b


def one_bit(body: bytes, random: Random) -> bytes:
    broken = bytearray(body)
    broken[int(random.integers(len(broken)))] ^= 1 << int(random.integers(8))
    return bytes(broken)
