"""Attackers who train: one small network on fresh pairs, from the best linear start,
for a stated budget.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.bench.attacks.scene import Budget
from egan.core.closed_form import CELL
from egan.core.networks import Block, zero
from egan.terminal import progress

RIDGE = 1e-3
WIDTH = 48
RATE = 1e-3


class Attacker(nn.Module):
    """Disguises (N, 3, H, W) in [-1, 1] to `outputs` numbers per 4x4 cell: a 3x3 linear
    map of cells, which `least_squares` sets, plus a residual network at 1/4, 1/8 and
    1/16 of the resolution that starts as nothing.
    """

    def __init__(self, outputs: int) -> None:
        super().__init__()
        w, cell = WIDTH, 3 * CELL**2
        self.linear = nn.Conv2d(cell, outputs, 3, padding=1)
        self.stem = nn.Conv2d(cell, w, 3, padding=1)
        self.near = nn.Sequential(Block(w), Block(w))
        self.down = nn.Conv2d(w, 2 * w, 2, stride=2)
        self.far = nn.Sequential(
            Block(2 * w),
            nn.Conv2d(2 * w, 2 * w, 2, stride=2),
            Block(2 * w),
            Block(2 * w),
        )
        self.up = nn.Conv2d(2 * w, w, 1)
        self.head = nn.Conv2d(w, outputs, 3, padding=1)
        zero(self.linear)
        zero(self.head)

    def forward(self, disguises: Tensor) -> Tensor:
        cells = nnf.pixel_unshuffle(disguises, CELL)
        h = self.near(self.stem(cells))
        deep = nnf.interpolate(
            self.up(self.far(self.down(h))), scale_factor=4, mode="nearest"
        )
        return self.linear(cells) + self.head(nnf.silu(h + deep))


@torch.no_grad()
def least_squares(attacker: Attacker, disguises: Tensor, targets: Tensor) -> None:
    """The linear map from 3x3 cells (and 1) to targets (N, outputs, H/4, W/4) by ridge
    regression.
    """
    cells = nnf.pixel_unshuffle(disguises, CELL)
    rows = nnf.unfold(cells, 3, padding=1).transpose(1, 2).flatten(0, 1)
    rows = torch.cat((rows, torch.ones_like(rows[:, :1])), 1).double()
    wanted = targets.flatten(2).transpose(1, 2).flatten(0, 1).double()
    square = rows.T @ rows / len(rows) + RIDGE * torch.eye(
        rows.shape[1], device=rows.device, dtype=rows.dtype
    )
    solution = torch.linalg.solve(square, rows.T @ wanted / len(rows)).float()
    attacker.linear.weight.copy_(solution[:-1].T.reshape(attacker.linear.weight.shape))
    assert attacker.linear.bias is not None
    attacker.linear.bias.copy_(solution[-1])


def fit(
    attacker: nn.Module,
    batch: Callable[[], tuple[Tensor, ...]],
    loss: Callable[..., Tensor],
    budget: Budget,
    words: str,
) -> int:
    """Train for the budget; returns the number of steps. The first third of the steps
    warms up and the rest decays.
    """
    optimiser = torch.optim.Adam(attacker.parameters(), RATE)
    count = 0
    for count, done in enumerate(spend(budget, words), 1):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1, count / 10) * (1 - done)
        optimiser.zero_grad(set_to_none=True)
        loss(attacker, *batch()).backward()
        nn.utils.clip_grad_norm_(attacker.parameters(), 1.0)
        optimiser.step()
    return count


def spend(budget: Budget, words: str) -> Iterator[float]:
    """The share that is spent, once per step, until the budget is; at least one step."""
    if budget.seconds is None:
        steps = budget.steps or 1
        yield from (i / steps for i in progress(range(steps), steps, words))
        return
    begin = time.monotonic()
    done = 0.0
    while done < 1:
        yield done
        done = (time.monotonic() - begin) / budget.seconds
