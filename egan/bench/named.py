"""Held-out parts of the data sets that torchvision can download, for `egan bench --x celeba`: never what `train` sees."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from egan.errors import EganError
from egan.train.data import NAMES


def is_named(source: str | Path) -> bool:
    """Whether a source is the name of a data set, and no folder."""
    return str(source) in NAMES and not Path(source).exists()


def held_out(name: str) -> Any:
    """The test part of a data set, a sequence of (picture, label), kept in the cache folder of `egan train`.

    Raises EganError where it cannot be had.
    """
    from torchvision import datasets

    makers: dict[str, Any] = {
        "celeba": lambda **k: datasets.CelebA(split="test", target_type="identity", **k),
        "flowers102": lambda **k: datasets.Flowers102(
            split="val", **k
        ),  # `train` takes its "test", the largest part
        "oxford-iiit-pet": lambda **k: datasets.OxfordIIITPet(split="test", **k),
        "svhn": lambda **k: datasets.SVHN(split="test", **k),
    }
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egan" / "data"
    folder = cache / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return makers[name](root=str(folder), download=True)
    except (
        OSError,
        RuntimeError,
        ImportError,
    ) as error:  # no network, a quota, a damaged archive, no scipy or gdown
        raise EganError(
            f"cannot get the data set {name}: {error}",
            f"download it to {folder} as torchvision has it, or give a folder of pictures",
        ) from error
