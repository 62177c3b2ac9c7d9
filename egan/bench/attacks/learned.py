"""Attacks 3, 6 and 7: a decoder, a box finder and a message detector, each trained on
unlimited pairs of the attacker's own making with the public key, and judged on pictures
that it never saw.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from egan.bench.attacks.learner import Attacker, fit, least_squares
from egan.bench.attacks.scene import (
    Budget,
    Factory,
    LockOff,
    Marked,
    Scene,
    ShowsThrough,
)
from egan.bench.attacks.verdict import (
    AttackVerdict,
    Score,
    above,
    area,
    ceiling,
    judge_decodes,
)
from egan.bench.intervals import mean_interval, paired_interval
from egan.bench.protocol import chunks
from egan.core.closed_form import CELL
from egan.core.model import Pictures
from egan.core.tensors import to_bytes, to_unit
from egan.pictures.squares import Square

# The linear maps start from the principal components of this many pictures.
START = 48
# Pictures in one training step.
BATCH = 4
# Attack 3 is judged on this many held-out pairs.
JUDGED = 48
# Attacks 6 and 7 are judged on this many held-out disguises.
TESTS = 96
# The control gets half of the budget, because the planted leak is easy to find.
CONTROL_SHARE = 2


def smaller(budget: Budget) -> Budget:
    """The control's share."""
    seconds = None if budget.seconds is None else budget.seconds / CONTROL_SHARE
    steps = None if budget.steps is None else max(1, budget.steps // CONTROL_SHARE)
    return dataclasses.replace(budget, steps=steps, seconds=seconds)


def learned_decoder(scene: Scene, budget: Budget) -> AttackVerdict:
    """A decoder without any key, trained on composites and their disguises, judged on
    fresh pairs of held-out pictures.
    """
    leak = LockOff if scene.scheme.locked else ShowsThrough
    score, top = decode_score(scene, budget, "attack 3")
    control, _ = decode_score(
        scene.with_leak(leak), smaller(budget), "attack 3, control"
    )
    return AttackVerdict(
        3,
        "decoder trained without a key",
        "dB",
        score,
        top,
        control,
        leak.words,
        str(budget),
    )


def decode_score(scene: Scene, budget: Budget, words: str) -> tuple[Score, float]:
    """The score of the trained decoder, and the right key's on the same pairs."""
    torch.manual_seed(scene.seed)
    device = scene.scheme.model.device
    factory = Factory(scene, False, scene.random(5))
    attacker = Attacker(3 * CELL**2).to(device)
    disguises, composites, _ = factory.draw(START)
    least_squares(
        attacker,
        to_unit(disguises, device),
        nnf.pixel_unshuffle(to_unit(composites, device), CELL),
    )

    def batch() -> tuple[Tensor, Tensor, Tensor]:
        disguises, composites, boxes = factory.draw(BATCH)
        weight = 0.1 + mask(boxes, scene.side, device)
        return to_unit(disguises, device), to_unit(composites, device), weight

    def loss(
        attacker: Attacker, disguise: Tensor, composite: Tensor, weight: Tensor
    ) -> Tensor:
        error = nnf.pixel_shuffle(attacker(disguise), CELL) - composite
        return (error.square() * weight).sum() / weight.sum() / 3

    steps = fit(attacker, batch, loss, budget, words)
    judged = Factory(scene, True, scene.random(15)).judged(JUDGED)
    decodes = to_bytes(
        nnf.pixel_shuffle(answers(attacker, judged.disguises, scene), CELL)
    )
    score = judge_decodes(judged, decodes, {"training_steps": steps})
    return score, ceiling(judged)


@torch.inference_mode()
def answers(attacker: Attacker, disguises: Pictures, scene: Scene) -> Tensor:
    """The trained attacker's answer for every cell: (N, channels, h, w) on the CPU."""
    device = scene.scheme.model.device
    parts = chunks(range(len(disguises)), scene.scheme.batch)
    return torch.cat([attacker(to_unit(disguises[p], device)).cpu() for p in parts])


def mask(boxes: list[Square], side: int, device: torch.device) -> Tensor:
    """Message boxes as ones in zeros (N, 1, S, S)."""
    out = torch.zeros(len(boxes), 1, side, side)
    for picture, box in zip(out, boxes, strict=True):
        picture[0, box.y : box.y + box.size, box.x : box.x + box.size] = 1
    return out.to(device)


def cell_mask(boxes: list[Square], side: int, device: torch.device) -> Tensor:
    return nnf.avg_pool2d(mask(boxes, side, device), CELL).round()


def box_finder(scene: Scene, factory: Factory) -> Attacker:
    """An attacker with one score a cell, started where least squares finds message
    boxes best.
    """
    torch.manual_seed(scene.seed)
    device = scene.scheme.model.device
    attacker = Attacker(1).to(device)
    disguises, _, boxes = factory.draw(START)
    least_squares(
        attacker, to_unit(disguises, device), cell_mask(boxes, scene.side, device)
    )
    return attacker


def located_box(scene: Scene, budget: Budget) -> AttackVerdict:
    """A network says for every cell whether it is in the message box.

    Returns the AUC of each picture, and the AUC against the box of another picture:
    guessing that boxes are in the middle earns as much.
    """
    return AttackVerdict(
        6,
        "box located from the disguise",
        "AUC",
        locate_score(scene, budget, "attack 6"),
        1.0,
        locate_score(scene.with_leak(Marked), smaller(budget), "attack 6, control"),
        Marked.words,
        str(budget),
    )


def locate_score(scene: Scene, budget: Budget, words: str) -> Score:
    device = scene.scheme.model.device
    factory = Factory(scene, False, scene.random(6))
    attacker = box_finder(scene, factory)

    def batch() -> tuple[Tensor, Tensor]:
        disguises, _, boxes = factory.draw(BATCH)
        return to_unit(disguises, device), cell_mask(boxes, scene.side, device)

    def loss(attacker: Attacker, disguise: Tensor, wanted: Tensor) -> Tensor:
        return nnf.binary_cross_entropy_with_logits(attacker(disguise), wanted)

    steps = fit(attacker, batch, loss, budget, words)
    disguises, _, boxes = Factory(scene, True, scene.random(7)).draw(TESTS)
    maps = answers(attacker, disguises, scene)[:, 0].numpy()
    masks = cell_mask(boxes, scene.side, torch.device("cpu")).numpy()[:, 0] > 0.5
    own = [area(m[k], m[~k]) for m, k in zip(maps, masks, strict=True)]
    other = [area(m[k], m[~k]) for m, k in zip(maps, np.roll(masks, 1, 0), strict=True)]
    finding = (
        "broken" if above([a - b for a, b in zip(own, other, strict=True)]) else "held"
    )
    return Score(
        float(np.mean(own)),
        mean_interval(own, scene.seed),
        float(np.mean(other)),
        finding,
        len(own),
        {"training_steps": steps},
    )


def detected_message(scene: Scene, budget: Budget) -> AttackVerdict:
    """A network tells disguises with a message from disguises of the bare cover, both
    made by egan.
    """
    return AttackVerdict(
        7,
        "message present or absent",
        "AUC",
        presence_score(scene, budget, "attack 7"),
        1.0,
        presence_score(scene.with_leak(Marked), smaller(budget), "attack 7, control"),
        Marked.words,
        str(budget),
    )


def presence_score(scene: Scene, budget: Budget, words: str) -> Score:
    device = scene.scheme.model.device
    factory = Factory(scene, False, scene.random(8))
    attacker = box_finder(scene, factory)

    def batch() -> tuple[Tensor, Tensor]:
        full, none = factory.with_and_without(BATCH // 2)
        wanted = torch.tensor([1.0] * len(full) + [0.0] * len(none), device=device)
        return to_unit(np.concatenate([full, none]), device), wanted

    def loss(attacker: Attacker, disguise: Tensor, wanted: Tensor) -> Tensor:
        return nnf.binary_cross_entropy_with_logits(pooled(attacker(disguise)), wanted)

    steps = fit(attacker, batch, loss, budget, words)
    shown = Factory(scene, True, scene.random(9)).with_and_without(TESTS // 2)
    full, none = (pooled(answers(attacker, d, scene)).numpy() for d in shown)
    return Score(
        area(full, none),
        paired_interval(area, (full, none), scene.seed),
        0.5,
        "broken" if above(full - none) else "held",
        2 * len(full),
        {"training_steps": steps},
    )


def pooled(maps: Tensor) -> Tensor:
    """One score per picture (N,) from cell scores (N, 1, h, w): the mean of the whole
    and of its highest sixteenth.
    """
    flat = maps.flatten(1)
    return flat.mean(1) + flat.topk(max(1, flat.shape[1] // 16), 1).values.mean(1)
