"""Attacks 1 and 2: the private key recomputed from the public cover, and keys that
anyone can try.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from egan.bench.attacks.scene import (
    Budget,
    LockOff,
    Random,
    Scene,
    Scheme,
    ShowsThrough,
)
from egan.bench.attacks.verdict import (
    MOST,
    AttackVerdict,
    Score,
    ceiling,
    judge_decodes,
    judge_psnr,
)
from egan.bench.metrics import Floats
from egan.bench.protocol import chunks
from egan.core.model import Pictures
from egan.crypto import envelope, header
from egan.crypto.keys import PrivateKey, PublicKey, make_pair, pair_of
from egan.crypto.keystream import keystream
from egan.terminal import progress

# All the wrong keys are tried on this many disguises.
ATTACKED = 4


def plain_pair(
    private_image: Pictures, public_image: Pictures, network: bytes
) -> tuple[PrivateKey, PublicKey]:
    """Planted leak: `egan keygen` without the random levels, so that the key is a
    function of the cover.
    """
    return pair_of(private_image, public_image, network)


def recomputed_key(scene: Scene, budget: Budget) -> AttackVerdict:
    """K(x) is computed from the cover, which is public, and used as if it were the
    private key.

    With a lock, the whole pipeline is attacked: keygen, envelope, seed derivation,
    decode. Where the envelope does not open, the keystream is what `decrypt --force`
    takes.
    """
    if not scene.scheme.locked:
        score = judge_decodes(
            scene, scene.scheme.reveal(scene.disguises, scene.exact, None)
        )
        leaky = scene.with_leak(ShowsThrough)
        # There is no key to leave plain.
        control = judge_decodes(leaky, leaky.disguises)
    else:
        score = through_pipeline(scene, plain=False)
        control = through_pipeline(scene, plain=True)
    return AttackVerdict(
        1,
        "private key from the public cover",
        "dB",
        score,
        ceiling(scene),
        control,
        "keygen without random levels" if scene.scheme.locked else ShowsThrough.words,
        "one try",
    )


def through_pipeline(scene: Scene, plain: bool) -> Score:
    model, pairs = scene.scheme.model, scene.pairs
    shape = model.keystream_shape(scene.side, scene.side)
    random = scene.random(3)
    decodes, opened = [], 0
    for i, composite in enumerate(pairs.composites):
        pair = (plain_pair if plain else make_pair)(
            scene.exact[i], scene.public[i], model.key_network
        )
        seed = random.bytes(32)
        even = header.mask(composite.shape, envelope.plan(composite.shape, 1).body)
        stream = keystream(seed, shape)[None]
        made = model.encrypt(composite[None], pair[1].picture[None], stream, even)[0]
        box = pairs.boxes[i]
        boxes = ((box.x, box.y, box.size, box.size),)
        letter = envelope.Letter(seed, (scene.side, scene.side), boxes)
        sealed = envelope.seal(made, [pair[1]], letter, model.id)
        stolen, _ = pair_of(scene.exact[i], scene.public[i], model.key_network)
        content = envelope.unseal(sealed, stolen, "the disguise")
        opened += content is not None
        guess = (
            content.seed
            if content
            else stolen.wrong_keystream_seed(envelope.digest_of(sealed))
        )
        key = stolen.image[None]
        decodes.append(
            model.decrypt(sealed[None], key, keystream(guess, shape)[None])[0]
        )
    return judge_decodes(
        scene, np.stack(decodes), {"envelopes_opened": f"{opened} of {len(decodes)}"}
    )


def trivial_keys(scene: Scene, budget: Budget) -> AttackVerdict:
    """Zeros, noise, the public key, the mean key, the nearest other key, and
    `budget.keys` wrong keys; the best counts.

    The best of many tries beats one try by luck alone, so decoys get the best of the
    same tries.
    """
    few = scene.first(ATTACKED)
    leak = LockOff if scene.scheme.locked else ShowsThrough
    leaky = few.with_leak(leak)
    return AttackVerdict(
        2,
        "trivial and wrong keys",
        "dB",
        best_of(few, scene, budget),
        ceiling(few),
        best_of(leaky, scene, Budget(keys=0, batch=budget.batch)),
        leak.words,
        f"{budget.keys} wrong keys and 7 trivial ones on each of {len(few.pairs.boxes)} disguises, the best of all",
    )


def best_of(few: Scene, everyone: Scene, budget: Budget) -> Score:
    mine, decoy, names = [], [], []
    count = len(few.pairs.boxes)
    for i in progress(range(count), count, "wrong keys"):
        best = (0.0, "", 0.0)
        best_decoy = 0.0
        for name, boxes in tries(few, everyone, i, budget):
            against = [
                box_psnrs(boxes, few.pairs.boxes[i].cut(p[i]))
                for p in (few.pairs.composites, few.decoys)
            ]
            if against[0].max() > best[0]:
                best = (float(against[0].max()), name, 0.0)
            best_decoy = max(best_decoy, float(against[1].max()))
        mine.append(best[0])
        decoy.append(best_decoy)
        names.append(best[1])
    return judge_psnr(
        few,
        mine,
        decoy,
        {"max_dB": max(mine), "best_were": " ".join(sorted(set(names)))},
    )


def box_psnrs(boxes: Pictures, truth: Pictures) -> Floats:
    """PSNR of each of (N, s, s, 3) against (s, s, 3)."""
    error = (
        np.square(boxes.astype(np.float32) - truth.astype(np.float32)).mean(
            (1, 2, 3), np.float64
        )
        / 255**2
    )
    return np.minimum(MOST, -10 * np.log10(np.maximum(error, 1e-12)))


def tries(
    few: Scene, everyone: Scene, i: int, budget: Budget
) -> Iterator[tuple[str, Pictures]]:
    """The decodes of the message box of disguise i with every key: (N, s, s, 3) by kind
    of key.
    """
    disguise, box, scheme = few.disguises[i], few.pairs.boxes[i], few.scheme
    yield "no-key-at-all", box.cut(disguise[None])
    random = few.random(4, i)
    others = np.array([j for j in range(len(everyone.exact)) if j != i] or [i])
    for name, key in trivial_pictures(few, everyone, i, others, random).items():
        stream = None
        if scheme.locked:
            stream = forced_stream(scheme, disguise, PrivateKey(key))
        yield name, box.cut(scheme.reveal(disguise[None], key[None], stream))
    if scheme.locked:
        shape = (1, *scheme.model.keystream_shape(few.side, few.side))
        zero, key = np.zeros(shape, np.uint8), few.exact[i]
        revealed = scheme.reveal(disguise[None], key[None], zero)
        yield "zero-keystream", box.cut(revealed)
        decode = one_encoding(scheme, disguise, key)
        for part in chunks(range(budget.keys), budget.batch):
            wrong = [PrivateKey(shaken(key, random)) for _ in part]
            streams = [forced_stream(scheme, disguise, k) for k in wrong]
            yield "wrong-key", box.cut(decode(np.concatenate(streams)))
        return
    for part in chunks(range(budget.keys), budget.batch):
        chosen = everyone.pairs.covers[random.choice(others, len(part))].copy()
        # More keys than covers: mirrored and shifted covers give keys of their own.
        for cover in chosen:
            cover[:] = np.roll(
                cover[:, :: random.choice((-1, 1))], random.integers(-16, 17, 2), (0, 1)
            )
        images = everyone.key_images(chosen, "private_layers")
        repeated = np.repeat(disguise[None], len(part), 0)
        yield "wrong-key", box.cut(scheme.reveal(repeated, images, None))


def trivial_pictures(
    few: Scene, everyone: Scene, i: int, others: NDArray[np.int64], random: Random
) -> dict[str, Pictures]:
    """Key images (S, S, 3) that anybody can make, by name; others: indices but i."""
    exact = everyone.exact
    distance = [np.square(exact[j].astype(float) - exact[i]).mean() for j in others]
    shape = few.disguises[i].shape
    return {
        "zeros": np.zeros(shape, np.uint8),
        "noise": random.integers(0, 256, shape, dtype=np.uint8),
        "public-key": few.public[i],
        "mean-key": exact[others].mean(0).round().astype(np.uint8),
        "nearest-key": exact[others[int(np.argmin(distance))]],
    }


def shaken(key: Pictures, random: Random) -> Pictures:
    """A guess at the random levels of `egan keygen`."""
    return (key + random.integers(-1, 2, key.shape)).clip(0, 255).astype(np.uint8)


def forced_stream(
    scheme: Scheme, disguise: Pictures, key: PrivateKey
) -> NDArray[np.uint8]:
    """The keystream of `egan decrypt --force` with a key that does not open the
    envelope: (1, P, h, w).
    """
    seed = key.wrong_keystream_seed(envelope.digest_of(disguise))
    return keystream(seed, scheme.model.keystream_shape(*disguise.shape[:2]))[None]


def one_encoding(scheme: Scheme, disguise: Pictures, key: Pictures):  # type: ignore[no-untyped-def]
    """Decodes of one disguise with one key image and many keystreams: G's encoder runs
    once for all of them.
    """
    import torch

    from egan.core.networks import REVEAL
    from egan.core.phases import rotate_phases
    from egan.core.tensors import to_bytes

    model = scheme.model
    with torch.inference_mode():
        picture, image = model.prepare(disguise[None], key[None])
        z = model.G.measure(picture, image, model.F)

    @torch.inference_mode()
    def decode(streams: Pictures) -> Pictures:
        n = len(streams)
        k = torch.from_numpy(streams).to(model.device)
        turned = rotate_phases(z.expand(n, -1, -1, -1, -1), k, -1)
        return to_bytes(model.G.decode(turned, image.expand(n, -1, -1, -1), REVEAL))

    return decode
