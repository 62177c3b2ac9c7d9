"""What may happen to a disguise on its way, for models that should decode all the same (`--robust`).

Every channel maps pictures (N, 3, H, W) in [-1, 1] on 8-bit levels to the same, with a gradient: JPEG is the real codec with
the gradient of a smooth one, resizing is differentiable, noise is added.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as nnf
from PIL import Image
from torch import Tensor

from egan.core.tensors import to_bytes, to_unit

QUALITY = (60, 95)  # of JPEG
DEVIATION = (0.5, 4.0)  # of noise, in 8-bit levels
SCALE = (0.5, 0.95)  # of a resize and back
YCC = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)  # JFIF
DCT = torch.tensor(
    [
        [
            math.sqrt((2 if u else 1) / 8) * math.cos(math.pi * (2 * i + 1) * u / 16)
            for i in range(8)
        ]
        for u in range(8)
    ]
)  # orthonormal DCT-II, (frequency, sample)


def jpeg(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Baseline JPEG, 4:2:0, of a random quality: the value is the real codec's, the gradient is that of `jpeg_like`."""
    coded, tables = [], []
    for pixels in to_bytes(picture.detach()):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(
            buffer, "JPEG", quality=int(random.integers(QUALITY[0], QUALITY[1] + 1))
        )
        with Image.open(buffer) as file:
            coded.append(np.asarray(file.convert("RGB")))
            tables.append([np.reshape(file.quantization[k], (8, 8)) for k in (0, 1)])  # type: ignore[attr-defined]
    with torch.autocast(picture.device.type, enabled=False):
        soft = jpeg_like(
            picture.float(),
            torch.from_numpy(np.array(tables)).to(picture.device).float(),
        )
    return soft + (to_unit(np.stack(coded), picture.device) - soft).detach()


def jpeg_like(picture: Tensor, tables: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in [-1, 1] as JPEG (ITU-T T.81, JFIF) would leave them, with a gradient that a painter can learn
    from: chroma is halved and brought back, and a coefficient's rounding is replaced by x^3 below one half and by x above
    (Shin and Song, 2017). tables: (N, 2, 8, 8), the quantisation of luma and of chroma for [0, 255].
    """
    height, width = picture.shape[-2:]
    whole = nnf.pad(picture, (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = torch.einsum("dc,nchw->ndhw", YCC.to(whole), whole)
    luma = quantised(ycc[:, :1], tables[:, 0])
    chroma = quantised(nnf.avg_pool2d(ycc[:, 1:], 2), tables[:, 1])
    chroma = nnf.interpolate(
        chroma, scale_factor=2, mode="bilinear", align_corners=False
    )
    back = torch.linalg.inv(YCC.to(whole))
    return torch.einsum("cd,ndhw->nchw", back, torch.cat((luma, chroma), 1))[
        ..., :height, :width
    ]


def quantised(planes: Tensor, table: Tensor) -> Tensor:
    """Planes (N, C, H, W) in [-1, 1], H and W multiples of 8, their 8x8 cosines quantised softly by table (N, 8, 8)."""
    n, c, height, width = planes.shape
    blocks = planes.reshape(n, c, height // 8, 8, width // 8, 8)
    dct = DCT.to(planes)
    step = table[:, None, None, :, None, :] / 127.5
    units = torch.einsum("ui,vj,ncyixj->ncyuxv", dct, dct, blocks) / step
    kept = torch.where(units.abs() < 0.5, units**3, units)
    return torch.einsum("ui,vj,ncyuxv->ncyixj", dct, dct, kept * step).reshape(
        planes.shape
    )


def noise(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Gaussian noise of a random deviation."""
    deviation = float(random.uniform(*DEVIATION)) / 127.5
    return picture + deviation * torch.randn(picture.shape, device=picture.device)


def resize(picture: Tensor, random: np.random.Generator) -> Tensor:
    """Down to a random size and back, bilinear with antialiasing."""
    side = picture.shape[-2:]
    scale = float(random.uniform(*SCALE))
    small = (max(8, round(side[0] * scale)), max(8, round(side[1] * scale)))
    smaller = nnf.interpolate(
        picture, small, mode="bilinear", antialias=True, align_corners=False
    )
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
