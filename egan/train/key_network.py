"""K is trained first, by cross-entropy to tell X from Y, and then frozen (DESIGN 2).

In family `egan` the painters learn with it: F paints flowers from their public key images and G faces from their private
ones, so that K puts what a painter needs into its maps: brightness, and colours beside it. Without painters the
maps are what cross-entropy alone makes of them, as published.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.core.networks import KeyNetwork
from egan.train import losses
from egan.train.recipes.base import noisy
from egan.train.sampler import Sampler, Source

HALF_BATCH = 8
RATE = 5e-4
PAINTING_RATE = 1e-3  # of K and the painters where they learn together
WARMUP = 50  # steps
REPORT_EVERY = 50
NOISE = 0.02  # Gaussian, on the inputs, in units of the [-1, 1] range


@dataclasses.dataclass
class Painter:
    """What paints pictures of one kind from their key images.

    paint: key images (N, 3, H, W) -> pictures, both in [-1, 1]. layers: K's, for these key images. parameters: what learns.
    """

    source: Source
    layers: Sequence[int]
    paint: Callable[[Tensor], Tensor]
    parameters: list[nn.Parameter]
    weight: float


def train_key_network(
    network: KeyNetwork,
    sampler: Sampler,
    steps: int,
    painters: Sequence[Painter] = (),
    bf16: bool = False,
    log: Callable[[str], None] = lambda line: None,
    size: int = 0,
) -> float:
    """Train in place and freeze. Returns the accuracy over the last tenth of the steps.

    Painters: one for the covers, one for the disguises, or none. log takes a line now and then. Pictures of more than
    size x size pixels are made that small, which costs little and teaches as much; 0: none are.
    """
    network.train().requires_grad_(True)
    groups: list[list[nn.Parameter]] = [
        list(network.parameters()),
        *(p.parameters for p in painters),
    ]
    rate = PAINTING_RATE if painters else RATE
    optimiser = torch.optim.Adam(
        [{"params": g} for g in groups], rate, (0.9, 0.98) if painters else (0.9, 0.999)
    )
    labels = torch.tensor([0] * HALF_BATCH + [1] * HALF_BATCH, device=sampler.device)
    right: list[float] = []
    begin = time.monotonic()
    for step in range(steps):
        if painters:
            for group in optimiser.param_groups:
                group["lr"] = (
                    rate
                    * min(1, (step + 1) / WARMUP)
                    * 0.5
                    * (1 + math.cos(math.pi * step / steps))
                )
        x = at_most(size, sampler.pictures(sampler.covers, HALF_BATCH))
        y = at_most(size, sampler.pictures(sampler.disguises, HALF_BATCH))
        both = torch.cat((x, y))
        with torch.autocast(sampler.device.type, torch.bfloat16, enabled=bf16):
            logits = network(noisy(both, NOISE))
            loss = nnf.cross_entropy(logits.float(), labels)
            for painter in painters:
                picture = x if painter.source is sampler.covers else y
                painted = painter.paint(network.key_image(picture, painter.layers))
                loss = loss + painter.weight * losses.painting_loss(painted, picture)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if painters:
            for parameters in groups:
                nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        if (step + 1) % REPORT_EVERY == 0:
            left = (time.monotonic() - begin) * (steps / (step + 1) - 1) / 60
            log(
                f"key network, step {step + 1} of {steps}, {left:.0f} min left: loss {loss.item():.3f}"
            )
        if step >= steps * 0.9:
            right.append((logits.argmax(1) == labels).float().mean().item())
    network.eval().requires_grad_(False)
    return sum(right) / max(len(right), 1)


def at_most(size: int, pictures: Tensor) -> Tensor:
    """Square pictures (N, 3, S, S), with antialiasing made size x size where S is more; 0: as they are."""
    if not size or pictures.shape[-1] <= size:
        return pictures
    return nnf.interpolate(
        pictures, (size, size), mode="bilinear", antialias=True, align_corners=False
    )
