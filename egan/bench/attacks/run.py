"""All attacks on one model, in order. An attack that does not find its own planted leak
proves nothing, and fails.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from egan.bench.attacks.channel import lossy_channel
from egan.bench.attacks.differences import ciphertext_differences
from egan.bench.attacks.forgery import forgeries
from egan.bench.attacks.keys import recomputed_key, trivial_keys
from egan.bench.attacks.learned import detected_message, learned_decoder, located_box
from egan.bench.attacks.scene import Budget, Scene, Scheme
from egan.bench.attacks.search import applies, searched_key
from egan.bench.attacks.verdict import AttackVerdict
from egan.bench.data import PictureSets
from egan.errors import EganError
from egan.terminal import note

ATTACKS: dict[int, Callable[[Scene, Budget], AttackVerdict]] = {
    1: recomputed_key,
    2: trivial_keys,
    3: learned_decoder,
    4: searched_key,
    5: ciphertext_differences,
    6: located_box,
    7: detected_message,
    8: forgeries,
    9: lossy_channel,
}
# The attack trains on one half of these and is judged on the other.
LEAST_PAIRS = 6


def run_attacks(
    model: Any,
    sets: PictureSets,
    budget: Budget,
    seed: int,
    numbers: tuple[int, ...] = tuple(ATTACKS),
) -> list[AttackVerdict]:
    """Verdicts in order. Raises EganError for too few pairs."""
    if len(sets.covers) < LEAST_PAIRS:
        raise EganError(
            f"{len(sets.covers)} pairs are too few for attacks",
            f"give {LEAST_PAIRS} or more with --limit",
        )
    scene = Scene.make(Scheme(model, budget.batch), sets, seed)
    verdicts = []
    for number in numbers:
        if number == 4 and not applies(scene.scheme):
            note("attack 4 does not apply: the method has no key")
            continue
        verdicts.append(ATTACKS[number](scene, budget))
        note(f"attack {number} ({verdicts[-1].name}): {verdicts[-1].score.finding}")
    return verdicts


def check_controls(verdicts: dict[str, list[AttackVerdict]]) -> None:
    """Raises EganError that names every attack whose control was not found."""
    blind = [
        f"{v.number} ({v.name}) on {method}"
        for method, found in verdicts.items()
        for v in found
        if not v.control.found
    ]
    if blind:
        raise EganError(
            f"the planted leak was not found by attack {', '.join(blind)}",
            "its verdict proves nothing: give it a larger --budget or more pairs",
        )
