"""Looking for a private key in what egan writes: PNG files, and PNGs inside of HTML pages."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RUN = 16
"""Samples of a row that are looked for together, so that a crop is found too."""
FACTORS = np.random.default_rng(0).integers(1, 2**63, RUN, dtype=np.uint64)


def pictures(path: Path) -> Iterator[np.ndarray]:
    """Every picture in a file, uint8 (H, W, 3)."""
    data = path.read_bytes()
    found = re.findall(rb"base64,([A-Za-z0-9+/=]+)", data)
    for part in [base64.b64decode(one) for one in found] or [data]:
        if part.startswith(b"\x89PNG"):
            yield np.asarray(Image.open(io.BytesIO(part)).convert("RGB"))


def runs(picture: np.ndarray) -> NDArray[np.uint64]:
    """A number for each run of samples in the rows of a picture that has some texture."""
    red, green, blue = picture.astype(np.uint64).transpose(2, 0, 1)
    colours = red << np.uint64(16) | green << np.uint64(8) | blue
    count = colours.shape[1] - RUN + 1
    if count < 1:
        return np.empty(0, np.uint64)
    changes = np.zeros(colours.shape, int)
    changes[:, 1:] = (colours[:, 1:] != colours[:, :-1]).cumsum(1)
    textured = changes[:, RUN - 1 :] - changes[:, :count] > RUN // 2
    total = np.zeros((len(colours), count), np.uint64)
    for at, factor in enumerate(FACTORS):
        total += colours[:, at : at + count] * factor
    return total[textured]


def without_repeats(picture: np.ndarray) -> np.ndarray:
    """Rows without samples that repeat their left neighbour, as in an enlargement; padded with black."""
    kept = np.ones(picture.shape[:2], bool)
    kept[:, 1:] = (picture[:, 1:] != picture[:, :-1]).any(-1)
    out = np.zeros_like(picture)
    for row, source, keep in zip(out, picture, kept, strict=True):
        row[: keep.sum()] = source[keep]
    return out


def views(picture: np.ndarray) -> Iterator[np.ndarray]:
    """A picture as it is, mirrored and turned."""
    yield from (picture, picture[:, ::-1], picture.transpose(1, 0, 2))


def showing(paths: Iterable[Path], keys: Iterable[np.ndarray]) -> list[str]:
    """The names of files that show a run of any key's samples, enlarged ones too."""
    keys = list(keys)
    wanted = np.concatenate([runs(key) for key in keys])
    narrow = np.concatenate([runs(without_repeats(key)) for key in keys])
    assert len(wanted) and len(narrow), "keys without texture would be everywhere"
    found = set()
    for path in paths:
        for picture in pictures(path):
            exact = any(np.isin(runs(view), wanted).any() for view in views(picture))
            if exact or np.isin(runs(without_repeats(picture)), narrow).any():
                found.add(path.name)
    return sorted(found)
