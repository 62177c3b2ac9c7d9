"""The losses, one function per equation of the paper (arXiv 1905.11582), and the few
that the phase lock adds.

Each takes tensors and returns a scalar; none knows a configuration. Pictures are (N, 3,
H, W) in [-1, 1]. `weight` is (N,), one number per sample: samples with weight 0 do not
count, and all zeros give 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def sample_mean(per_sample: Tensor, weight: Tensor | None) -> Tensor:
    """The mean of (N,) over the samples with weight; 0 where there is none."""
    if weight is None:
        return per_sample.mean()
    return (per_sample * weight).sum() / weight.sum().clamp_min(1)


def key_matching_loss(
    features: Sequence[Tensor], target: Sequence[Tensor], weight: Tensor | None = None
) -> Tensor:
    """Equation 1: L1 distance between K's activations of a generated and of a real
    picture, averaged over key layers.
    """
    per_layer = [
        (a.float() - b.float()).abs().flatten(1).mean(1)
        for a, b in zip(features, target, strict=True)
    ]
    return sample_mean(sum(per_layer) / len(per_layer), weight)  # type: ignore[arg-type]


def information_loss(
    recovered: Tensor, composite: Tensor, box: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Equation 2: L1 distance inside the message boxes; box (N, 1, H, W) is 1 inside
    and 0 outside.
    """
    inside = (recovered - composite).abs() * box
    area = box.flatten(1).sum(1).clamp_min(1) * recovered.shape[1]
    return sample_mean(inside.flatten(1).sum(1) / area, weight)


def cycle_loss(
    recovered: Tensor, original: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Equations 3 and 4, first term: the cycle-consistency L1 distance of the samples
    with the right key.
    """
    return sample_mean((recovered - original).abs().flatten(1).mean(1), weight)


def lsgan_generator_loss(scores: Tensor, weight: Tensor | None = None) -> Tensor:
    """LSGAN for the generator: mean (D(fake) - 1)^2. With weight on the wrong keys
    alone this is equation 5.
    """
    return sample_mean((scores.float() - 1).square().flatten(1).mean(1), weight)


def lsgan_discriminator_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """LSGAN for the discriminator: half of mean (D(real) - 1)^2 + mean D(fake)^2."""
    return 0.5 * (
        (real_scores.float() - 1).square().mean() + fake_scores.float().square().mean()
    )


def phase_loss(measured: Tensor, sent: Tensor) -> Tensor:
    """1 - cos of the angle between two tensors of unit complex numbers (N, 2, P, h, w):
    0 equal, 1 unrelated.
    """
    return 1 - (measured * sent).sum(1).mean()


def grain_loss(a: Tensor, b: Tensor) -> Tensor:
    """How visible the payload is: the L1 distance of two disguises that differ in the
    keystream alone.

    Patches of 4x4 pixels and brightness count extra, because eyes see them first.
    """
    change = a - b
    return (
        change.abs().mean()
        + change.mean(1).abs().mean()
        + 2 * torch.nn.functional.avg_pool2d(change, 4).abs().mean()
    )


def detail_loss(painted: Tensor, picture: Tensor) -> Tensor:
    """L1 distance of the differences between neighbouring pixels, both ways. It makes
    false strokes expensive.
    """
    change = painted - picture
    return change.diff(dim=-1).abs().mean() + change.diff(dim=-2).abs().mean()


def painting_loss(painted: Tensor, picture: Tensor) -> Tensor:
    """L1 distance of two pictures, of the differences of neighbouring pixels, and of
    the means of 8x8 pixels.
    """
    change = painted - picture
    coarse = torch.nn.functional.avg_pool2d(change, 8).abs().mean()
    return change.abs().mean() + 0.5 * coarse + 0.5 * detail_loss(painted, picture)
