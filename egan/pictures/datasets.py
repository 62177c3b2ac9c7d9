"""Data sets that torchvision can download, by name, kept in the cache folder.

Each has one part to train with and another to measure. They share no picture, so
`egan bench --x celeba` never measures pictures that `train` saw.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from egan.errors import EganError

# The part "test" of flowers102 is by far its largest.
PARTS = {
    "celeba": {"train": "train", "held out": "test"},
    "flowers102": {"train": "test", "held out": "val"},
    "oxford-iiit-pet": {"train": "trainval", "held out": "test"},
    "svhn": {"train": "train", "held out": "test"},
}
NAMES = tuple(PARTS)


def cache_folder() -> Path:
    """The folder of decoded pictures and data sets: ~/.cache/egan as a rule."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "egan"


def make_private(folder: Path) -> None:
    """Make a folder, where it is missing, that nobody else may read."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)


def is_named(source: str | Path) -> bool:
    """Whether a source is the name of a data set, and no folder."""
    return str(source) in NAMES and not Path(source).exists()


def data_set(name: str, part: Literal["train", "held out"], cache: Path) -> Any:
    """One part of a data set, a sequence of (picture, label).

    It is downloaded to a folder in `cache` where it is not there yet. Raises EganError
    where it cannot be had.
    """
    from torchvision import datasets

    makers: dict[str, Any] = {
        "celeba": lambda **k: datasets.CelebA(target_type="identity", **k),
        "flowers102": datasets.Flowers102,
        "oxford-iiit-pet": datasets.OxfordIIITPet,
        "svhn": datasets.SVHN,
    }
    folder = cache / "data" / name
    try:
        make_private(cache)
        folder.mkdir(parents=True, exist_ok=True)
        return makers[name](root=str(folder), split=PARTS[name][part], download=True)
    except (OSError, RuntimeError, ImportError) as error:
        # no network, a quota, a damaged archive, no scipy or gdown
        raise EganError(
            f"cannot get the data set {name}: {error}",
            f"download it to {folder} as torchvision has it, "
            "or give a folder of pictures",
        ) from error
