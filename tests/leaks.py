"""Looking for a private key in what egan writes: PNG files, and PNGs inside of HTML pages."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

PIECE = 16
"""Samples of a row that are looked for, so that a crop is found too."""


def pictures(path: Path) -> Iterator[np.ndarray]:
    """Every picture in a file, uint8 (H, W, 3)."""
    data = path.read_bytes()
    found = re.findall(rb"base64,([A-Za-z0-9+/=]+)", data)
    for part in [base64.b64decode(one) for one in found] or [data]:
        if part.startswith(b"\x89PNG"):
            yield np.asarray(Image.open(io.BytesIO(part)).convert("RGB"))


def pieces(key: np.ndarray) -> set[bytes]:
    """Pieces of the rows of a key, (H, W, 3), that no other picture has by chance."""
    height, width = key.shape[:2]
    starts = range(0, width - PIECE + 1, PIECE)
    cut = [key[y, x : x + PIECE] for y in range(height) for x in starts]
    return {one.tobytes() for one in cut if len(np.unique(one)) > PIECE}


def shows(path: Path, key: np.ndarray) -> bool:
    """Whether a file shows a piece of a key sample for sample, as it is, mirrored or turned."""
    wanted = pieces(key)
    assert wanted, "a key without any texture would be found everywhere"
    for picture in pictures(path):
        for view in (picture, picture[:, ::-1], picture.transpose(1, 0, 2)):
            text = np.ascontiguousarray(view).tobytes()
            if any(piece in text for piece in wanted):
                return True
    return False


def showing(paths: Iterable[Path], keys: Iterable[np.ndarray]) -> list[str]:
    """The names of files that show any of some keys."""
    keys = list(keys)
    return sorted(path.name for path in paths if any(shows(path, key) for key in keys))
