"""The protocol: the pairs, the messages and their places, the keys that decode, and one
row for every picture.

Everything random is drawn from (seed, pair), so a pair is the same for every method,
batch size and limit. Every figure of a report is computed from the rows that `measure`
returns.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from egan.bench.data import PictureSets
from egan.bench.features import PictureDistance
from egan.bench.metrics import blind_mse, ssim
from egan.core.inference import KeyedModel
from egan.core.model import Model, Pictures
from egan.crypto import envelope, header
from egan.crypto.keystream import keystream
from egan.pictures.metrics import decibels, mse
from egan.pictures.squares import Square
from egan.terminal import progress

# LPIPS looks at this many wrong decodes of a picture: it costs more than a decode.
LPIPS_WRONG_KEYS = 8


@dataclass(frozen=True, eq=False)
class HeldOutPairs:
    """Composites, covers and flowers, uint8 (n, S, S, 3), the message boxes, and the
    names for the table.
    """

    composites: Pictures
    covers: Pictures
    flowers: Pictures
    boxes: list[Square]
    # Names of the cover, the flower and the message.
    names: list[tuple[str, str, str]]

    def first(self, count: int) -> HeldOutPairs:
        """The first `count` pairs, or all where there are fewer."""
        return HeldOutPairs(
            self.composites[:count],
            self.covers[:count],
            self.flowers[:count],
            self.boxes[:count],
            self.names[:count],
        )


@dataclass(frozen=True)
class Row:
    """The figures of one picture. All but `seconds` are in the message box, on RGB in
    [0, 1], after 8-bit rounding. None means that a figure was not asked for or has no
    backbone.
    """

    index: int
    cover: str
    flower: str
    message: str
    x: int
    y: int
    size: int
    # LPIPS and MSE between disguise and composite, in the box.
    encryption_mse: float
    encryption_lpips: float | None
    # Decode with the right key compared with the composite, in the box.
    message_mse: float
    message_rmse: float
    message_psnr: float
    message_ssim: float | None
    message_lpips: float | None
    wrong_keys: int
    # Decodes with wrong keys compared with the composite: mean and the attacker's best.
    security_mse: float | None
    security_mse_min: float | None
    security_psnr_mean: float | None
    security_psnr_max: float | None
    security_lpips: float | None
    security_lpips_min: float | None
    blind_mse: float
    blind_psnr: float
    # How far the best wrong key is above the blind floor, in dB; mostly negative.
    excess: float | None
    # Time of encrypt and decrypt together.
    seconds: float


@dataclass(frozen=True, eq=False)
class Wrong:
    """Decodes of one picture with wrong keys: MSE of each, and LPIPS of the first few
    where there is a backbone.
    """

    mse: list[float]
    lpips: list[float]


def make_pairs(sets: PictureSets, seed: int) -> HeldOutPairs:
    """Cover i, flower i and message i of a random source, 1/8 to 1/2 of the side, at a
    random place.
    """
    composites, boxes, names = sets.covers.copy(), [], []
    side = composites.shape[1]
    for i, composite in enumerate(composites):
        random = np.random.default_rng([seed, i])
        group = int(random.integers(len(sets.messages)))
        index = i % len(sets.messages[group])
        box = Square.anywhere(random, side)
        box.paste(composite, sets.messages[group][index])
        boxes.append(box)
        names.append(
            (
                sets.cover_names[i],
                sets.flower_names[i],
                sets.message_names[group][index],
            )
        )
    return HeldOutPairs(composites, sets.covers, sets.flowers, boxes, names)


def pair_keystream(model: Model, side: int, *words: int | str) -> Pictures:
    """The keystream (P, S/4, S/4) whose seed is the SHA-256 of `words`: for repeatable
    figures, never for secrets.
    """
    seed = hashlib.sha256(
        "\0".join(("egan bench/1", *map(str, words))).encode()
    ).digest()
    return keystream(seed, model.keystream_shape(side, side))


def wrong_keys(i: int, n: int, limit: int | None, seed: int) -> list[int]:
    """The pairs whose private keys are tried on pair i: all others, or `limit` of them
    in seeded order.
    """
    others = [j for j in range(n) if j != i]
    if limit is None or limit >= len(others):
        return others
    order = np.random.default_rng([seed, i, 1]).permutation(len(others))
    return [others[k] for k in order[:limit]]


def chunks(indices: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(indices), size):
        yield list(indices[start : start + size])


class Channel:
    """One model on one set of pairs: keys made once, then pictures through F and G with
    right and wrong keys.
    """

    def __init__(
        self, model: Model, pairs: HeldOutPairs, seed: int, batch: int
    ) -> None:
        self.model, self.pairs, self.seed, self.batch = model, pairs, seed, batch
        self.side = pairs.composites.shape[1]
        self.private = self.key_images(pairs.covers, model.options.private_layers)
        self.public = self.key_images(pairs.flowers, model.options.public_layers)

    def key_images(self, pictures: Pictures, layers: Sequence[int]) -> Pictures:
        parts = chunks(range(len(pictures)), self.batch)
        return np.concatenate(
            [self.model.key_images(pictures[part], layers) for part in parts]
        )

    def keystreams(self, words: Sequence[tuple[int | str, ...]]) -> Pictures | None:
        if not self.model.locked:
            return None
        return np.stack(
            [pair_keystream(self.model, self.side, self.seed, *w) for w in words]
        )

    def there_and_back(self) -> tuple[Pictures, Pictures, list[float]]:
        """Disguises and decodes with the right keys, uint8 (n, S, S, 3), and seconds
        per picture.
        """
        n = len(self.pairs.composites)
        disguises, decodes, seconds = [], [], []
        parts = list(chunks(range(n), self.batch))
        self.model.encrypt(
            self.pairs.composites[:1], self.public[:1], self.keystreams([("warm-up",)])
        )
        for part in progress(parts, len(parts), "encrypt and decrypt"):
            k = self.keystreams([("pair", i) for i in part])
            begin = time.perf_counter()
            disguises.append(self.as_sent(part, k))
            decodes.append(self.model.decrypt(disguises[-1], self.private[part], k))
            seconds += [(time.perf_counter() - begin) / len(part)] * len(part)
        return np.concatenate(disguises), np.concatenate(decodes), seconds

    def as_sent(self, part: Sequence[int], k: Pictures | None) -> Pictures:
        """Disguises with a header of random bits, as long as that of an envelope for
        one receiver; without one where the model has no lock.
        """
        composites, public = self.pairs.composites[part], self.public[part]
        if not isinstance(self.model, KeyedModel) or not self.model.locked:
            return self.model.encrypt(composites, public, k)
        shape = composites.shape[1:]
        even = header.mask(shape, envelope.plan(shape, 1).body)
        disguises = self.model.encrypt(composites, public, k, even)
        for i, disguise in zip(part, disguises, strict=True):
            random = np.random.default_rng((self.seed, i))
            disguise[even] |= random.integers(0, 2, int(even.sum()), dtype=np.uint8)
        return disguises

    def wrong(
        self,
        i: int,
        disguise: Pictures,
        limit: int | None,
        lpips: PictureDistance | None,
    ) -> Wrong:
        """Decode disguise i (S, S, 3) with other pairs' private keys, each with a
        keystream of its own seed.
        """
        box = self.pairs.boxes[i]
        truth = box.cut(self.pairs.composites[i])
        result = Wrong([], [])
        for part in chunks(
            wrong_keys(i, len(self.private), limit, self.seed), self.batch
        ):
            k = self.keystreams([("wrong", i, j) for j in part])
            same = np.broadcast_to(disguise, (len(part), *disguise.shape))
            boxes = box.cut(self.model.decrypt(same, self.private[part], k))
            result.mse.extend(mse(found, truth) for found in boxes)
            looked_at = boxes[: max(0, LPIPS_WRONG_KEYS - len(result.lpips))]
            if lpips is not None and len(looked_at):
                result.lpips.extend(
                    lpips(np.broadcast_to(truth, looked_at.shape), looked_at).tolist()
                )
        return result


def measure(
    model: Model,
    pairs: HeldOutPairs,
    *,
    seed: int = 0,
    batch: int = 8,
    wrong_limit: int | None = None,
    lpips: PictureDistance | None = None,
    with_ssim: bool = True,
    with_security: bool = True,
) -> tuple[list[Row], Pictures]:
    """The table of one model on one set of pairs, and its disguises, uint8 (n, S, S,
    3).
    """
    channel = Channel(model, pairs, seed, batch)
    disguises, decodes, seconds = channel.there_and_back()
    rows = []
    n = len(pairs.boxes)
    for i in progress(range(n), n, "measure"):
        box = pairs.boxes[i]
        truth, hidden, found = (
            box.cut(p[i]) for p in (pairs.composites, disguises, decodes)
        )
        wrong = Wrong([], [])
        if with_security:
            wrong = channel.wrong(i, disguises[i], wrong_limit, lpips)
        error = mse(found, truth)
        figures: dict[str, Any] = {
            "encryption_mse": mse(hidden, truth),
            "encryption_lpips": one_distance(lpips, truth, hidden),
            "message_mse": error,
            "message_rmse": math.sqrt(error),
            "message_psnr": decibels(error),
            "message_ssim": ssim(truth, found) if with_ssim else None,
            "message_lpips": one_distance(lpips, truth, found),
            "seconds": seconds[i],
        }
        figures |= wrong_key_figures(wrong, blind_mse(truth))
        place = (box.x, box.y, box.size)
        rows.append(Row(i, *pairs.names[i], *place, **figures))
    return rows, disguises


def one_distance(
    lpips: PictureDistance | None, one: Pictures, two: Pictures
) -> float | None:
    """LPIPS of two pictures, uint8 (h, w, 3); None without a network."""
    return float(lpips(one[None], two[None])[0]) if lpips else None


def wrong_key_figures(wrong: Wrong, floor: float) -> dict[str, Any]:
    """The columns of a row that wrong keys and the blind floor, an MSE, give."""
    psnr = [decibels(v) for v in wrong.mse]
    tries, judged = bool(wrong.mse), bool(wrong.lpips)
    return {
        "wrong_keys": len(wrong.mse),
        "security_mse": float(np.mean(wrong.mse)) if tries else None,
        "security_mse_min": min(wrong.mse) if tries else None,
        "security_psnr_mean": float(np.mean(psnr)) if tries else None,
        "security_psnr_max": max(psnr) if tries else None,
        "security_lpips": float(np.mean(wrong.lpips)) if judged else None,
        "security_lpips_min": min(wrong.lpips) if judged else None,
        "blind_mse": floor,
        "blind_psnr": decibels(floor),
        "excess": max(psnr) - decibels(floor) if tries and floor > 0 else None,
    }
