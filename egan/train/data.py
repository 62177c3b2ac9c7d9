"""Pictures for training, decoded once into a memory-mapped cache, and composites made on the fly.

A source is a folder, read recursively, or the name of a data set that torchvision can download. Every picture is cut to
its centre square and resized with Pillow's antialiased Lanczos filter. Pictures that cannot be read are skipped, named
once and counted. On a GPU the decoded pictures move to its memory where they fit.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from egan import terminal
from egan.errors import EganError
from egan.pictures import files
from egan.pictures.datasets import NAMES, data_set, is_named

SUFFIXES = {
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".gif",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
}
CROP = "centre square, Lanczos"
MESSAGE_SIDE = 128  # the largest side that a message is kept at
NAMED = 5  # pictures that cannot be read, at most
KEPT_AS = 2  # how pictures become pixels; a cache of another number is made again


def picture_paths(folder: str | Path) -> list[Path]:
    """Every picture file below a folder, sorted. Raises EganError where there is none."""
    root = Path(folder)
    if not root.is_dir():
        raise EganError(
            f"{folder} is no folder" if root.exists() else f"no such folder: {folder}",
            f"give a folder of pictures, or one of {', '.join(NAMES)}",
            2,
        )
    paths = sorted(
        p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()
    )
    if not paths:
        raise EganError(f"no pictures in {folder}")
    return paths


def load(pictures: Any, index: int, name: str) -> files.Loaded:
    """Number `index` of a list of paths or of a data set, as `egan encrypt` reads it, named `name` in errors.

    Raises EganError for a picture that cannot be read.
    """
    if isinstance(pictures, list):
        return files.read_picture(str(pictures[index]))
    with files.decoding(name):
        return files.decode(pictures[index][0], name)


def square(picture: files.Loaded, size: int | None) -> NDArray[np.uint8]:
    """The centre square, uint8 (S, S, 3), resized to `size` (None: as it is)."""
    im = Image.fromarray(files.flatten(picture))
    size = size or min(im.size)
    return np.asarray(ImageOps.fit(im, (size, size), Image.Resampling.LANCZOS))


class Source:
    """Where pictures come from: `describe` names it for the cache and the log, `read(i, size)` decodes number i."""

    def __init__(self, name: str, cache: str | Path) -> None:
        self.name = name
        self.pictures: Any
        if is_named(name):
            self.pictures = data_set(name, "train", Path(cache))
            self.describe = f"torchvision {name}, {len(self.pictures)} pictures"
        else:
            paths = picture_paths(name)
            stats = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in paths]
            self.pictures = paths
            self.describe = hashlib.sha256(json.dumps(stats).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.pictures)

    def path(self, index: int) -> str:
        """How number i is named to the user."""
        item = (
            self.pictures[index]
            if isinstance(self.pictures, list)
            else f"{self.name} number {index}"
        )
        return str(item)

    def read(self, index: int, size: int | None) -> np.ndarray | None:
        """uint8 (S, S, 3), or None for a picture that cannot be read."""
        try:
            return square(load(self.pictures, index, self.path(index)), size)
        except EganError:
            return None


def load_cached(
    name: str,
    size: int | None,
    cache: str | Path,
    limit: int | None = None,
    fewest: int = 1,
) -> tuple[NDArray[np.uint8], int]:
    """The pictures of a source as one memory-mapped array (N, S, S, 3), and how many could not be read.

    size None keeps a message's own side, the largest of the source and at most MESSAGE_SIDE. Decoded once: the cache is
    found again by the files' names, sizes and times. Raises EganError for a source with fewer than `fewest` pictures.
    """
    source = Source(name, cache)
    count = min(len(source), limit or len(source))
    if size is None:
        probe = [
            p for i in range(min(count, 32)) if (p := source.read(i, None)) is not None
        ]
        size = min(MESSAGE_SIDE, max((len(p) for p in probe), default=MESSAGE_SIDE))
    key = hashlib.sha256(
        f"{source.describe} {count} {size} {CROP} {KEPT_AS}".encode()
    ).hexdigest()[:24]
    path = Path(cache) / f"{key}.npy"
    pictures = open_cache(path, size)
    if pictures is None:
        decode(source, count, size, path)
        pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    bad = count - len(pictures)
    if len(pictures) < fewest:
        unread = f", {bad} more cannot be read" if bad else ""
        raise EganError(
            f"only {len(pictures)} pictures in {name}{unread}",
            f"at least {fewest} are needed",
        )
    return pictures, bad


def open_cache(path: Path, size: int) -> NDArray[np.uint8] | None:
    """A cache file as an array (N, size, size, 3), or None where there is none or it is damaged."""
    if not path.exists():
        return None
    try:
        pictures = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        pictures = None
    if (
        isinstance(pictures, np.memmap)
        and pictures.dtype == np.uint8
        and pictures.shape[1:] == (size, size, 3)
    ):
        return pictures
    terminal.warn(f"the cache {path} is damaged and is made again")
    return None


def decode(source: Source, count: int, size: int, path: Path) -> None:
    """Write the cache file, whole or not at all, and name the pictures that cannot be read, the first few."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        good, bad = 0, []
        with ThreadPoolExecutor() as pool:
            room = np.lib.format.open_memmap(
                part, "w+", np.uint8, (count, size, size, 3)
            )
            for begin in range(0, count, 256):
                numbers = range(begin, min(begin + 256, count))
                read = pool.map(lambda i: source.read(i, size), numbers)
                for number, picture in zip(numbers, read, strict=True):
                    if picture is None:
                        bad.append(source.path(number))
                        continue
                    room[good] = picture
                    good += 1
            room.flush()
        if (
            good < count
        ):  # the header says how many there are, so write the good ones again
            whole = np.lib.format.open_memmap(
                f"{part}2", "w+", np.uint8, (good, size, size, 3)
            )
            for begin in range(0, good, 256):
                whole[begin : begin + 256] = room[begin : min(begin + 256, good)]
            whole.flush()
            os.replace(f"{part}2", part)
        os.replace(part, path)
        for name in bad[:NAMED]:
            terminal.warn(f"cannot read {name}")
        if len(bad) > NAMED:
            terminal.warn(f"cannot read {len(bad) - NAMED} more")
    except OSError as error:
        raise EganError(
            f"cannot write the cache {path}: {(error.strerror or str(error)).lower()}",
            "--cache DIR puts it elsewhere",
        ) from error
    finally:
        part.unlink(missing_ok=True)
