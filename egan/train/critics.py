"""The discriminators of EncryptGAN, and the random changes of pictures before they
judge them.

Discriminators of small data sets learn the pictures by heart. Differentiable
augmentation (Zhao et al. 2020, arXiv 2006.10738) shows them each picture, real or
generated, with a random change through which the gradient passes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.core.resnet import PatchGAN, Pyramid

# A picture is moved by at most this share of its side.
SHIFT = 1 / 8
# The square that is cut out has this share of the side.
HOLE = 1 / 2


def make_critic(width: int, scales: int) -> nn.Module:
    """A discriminator: the paper's PatchGAN, or several where scales is more than 1."""
    return (
        PatchGAN(width)
        if scales == 1
        else Pyramid(PatchGAN(width) for _ in range(scales))
    )


def over_scales(
    loss: Callable[[Tensor], Tensor], scores: Tensor | list[Tensor]
) -> Tensor:
    """A loss of a discriminator's scores, where there are several scales the mean of
    theirs.
    """
    if isinstance(scores, Tensor):
        return loss(scores)
    return torch.stack([loss(s) for s in scores]).mean()


def noisy(picture: Tensor, deviation: float) -> Tensor:
    """A picture with Gaussian noise added.

    The noise is contiguous: filling channels-last memory is ten times slower on a CPU.
    """
    if not deviation:
        return picture
    return picture + deviation * torch.randn(picture.shape, device=picture.device)


def augmented(pictures: Tensor, names: Sequence[str]) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1], each changed by chance in the ways of
    AUGMENTATIONS that are named.
    """
    for name in names:
        pictures = AUGMENTATIONS[name](pictures)
    return pictures


def recoloured(pictures: Tensor) -> Tensor:
    """Brightness by up to half of [0, 1], saturation times 0 to 2, contrast times 1/2
    to 3/2.
    """
    brightness, saturation, contrast = torch.rand(
        3, len(pictures), 1, 1, 1, device=pictures.device
    )
    pictures = pictures + (brightness - 0.5)
    grey = pictures.mean(1, keepdim=True)
    pictures = grey + (pictures - grey) * (2 * saturation)
    mean = pictures.mean((1, 2, 3), keepdim=True)
    return mean + (pictures - mean) * (0.5 + contrast)


def shifted(pictures: Tensor) -> Tensor:
    """Moved by up to SHIFT of the side both ways, with grey where nothing was."""
    n, _, h, w = pictures.shape
    device = pictures.device
    reach = (int(h * SHIFT), int(w * SHIFT))
    rows, columns = (
        torch.randint(-r, r + 1, (n, 1), device=device)
        + torch.arange(side, device=device)
        for r, side in zip(reach, (h, w), strict=True)
    )
    padded = nnf.pad(pictures, (reach[1], reach[1], reach[0], reach[0]))
    which = torch.arange(n, device=device)
    rows, columns = rows + reach[0], columns + reach[1]
    return padded.movedim(1, 3)[
        which[:, None, None], rows[:, :, None], columns[:, None, :]
    ].movedim(3, 1)


def cut_out(pictures: Tensor) -> Tensor:
    """A square of HOLE of the side is grey; its centre is anywhere."""
    n, _, h, w = pictures.shape
    place = torch.rand(2, n, 1, device=pictures.device)
    row, column = (
        (torch.arange(side, device=pictures.device) + 0.5 - p * side).abs()
        < side * HOLE / 2
        for p, side in zip(place, (h, w), strict=True)
    )
    return pictures.masked_fill((row[:, :, None] & column[:, None, :])[:, None], 0.0)


AUGMENTATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "color": recoloured,
    "translation": shifted,
    "cutout": cut_out,
}
