"""The measurements of `egan bench` beside the table, on the same pairs: attacks,
payloads, speed, and the scenes that figures are drawn from.
"""

from __future__ import annotations

from typing import Any

from egan.bench.attacks.run import run_attacks
from egan.bench.attacks.scene import Budget, Scene, Scheme
from egan.bench.attacks.verdict import AttackVerdict
from egan.bench.data import PictureSets
from egan.bench.options import BUDGET, BenchOptions, parse_budget
from egan.bench.payloads import measure_payloads, payload_lines

# Pictures of each kind and size; fewer where there are fewer pairs.
PAYLOAD_COUNT = 20


def budget_of(options: BenchOptions) -> Budget:
    steps, seconds = parse_budget(options.budget or BUDGET)
    return Budget(steps, seconds, options.keys, options.batch)


def scene_of(model: Any, sets: PictureSets, options: BenchOptions) -> Scene:
    return Scene.make(Scheme(model, options.batch), sets, options.seed)


def add_extras(
    figures: dict[str, Any], model: Any, sets: PictureSets, options: BenchOptions
) -> list[AttackVerdict]:
    """Put "attacks" and "payloads" into one method's figures where they are asked for;
    the verdicts.
    """
    verdicts: list[AttackVerdict] = []
    if options.payloads:
        scene = scene_of(model, sets, options)
        figures["payloads"] = measure_payloads(
            scene, min(PAYLOAD_COUNT, len(scene.pairs.boxes))
        )
    if options.attacks:
        verdicts = run_attacks(
            model, sets, budget_of(options), options.seed, options.attacks
        )
        figures["attacks"] = [v.to_json() for v in verdicts]
    return verdicts


def extra_lines(figures: dict[str, Any]) -> list[str]:
    """The same for people."""
    lines = payload_lines(figures["payloads"]) if "payloads" in figures else []
    return lines + [v["line"] for v in figures.get("attacks", [])]
