"""Pictures for training, decoded once into uint8 arrays, and composites made on the fly.

Folders are read recursively. A picture is cut to its centre square and resized with an antialiased Lanczos filter.
Pictures that cannot be read are skipped and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from PIL import Image, ImageOps
from torch import Tensor

from egan.core import to_unit
from egan.errors import EganError

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"}


def picture_paths(folder: str | Path) -> list[Path]:
    """Every picture file below a folder, sorted. Raises EganError where there is none."""
    root = Path(folder)
    if not root.is_dir():
        raise EganError(f"no such folder: {folder}", "give a folder of pictures", 2)
    paths = sorted(p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise EganError(f"no pictures in {folder}")
    return paths


def load_square(path: Path, size: int | None) -> np.ndarray:
    """One picture as uint8 (S, S, 3): EXIF orientation applied, centre square, resized to `size` (None: as it is)."""
    with Image.open(path) as file:
        im = ImageOps.exif_transpose(file).convert("RGB")
        side = min(im.size)
        if size is None:
            size = side
        return np.asarray(ImageOps.fit(im, (size, size), Image.Resampling.LANCZOS))


def load_folder(
    folder: str | Path, size: int | None, limit: int | None = None
) -> tuple[list[np.ndarray], int]:
    """Pictures of a folder, and how many could not be read."""
    out, bad = [], 0
    for path in picture_paths(folder)[:limit]:
        try:
            out.append(load_square(path, size))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            bad += 1
    return out, bad


class Sampler:
    """Random batches of covers, flowers and messages, seeded; flips left and right, never messages."""

    def __init__(
        self,
        covers: np.ndarray,
        disguises: np.ndarray,
        messages: Sequence[Sequence[np.ndarray]],
        seed: int,
        device: torch.device,
    ) -> None:
        self.covers, self.disguises, self.messages = covers, disguises, messages
        self.random = np.random.default_rng(seed)
        self.device = device

    def pictures(self, source: np.ndarray, count: int) -> Tensor:
        index = self.random.integers(len(source), size=count)
        batch = source[index]
        flip = self.random.random(count) < 0.5
        batch[flip] = batch[flip, :, ::-1]
        return to_unit(batch, self.device)

    def composite(self, covers: Tensor, most: int = 2) -> tuple[Tensor, Tensor]:
        """Paste one to `most` messages of 1/8 to 1/2 of the side on each cover: composites and boxes (N, 1, H, W)."""
        composites = covers.clone()
        side = covers.shape[-1]
        boxes = torch.zeros_like(covers[:, :1])
        for i in range(len(covers)):
            for _ in range(int(self.random.integers(1, most + 1))):
                group = self.messages[int(self.random.integers(len(self.messages)))]
                message = group[int(self.random.integers(len(group)))]
                size = int(self.random.integers(side // 8, side // 2 + 1))
                x, y = (int(v) for v in self.random.integers(0, side - size + 1, size=2))
                pasted = nnf.interpolate(
                    to_unit(message[None], self.device),
                    (size, size), mode="bicubic", antialias=True, align_corners=False,
                ).clamp(-1, 1)  # fmt: skip
                composites[i, :, y : y + size, x : x + size] = (
                    torch.round((pasted[0] + 1) * 127.5) / 127.5 - 1
                )
                boxes[i, :, y : y + size, x : x + size] = 1
        return composites, boxes
