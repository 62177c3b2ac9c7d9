"""What may happen to a disguise on its way, for models that should decode all the same (`--robust`).

Every channel maps pictures (N, 3, H, W) in [-1, 1] on 8-bit levels to the same, with a gradient: JPEG is the real codec with
a straight-through gradient, resizing is differentiable, noise is added.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as nnf
from PIL import Image
from torch import Tensor

from egan.core import to_bytes, to_unit

QUALITY = (60, 95)  # of JPEG
DEVIATION = (0.5, 4.0)  # of noise, in 8-bit levels
SCALE = (0.5, 0.95)  # of a resize and back


def jpeg(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Baseline JPEG, 4:2:0, of a random quality; the gradient passes as if nothing had happened."""
    coded = []
    for pixels in to_bytes(picture.detach()):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=int(random.integers(QUALITY[0], QUALITY[1] + 1)))
        with Image.open(buffer) as file:
            coded.append(np.asarray(file.convert("RGB")))
    return picture + (to_unit(np.stack(coded), picture.device) - picture).detach()


def noise(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Gaussian noise of a random deviation."""
    deviation = float(random.uniform(*DEVIATION)) / 127.5
    return picture + deviation * torch.randn(picture.shape, device=picture.device)


def resize(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Down to a random size and back, bilinear with antialiasing."""
    side = picture.shape[-2:]
    scale = float(random.uniform(*SCALE))
    small = (max(8, round(side[0] * scale)), max(8, round(side[1] * scale)))
    smaller = nnf.interpolate(picture, small, mode="bilinear", antialias=True, align_corners=False)
    return nnf.interpolate(smaller, side, mode="bilinear", align_corners=False)


CHANNELS: dict[str, Callable[[Tensor, np.random.Generator], Tensor]] = {
    "jpeg": jpeg,
    "noise": noise,
    "resize": resize,
}


def choose(names: Sequence[str], random: np.random.Generator) -> str | None:
    """One of the named channels or, as often as each of them, none."""
    return [*names, None][int(random.integers(len(names) + 1))]


def through(picture: Tensor, name: str | None, random: np.random.Generator) -> Tensor:
    """A batch through one channel."""
    return CHANNELS[name](picture, random) if name else picture
