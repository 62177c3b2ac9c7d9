"""How real the disguises look: Frechet and kernel distances between two sets of
pictures.

A distance means nothing alone. Beside it stand the one between two sets of real
pictures, which no disguise can pass, and those of photographs to their own JPEGs. A
distance falls with the number of pictures and when a disguise meets the very flower it
was painted from, so the two that are to be compared have equal counts and no flower in
common.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from egan.bench.data import batches
from egan.bench.features import Features
from egan.bench.metrics import Floats, frechet_distance, kernel_distance
from egan.core.model import Pictures
from egan.errors import EganError
from egan.terminal import progress

# The least number of real pictures: two halves of two.
LEAST = 4
# The least number that has intervals: resamples of fewer are too much alike.
LEAST_RESAMPLED = 16
RESAMPLES = 100
# Qualities of the JPEGs that photographs are compared with.
QUALITIES = (75, 30)

SetDistance = Callable[[Floats, Floats, Floats | None, Floats | None], float]
DISTANCES: dict[str, SetDistance] = {
    "frechet": frechet_distance,
    "kid": kernel_distance,
}


def realism(
    load: Callable[[], Features],
    disguises: Pictures,
    flowers: Pictures,
    reference: Path | None,
    batch: int,
    seed: int,
    names: Iterable[str] = DISTANCES,
) -> dict[str, dict[str, Any]]:
    """Distances by name, of disguises and real pictures, uint8 (n, S, S, 3), to others.

    "distance": all disguises, "comparable": disguises, to be read beside "real": real
    pictures. With `reference`, a folder, all three are distances to that. Without,
    "distance" is to all of `flowers`, "real" is between their halves, and "comparable"
    is from the disguises of one half to the flowers of the other, the mean of both
    ways. "jpeg": of `flowers` to their own JPEGs, by quality. "ci": 95 % intervals of
    the first three, none of fewer than 16 pictures. load: makes the network, after the
    checks. Raises EganError for too few pictures, and as `load` does.
    """
    n = len(flowers)
    if n < LEAST:
        raise EganError(
            f"{n} pictures are too few for a distance of distributions",
            f"take {LEAST} or more",
        )
    features = load()
    fake, real = (every(features, parts(p, batch)) for p in (disguises, flowers))
    others = None
    if reference is not None:
        others = every(features, batches(reference, flowers.shape[1], batch))
        if len(others) < 2:
            raise EganError(f"{reference} holds too few pictures for --reference")
    words = compared_sets(n, reference, others)
    jpegs = {
        quality: every(features, parts(as_jpeg(flowers, quality), batch))
        for quality in QUALITIES
    }
    out: dict[str, dict[str, Any]] = {}
    for name in names:
        distance = DISTANCES[name]
        found = three(distance, fake, real, others, np.ones(n))
        count = RESAMPLES if n >= LEAST_RESAMPLED else 0
        draws = [
            three(distance, fake, real, others, weights)
            for weights in progress(resamples(n, count, seed), count, name)
        ]
        ci = {
            part: centred(value, [draw[part] for draw in draws])
            for part, value in found.items()
            if draws
        }
        near = {str(q): distance(real, f, None, None) for q, f in jpegs.items()}
        out[name] = found | {"jpeg": near, "ci": ci, "sets": words, "n": n}
    return out


def compared_sets(n: int, reference: Path | None, others: Floats | None) -> str:
    """Words for the sets of pictures that the distances are between."""
    if others is not None:
        return f"disguises ({n}) and real --y ({n}) against {reference} ({len(others)})"
    return (
        f"disguises ({n}) against --y ({n}); "
        f"comparable and real: halves of --y ({n - n // 2}, {n // 2})"
    )


def three(
    distance: SetDistance,
    fake: Floats,
    real: Floats,
    others: Floats | None,
    weights: Floats,
) -> dict[str, float]:
    """The three distances where picture i counts weights[i] times."""
    if others is not None:
        found, floor = (distance(f, others, weights, None) for f in (fake, real))
        return {"distance": found, "comparable": found, "real": floor}
    a, b = slice(0, None, 2), slice(1, None, 2)
    ways = [
        distance(fake[i], real[j], weights[i], weights[j]) for i, j in ((a, b), (b, a))
    ]
    return {
        "distance": distance(fake, real, weights, weights),
        "comparable": sum(ways) / 2,
        "real": distance(real[a], real[b], weights[a], weights[b]),
    }


def resamples(n: int, count: int, seed: int) -> Iterable[Floats]:
    """How often each of n pictures is drawn, with replacement within each half.

    A half has two different pictures at least, which a distance needs.
    """
    random = np.random.default_rng(seed)
    for _ in range(count):
        weights = np.zeros(n)
        for start in (0, 1):
            # A view into weights.
            half = weights[start::2]
            while np.count_nonzero(half) < 2:
                half[:] = random.multinomial(
                    len(half), np.full(len(half), 1 / len(half))
                )
        yield weights


def centred(value: float, draws: list[float]) -> list[float]:
    """The 95 % bootstrap interval, moved so that the mean of the draws is the value.

    A set in which pictures repeat is farther from any other, which says nothing of the
    value: only the spread of the draws counts.
    """
    low, high = np.percentile(draws, (2.5, 97.5)) - np.mean(draws) + value
    return [float(low), float(high)]


def as_jpeg(pictures: Pictures, quality: int) -> Pictures:
    """Pictures after JPEG, 4:2:0, of a quality."""
    out = []
    for picture in pictures:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality)
        out.append(np.asarray(Image.open(file).convert("RGB")))
    return np.stack(out)


def parts(pictures: Pictures, batch: int) -> Iterable[Pictures]:
    return (pictures[i : i + batch] for i in range(0, len(pictures), batch))


def every(features: Features, pictures: Iterable[Pictures]) -> Floats:
    return np.concatenate([features(batch) for batch in pictures])
