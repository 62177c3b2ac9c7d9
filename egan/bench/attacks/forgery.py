"""Attack 8: altered, spliced, transplanted and forged envelopes; score: the share that is accepted, which must be 0.

Header checksums stop nobody, so the attacker recomputes them. The control is a verifier whose seal is not bound to the
pixels: it must let the attacks on pixels pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from cryptography.exceptions import InvalidTag

from egan import envelope, header
from egan.bench.attacks.scene import Budget, Random, Scene
from egan.bench.attacks.verdict import Score, Verdict
from egan.core import Pictures
from egan.errors import EganError
from egan.header import Kind
from egan.keys import PrivateKey, PublicKey, make_pair

TRIES = 25  # of each kind

Accepts = Callable[[Pictures], bool]
Forgery = tuple[str, Pictures]  # kind, picture


def forgeries(scene: Scene, budget: Budget) -> Verdict:
    """Attacks on the envelopes of two disguises that the attacker holds, sent to a receiver whose public key is known."""
    if scene.scheme.locked:
        random = scene.random(14)
        (private, public), (_, other) = (keys_of(scene, i) for i in (0, 1))
        sent = [sealed(scene, i, public, random) for i in (0, 1)]
        tried = list(attempts(sent, other, scene.scheme.model.id, random))
        score = accepted(tried, lambda picture: opens(picture, picture, private))
        control = accepted(tried, lambda picture: opens(picture, sent[0], private))
        replay = opens(sent[0].copy(), sent[0], private)
        score.details["an unaltered copy sent again"] = "accepted" if replay else "refused"
    else:
        score = control = Score(
            1.0, [1.0, 1.0], 0.0, "broken", 0, {"envelope": "none, so anything is accepted"}
        )
    return Verdict(
        8, "forged, spliced and transplanted envelopes", "of 1", score, 1.0, control,
        "a seal that is not bound to the pixels", f"{score.n} forgeries" if score.n else "nothing to forge",
    )  # fmt: skip


def keys_of(scene: Scene, i: int) -> tuple[PrivateKey, PublicKey]:
    return make_pair(scene.exact[i], scene.public[i], scene.scheme.model.id)


def sealed(scene: Scene, i: int, public: PublicKey, random: Random) -> Pictures:
    box = scene.pairs.boxes[i]
    where = ((box.x, box.y, box.size, box.size),)
    return envelope.seal(scene.disguises[i], public, random.bytes(32), where, scene.scheme.model.id)


def opens(picture: Pictures, bound: Pictures, private: PrivateKey) -> bool:
    """Whether the receiver accepts a picture; a sound one is bound to the picture itself."""
    try:
        if bound is picture:
            return envelope.unseal(picture, private, "the disguise") is not None
        body = header.expect(picture, Kind.DISGUISE, "the disguise")
        weights, cipher = body[: envelope.WEIGHTS_BYTES], body[envelope.WEIGHTS_BYTES :]
        envelope.SUITE.decrypt(cipher, private.decryption, info=envelope.bound_info(bound, weights))
        return True
    except (EganError, InvalidTag, ValueError):
        return False


def accepted(tried: list[Forgery], accepts: Accepts) -> Score:
    counts: dict[str, list[bool]] = {}
    for kind, picture in tried:
        counts.setdefault(kind, []).append(accepts(picture))
    everything = [result for results in counts.values() for result in results]
    rate = float(np.mean(everything))
    n = len(everything)
    # Without a success the rule of three bounds the rate at 95 %; the bootstrap would say zero.
    high = 3 / n if rate == 0 else min(1.0, rate + 1.96 * float(np.sqrt(rate * (1 - rate) / n)))
    low = max(0.0, rate - 1.96 * float(np.sqrt(rate * (1 - rate) / n)))
    details = {kind: f"{sum(results)} of {len(results)}" for kind, results in counts.items()}
    return Score(rate, [low, high], 0.0, "broken" if rate else "held", n, details)


def attempts(sent: list[Pictures], other: PublicKey, weights: bytes, random: Random) -> Iterator[Forgery]:
    """TRIES of each kind, made from two sealed disguises to one receiver."""
    a, b = sent
    body_a, body_b = (header.expect(p, Kind.DISGUISE, "a disguise") for p in sent)
    free = header.header_bits(len(body_a))  # samples after the header's
    height, width = a.shape[:2]
    for _ in range(TRIES):
        changed = a.copy().reshape(-1)
        index = int(random.integers(free, changed.size))
        changed[index] += 1 if changed[index] < 255 else -1
        yield "one level of one sample", forged(changed.reshape(a.shape), body_a)

        spliced = a.copy()
        column = int(random.integers(1, width))
        spliced[:, column:] = b[:, column:]
        yield "spliced from two pictures", forged(spliced, body_a)

        shift = (int(random.integers(1, height)), int(random.integers(1, width)))
        yield "picture moved under its envelope", forged(np.roll(a, shift, (0, 1)), body_a)

        yield "envelope on another picture", forged(b, body_a)

        broken = bytearray(body_a)
        broken[int(random.integers(len(broken)))] ^= 1 << int(random.integers(8))
        yield "one bit of the envelope", forged(a, bytes(broken))

        cut = int(random.integers(1, len(body_a)))
        yield "half of another envelope", forged(a, body_a[:cut] + body_b[cut:])

        again = envelope.seal(a, other, random.bytes(32), (), weights)
        yield "sealed to another receiver", again


def forged(picture: Pictures, body: bytes) -> Pictures:
    """A picture with a header that has a right checksum, which anyone can compute."""
    return header.embed(picture, Kind.DISGUISE, body)
