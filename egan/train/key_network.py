"""K is trained first, by cross-entropy to tell X from Y, and then frozen.

In family `egan` painters learn with it: F paints flowers from their public key images
and G faces from their private ones, so that K puts into its maps the brightness and
colours that a painter needs. Without painters the maps are those of cross-entropy
alone, as published.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.core.networks import KeyNetwork
from egan.train import losses
from egan.train.critics import noisy
from egan.train.sampler import Sampler, Source

HALF_BATCH = 8
RATE = 5e-4
# Of K and the painters, where they learn together
PAINTING_RATE = 1e-3
# Steps
WARMUP = 50
# Gaussian, on the inputs, in units of the [-1, 1] range
NOISE = 0.02


@dataclasses.dataclass
class Painter:
    """Paints pictures of one kind from their key images.

    paint: key images (N, 3, H, W) to pictures (N, 3, H, W), both in [-1, 1]. layers:
    those of K that make the key images. parameters: those that learn. weight: of the
    painting loss, beside a cross-entropy of weight 1.
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
    size: int = 0,
    show: Callable[[float, str], None] = lambda share, words: None,
) -> float:
    """Train in place and freeze. Returns the accuracy over the last tenth of the steps.

    painters: one for the covers, one for the disguises, or none. size: pictures of more
    than size x size pixels are made that small, which costs little and teaches as much;
    0: none are. show takes the share done, in [0, 1], and a few words after each step.
    """
    network.train().requires_grad_(True)
    groups = [list(network.parameters()), *(p.parameters for p in painters)]
    rate, betas = (PAINTING_RATE, (0.9, 0.98)) if painters else (RATE, (0.9, 0.999))
    optimiser = torch.optim.Adam([{"params": g} for g in groups], rate, betas)
    labels = torch.tensor([0] * HALF_BATCH + [1] * HALF_BATCH, device=sampler.device)
    right: list[float] = []
    for step in range(steps):
        if painters:
            for group in optimiser.param_groups:
                group["lr"] = rate * warm_cosine(step, steps)
        x = at_most(size, sampler.pictures(sampler.covers, HALF_BATCH))
        y = at_most(size, sampler.pictures(sampler.disguises, HALF_BATCH))
        pictures = torch.cat((x, y))
        with torch.autocast(sampler.device.type, torch.bfloat16, enabled=bf16):
            logits = network(noisy(pictures, NOISE))
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
        if step >= steps * 0.9:
            right.append((logits.argmax(1) == labels).float().mean().item())
        show((step + 1) / steps, f"K learns, step {step + 1} of {steps}")
    network.eval().requires_grad_(False)
    return sum(right) / max(len(right), 1)


def warm_cosine(step: int, steps: int) -> float:
    """Share of the full rate: up in a line for WARMUP steps, down in a cosine to 0."""
    return min(1, (step + 1) / WARMUP) * 0.5 * (1 + math.cos(math.pi * step / steps))


def at_most(size: int, pictures: Tensor) -> Tensor:
    """Square pictures (N, 3, S, S), reduced to size x size where S is more.

    A size of 0 leaves them all as they are.
    """
    if not size or pictures.shape[-1] <= size:
        return pictures
    return nnf.interpolate(
        pictures, (size, size), mode="bilinear", antialias=True, align_corners=False
    )
