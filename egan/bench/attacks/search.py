"""Attack 4: gradient search for the key through the leaked G, with the cover outside of
the box as known plaintext.

The attacker is given more than any real one: the weights, the cover, the exact place of
the box. Keystreams are searched as continuous phases, first one per plane (a weak key
would be found), then one per cell. Key images are searched as the three coarse maps
that K makes. The score is the decode of the box with the best key.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from egan.bench.attacks.keys import ATTACKED
from egan.bench.attacks.learned import mask
from egan.bench.attacks.learner import spend
from egan.bench.attacks.scene import (
    Budget,
    OneByte,
    Random,
    Scene,
    Scheme,
    ShowsThrough,
)
from egan.bench.attacks.verdict import AttackVerdict, Score, ceiling, judge_decodes
from egan.core.closed_form import CELL
from egan.core.model import Pictures
from egan.core.networks import REVEAL
from egan.core.phases import rotate_phases
from egan.core.tensors import to_bytes, to_unit

# So many phases a plane are tried before the gradient takes over.
GRID = 16
# The most steps that one disguise gets.
STEPS = 60
# The side of a picture divided by the side of K's maps in layers 3, 5 and 6.
MAPS = (8, 32, 64)


def searched_key(scene: Scene, budget: Budget) -> AttackVerdict:
    few = scene.first(ATTACKED)
    leak = OneByte if scene.scheme.locked else ShowsThrough
    leaky = few.with_leak(leak)
    return AttackVerdict(
        4,
        "gradient search through the leaked G",
        "dB",
        search(few, budget),
        ceiling(few),
        search(leaky, budget),
        leak.words,
        f"{min(STEPS, budget.steps or STEPS)} steps on each of {len(few.pairs.boxes)} disguises"
        if budget.seconds is None
        else str(budget),
    )


def search(scene: Scene, budget: Budget) -> Score:
    count = len(scene.pairs.boxes)
    each = dataclasses.replace(
        budget,
        steps=None if budget.steps is None else min(STEPS, budget.steps),
        seconds=None if budget.seconds is None else budget.seconds / (2 * count),
    )
    decodes, fits = [], []
    for i in range(count):
        decode, outside = (search_streams if scene.scheme.locked else search_image)(
            scene, i, each
        )
        decodes.append(decode)
        fits.append(outside)
    return judge_decodes(
        scene, np.stack(decodes), {"fit_outside_of_the_box_dB": float(np.mean(fits))}
    )


def known_error(found: Tensor, cover: Tensor, outside: Tensor) -> Tensor:
    """Mean squared error outside of the box, per picture of a batch (N,)."""
    return ((found - cover).square() * outside).sum((1, 2, 3)) / (3 * outside.sum())


def search_streams(scene: Scene, i: int, budget: Budget) -> tuple[Pictures, float]:
    """The best decode (S, S, 3) of disguise i over keystreams, and how well it fits
    outside of the box, in dB.
    """
    model: Any = scene.scheme.model
    device = model.device
    picture, key = model.prepare(scene.disguises[i : i + 1], scene.exact[i : i + 1])
    cover, outside = (
        to_unit(scene.pairs.covers[i : i + 1], device),
        1 - mask([scene.pairs.boxes[i]], scene.side, device),
    )
    with torch.no_grad():
        z = model.G.measure(picture, key, model.F)

    def decode(
        k: Tensor, rows: slice = slice(None), columns: slice = slice(None)
    ) -> Tensor:
        n = len(k)
        seen = z[..., rows, columns].expand(n, -1, -1, -1, -1)
        image = key[..., pixels(rows), pixels(columns)].expand(n, -1, -1, -1)
        return model.G.decode(rotate_phases(seen, k, -1), image, REVEAL)

    part = clear_quarter(outside)
    y, x = pixels(part[0]), pixels(part[1])
    planes = plane_search(
        lambda k: decode(k, *part),
        z.shape[2],
        lambda found: known_error(found, cover[..., y, x], outside[..., y, x]),
        device,
    )
    k = planes.expand(1, *z.shape[2:]).clone().requires_grad_()
    # A step of Adam moves a key byte by 4.
    optimiser = torch.optim.Adam([k], 4.0)
    best, best_error = k.detach().clone(), math.inf
    for _ in spend(budget, "attack 4"):
        error = known_error(decode(k), cover, outside).sum()
        if error.item() < best_error:
            best, best_error = k.detach().clone(), error.item()
        optimiser.zero_grad(set_to_none=True)
        error.backward()
        optimiser.step()
    with torch.no_grad():
        return to_bytes(decode(best))[0], -10 * math.log10(best_error / 4 + 1e-12)


def clear_quarter(outside: Tensor) -> tuple[slice, slice]:
    """The quarter of the picture, in cells, with the least of the box: enough to judge
    one byte per plane by.
    """
    half = outside.shape[-1] // 2 // CELL
    corners = [
        (slice(a, a + half), slice(b, b + half)) for a in (0, half) for b in (0, half)
    ]
    return max(
        corners, key=lambda c: float(outside[..., pixels(c[0]), pixels(c[1])].sum())
    )


def pixels(cells: slice) -> slice:
    return (
        slice(None)
        if cells == slice(None)
        else slice(cells.start * CELL, cells.stop * CELL)
    )


@torch.no_grad()
def plane_search(decode: Any, planes: int, error: Any, device: torch.device) -> Tensor:
    """One byte per plane, (1, P, 1, 1): every byte on all planes at once, then two
    rounds of trying a grid on one plane after the other, then finer.
    """
    tried = []
    for begin in range(0, 256, GRID):
        trial = (
            torch.arange(begin, begin + GRID, device=device)
            .float()
            .view(-1, 1, 1, 1)
            .repeat(1, planes, 1, 1)
        )
        errors = error(decode(trial))
        tried.append((float(errors.min()), trial[int(errors.argmin())][None]))
    best = min(tried, key=lambda item: item[0])[1]
    for step in (256 / GRID, 256 / GRID, 4.0):
        offsets = (torch.arange(GRID, device=device) - GRID // 2) * step
        for plane in range(planes):
            trial = best.repeat(GRID, 1, 1, 1)
            trial[:, plane, 0, 0] += offsets
            best = trial[int(error(decode(trial)).argmin())][None]
    return best


def search_image(scene: Scene, i: int, budget: Budget) -> tuple[Pictures, float]:
    """The same over key images, for schemes without a lock."""
    model: Any = scene.scheme.model
    device, side = model.device, scene.side
    disguise = to_unit(scene.disguises[i : i + 1], device)
    cover, outside = (
        to_unit(scene.pairs.covers[i : i + 1], device),
        1 - mask([scene.pairs.boxes[i]], side, device),
    )
    random: Random = scene.random(11, i)
    maps = [
        torch.tensor(
            random.normal(size=(1, 1, max(1, side // m), max(1, side // m))),
            dtype=torch.float32,
            device=device,
        )
        for m in MAPS
    ]
    for m in maps:
        m.requires_grad_()
    optimiser = torch.optim.Adam(maps, 0.05)

    def decode() -> Tensor:
        sized = [
            nnf.interpolate(m, (side, side), mode="bilinear", align_corners=False)
            for m in maps
        ]
        return model.G(torch.cat((disguise, torch.tanh(torch.cat(sized, 1))), 1))

    best, best_error = scene.disguises[i], math.inf
    for _ in spend(budget, "attack 4"):
        found = decode()
        error = known_error(found, cover, outside).sum()
        if error.item() < best_error:
            best, best_error = to_bytes(found.detach())[0], error.item()
        optimiser.zero_grad(set_to_none=True)
        error.backward()
        optimiser.step()
    # A disguise that shows its message needs no G to read it.
    as_it_is = known_error(disguise, cover, outside).item()
    if as_it_is < best_error:
        best, best_error = scene.disguises[i], as_it_is
    return best, -10 * math.log10(best_error / 4 + 1e-12)


def applies(scheme: Scheme) -> bool:
    """A method without keys has nothing to search for."""
    return scheme.locked or getattr(scheme.model, "keyed", True)
