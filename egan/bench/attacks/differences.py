"""Attack 5: two messages on one cover under one key pair; does the difference of the
two disguises tell where they are?

Score: the area under the ROC curve of |e1 - e2| over the pixels of a picture, inside of
the box against outside.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from egan.bench.attacks.scene import Budget, SameStream, Scene, ShowsThrough
from egan.bench.attacks.verdict import AttackVerdict, Score, above, area
from egan.bench.intervals import mean_interval
from egan.core.model import Pictures

# A difference is compared with this many boxes of other pictures.
OTHERS = 4
# A difference is averaged over squares of this many pixels a side.
WINDOW = 9


def ciphertext_differences(scene: Scene, budget: Budget) -> AttackVerdict:
    leak = SameStream if scene.scheme.locked else ShowsThrough
    leaky = scene.with_leak(leak)
    score, ceiling = (
        difference_score(scene, scene.disguises, second(scene)),
        decoded(scene),
    )
    return AttackVerdict(
        5,
        "ciphertext differences",
        "AUC",
        score,
        ceiling,
        difference_score(leaky, leaky.disguises, second(leaky)),
        leak.words,
        "two disguises of each pair",
    )


def second(scene: Scene) -> Pictures:
    """The other message in the same box, on the same cover, to the same public key,
    with a keystream of its own.
    """
    streams = scene.scheme.streams(len(scene.decoys), scene.side, scene.random(12))
    return scene.scheme.disguise(scene.decoys, scene.public, streams, scene.pairs.boxes)


def decoded(scene: Scene) -> float:
    """The same figure for the receiver, who compares the decodes."""
    streams = scene.scheme.streams(len(scene.decoys), scene.side, scene.random(12))
    made = scene.scheme.disguise(scene.decoys, scene.public, streams, scene.pairs.boxes)
    return difference_score(
        scene, scene.decodes, scene.scheme.reveal(made, scene.private, streams)
    ).value


def difference_score(scene: Scene, a: Pictures, b: Pictures) -> Score:
    own, other = [], []
    n = len(a)
    inside = np.zeros((n, scene.side, scene.side), bool)
    for i, box in enumerate(scene.pairs.boxes):
        box.cut(inside[i][..., None])[:] = True
    for i in range(n):
        difference = uniform_filter(np.abs(a[i].astype(float) - b[i]).mean(2), WINDOW)
        others = [inside[(i + shift) % n] for shift in range(1, min(n, OTHERS + 1))]
        own.append(area(difference[inside[i]], difference[~inside[i]]))
        other.append(
            float(np.mean([area(difference[w], difference[~w]) for w in others]))
        )
    finding = (
        "broken" if above([x - y for x, y in zip(own, other, strict=True)]) else "held"
    )
    return Score(
        float(np.mean(own)),
        mean_interval(own, scene.seed),
        float(np.mean(other)),
        finding,
        n,
    )
