"""From an attacker's scores to one line: held, leaks or broken, beside ceiling, floor
and control.

A decode is judged twice. First against the floor: if it is nearer to the message than a
box filled with the message's mean colour, the scheme is broken. Then against decoys: if
it is nearer to this message than to another one of the same kind, it leaks, however far
below the floor it is. Differences are paired per picture, by a one-sided t-test at 0.5
%.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from egan.bench.attacks.scene import Scene
from egan.bench.intervals import mean_interval
from egan.bench.metrics import blind_mse
from egan.core.model import Pictures
from egan.pictures.metrics import decibels, psnr

SIGNIFICANT = 0.005
# A decode so many dB above the floor, the best that a flat box can do, shows its
# message, even if it is the only one.
READ = 6.0
# An exact copy counts as this many dB, so that means stay finite.
MOST = 99.0


@dataclasses.dataclass(frozen=True)
class Score:
    """One attack on one scheme: mean over pictures, 95 % bootstrap interval, floor, and
    the finding.
    """

    value: float
    ci: list[float]
    floor: float
    # One of: held, leaks, broken.
    finding: str
    n: int
    details: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def found(self) -> bool:
        return self.finding != "held"


@dataclasses.dataclass(frozen=True)
class AttackVerdict:
    """One attack's line in `egan bench --attacks`. `control` is the score on the
    planted leak.
    """

    number: int
    name: str
    unit: str
    score: Score
    ceiling: float
    control: Score
    # Name of the leak that is planted in the control.
    planted: str
    budget: str

    @property
    def idle(self) -> bool:
        """Whether there was nothing to hold: the right key itself reads no more than
        the floor.
        """
        return (
            self.unit == "dB"
            and not self.score.found
            and self.ceiling <= self.score.floor
        )

    def line(self) -> str:
        s, c = self.score, self.control
        digits = 3 if self.unit in ("AUC", "of 1") else 2
        extra = "".join(
            f"; {name.replace('_', ' ')} {shown(value)}"
            for name, value in s.details.items()
        )
        if self.idle:
            extra += "; the right key reads no more than the floor, so there was nothing to hold"
        return (
            f"{self.number} {self.name}: {s.finding.upper()}, {s.value:.{digits}f} {self.unit} "
            f"({s.ci[0]:.{digits}f} to {s.ci[1]:.{digits}f}, n {s.n}), floor {s.floor:.{digits}f}, "
            f"right key {self.ceiling:.{digits}f}; control ({self.planted}): {c.value:.{digits}f}, "
            f"{'found' if c.found else 'NOT FOUND'}; {self.budget}{extra}"
        )

    def to_json(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "line": self.line()}


def shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, dict):
        return ", ".join(f"{k} {shown(v)}" for k, v in value.items())
    return str(value)


def above(differences: Sequence[float]) -> bool:
    """Whether the mean of paired differences is above zero beyond chance."""
    d = np.asarray(differences, np.float64)
    if len(d) < 3 or np.ptp(d) == 0:
        return len(d) > 0 and float(d.min()) > 0 and len(d) >= 2
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(d, 0, alternative="greater").pvalue) < SIGNIFICANT


def box_psnr(scene: Scene, i: int, decode: Pictures, truth: Pictures) -> float:
    """PSNR in message box i of one decode (S, S, 3) against a composite."""
    box = scene.pairs.boxes[i]
    return min(MOST, psnr(box.cut(decode), box.cut(truth)))


def floors(scene: Scene) -> list[float]:
    p = scene.pairs
    return [
        min(MOST, decibels(blind_mse(b.cut(c))))
        for b, c in zip(p.boxes, p.composites, strict=True)
    ]


def ceiling(scene: Scene) -> float:
    p = scene.pairs
    return float(
        np.mean(
            [
                box_psnr(scene, i, d, p.composites[i])
                for i, d in enumerate(scene.decodes)
            ]
        )
    )


def judge_psnr(
    scene: Scene,
    mine: Sequence[float],
    decoy: Sequence[float],
    details: dict[str, Any] | None = None,
) -> Score:
    """Score decodes by their PSNR in dB against the truth and against the decoys, one
    of each per picture.

    Broken: above the floor on average, or READ above it once, since few pictures with
    luck on some of them prove little on average.
    """
    floor = floors(scene)
    over = [a - b for a, b in zip(mine, floor, strict=True)]
    lead = [a - b for a, b in zip(mine, decoy, strict=True)]
    read = sum(o >= READ for o in over)
    finding = "broken" if read or above(over) else "leaks" if above(lead) else "held"
    extra = {
        "lead_over_decoys_dB": float(np.mean(lead)),
        "pictures_read": read,
        **(details or {}),
    }
    return Score(
        float(np.mean(mine)),
        mean_interval(mine, scene.seed),
        float(np.mean(floor)),
        finding,
        len(mine),
        extra,
    )


def judge_decodes(
    scene: Scene, decodes: Pictures, details: dict[str, Any] | None = None
) -> Score:
    """Score one decode (n, S, S, 3) per pair of the scene."""
    mine = [
        box_psnr(scene, i, d, scene.pairs.composites[i]) for i, d in enumerate(decodes)
    ]
    decoy = [box_psnr(scene, i, d, scene.decoys[i]) for i, d in enumerate(decodes)]
    return judge_psnr(scene, mine, decoy, details)


def area(positive: np.ndarray, negative: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive scores higher than a negative,
    ties count half.
    """
    from scipy.stats import mannwhitneyu

    if not len(positive) or not len(negative):
        return math.nan
    found = mannwhitneyu(positive, negative, method="asymptotic")
    return float(found.statistic / (len(positive) * len(negative)))
