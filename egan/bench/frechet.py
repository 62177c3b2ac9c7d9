"""How real the disguises look: Frechet distances between the features of two sets of pictures.

A distance means nothing alone: beside it stands the one between two sets of real pictures. It falls with the number of
pictures and when a disguise meets the very flower it was painted from, so the two that are to be compared have equal
counts and no flower in common.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from egan.bench.data import batches
from egan.bench.features import Features
from egan.bench.metrics import Floats, frechet_distance, gaussian
from egan.core.encryptgan import Pictures
from egan.errors import EganError

LEAST = 4  # real pictures: two halves of two


def realism(
    features: Features,
    disguises: Pictures,
    flowers: Pictures,
    reference: Path | None,
    batch: int,
) -> dict[str, float | str | int]:
    """Frechet distances of disguises and of real pictures, uint8 (n, S, S, 3), to other real pictures.

    "distance": all disguises, "comparable": disguises, to be read beside "real": real pictures. With `reference`, a
    folder, all three are distances to that. Without, "distance" is to all of `flowers`, "real" is between their
    halves, and "comparable" is from the disguises of one half to the flowers of the other, the mean of both ways.
    Raises EganError for too few pictures.
    """
    n = len(flowers)
    if n < LEAST:
        raise EganError(
            f"{n} pictures are too few for a distance of distributions",
            f"take {LEAST} or more",
        )
    fake, real = (every(features, parts(p, batch)) for p in (disguises, flowers))
    if reference is None:
        a, b, fake_a, fake_b = (
            gaussian(f) for f in (real[0::2], real[1::2], fake[0::2], fake[1::2])
        )
        distance, floor = (
            frechet_distance(gaussian(fake), gaussian(real)),
            frechet_distance(a, b),
        )
        comparable = (frechet_distance(fake_a, b) + frechet_distance(fake_b, a)) / 2
        words = f"disguises ({n}) against --y ({n}); comparable and real: halves of --y ({n - n // 2}, {n // 2})"
    else:
        others = every(features, batches(reference, flowers.shape[1], batch))
        if len(others) < 2:
            raise EganError(f"{reference} holds too few pictures for --reference")
        distance, floor = (
            frechet_distance(gaussian(f), gaussian(others)) for f in (fake, real)
        )
        comparable = distance
        words = (
            f"disguises ({n}) and real --y ({n}) against {reference} ({len(others)})"
        )
    return {
        "distance": distance,
        "comparable": comparable,
        "real": floor,
        "sets": words,
        "n": n,
    }


def parts(pictures: Pictures, batch: int) -> Iterable[Pictures]:
    return (pictures[start : start + batch] for start in range(0, len(pictures), batch))


def every(features: Features, pictures: Iterable[Pictures]) -> Floats:
    return np.concatenate([features(batch) for batch in pictures])
