"""Pictures for training, decoded once into a memory-mapped cache.

A source is a folder, or the name of a data set that torchvision can download. Every
picture is read as `egan encrypt` reads it, cut to its centre square and resized with
Pillow's antialiased Lanczos filter. Pictures that cannot be read are named and counted.
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
from egan.errors import EganError, reason_of
from egan.pictures import files
from egan.pictures.datasets import NAMES, data_set, is_named, make_private
from egan.pictures.sources import walk

CROP = "centre square, Lanczos"
# Pixels: the largest side that a message is kept at
MESSAGE_SIDE = 128
# Pictures that cannot be read and are named, at most
NAMED = 5
# How pictures become pixels: a cache of another number is made again
KEPT_AS = 4
# Pictures that are decoded between two looks at the progress bar
TOGETHER = 256


def picture_paths(folder: str | Path) -> list[Path]:
    """Every picture below a folder, in the order of names, as `egan encrypt -d` finds
    them.

    Warns of names that look like pictures and are no files. Raises EganError where
    there is no picture.
    """
    try:
        found = walk(Path(folder))
    except EganError as error:
        hint = f"give a folder of pictures, or one of {', '.join(NAMES)}"
        raise EganError(str(error), hint, error.status) from error
    for skipped in found.skipped:
        terminal.warn(str(skipped))
    return [Path(source.path) for source in found.sources]


def load(pictures: Any, index: int, name: str) -> files.Loaded:
    """Number `index` of a list of paths or of a data set, as `egan encrypt` reads it,
    named `name` in errors.

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
    """A place where pictures come from: `describe` names it for the cache and the log,
    `read(i, size)` decodes number i.
    """

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
    """The pictures of a source as one memory-mapped array (N, S, S, 3), and how many
    could not be read.

    size None keeps a message's own side, the largest of the source and at most
    MESSAGE_SIDE. Decoded once: the cache is found again by the files' names, sizes and
    times. Raises EganError for a source with fewer than `fewest` pictures.
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
    """A cache file as an array (N, size, size, 3), or None where there is none or it is
    damaged.
    """
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
    """Write the cache file, uint8 (N, size, size, 3), whole or not at all.

    Names the first few pictures that cannot be read. Raises EganError where the file
    cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        make_private(path.parent)
        room = private_array(part, (count, size, size, 3))
        bad = fill(room, source, size)
        good = count - len(bad)
        if bad:
            # The header says how many there are, so write the good ones again.
            whole = private_array(Path(f"{part}2"), (good, size, size, 3))
            for begin in range(0, good, TOGETHER):
                whole[begin : begin + TOGETHER] = room[
                    begin : min(begin + TOGETHER, good)
                ]
            whole.flush()
            os.replace(f"{part}2", part)
        os.replace(part, path)
    except OSError as error:
        raise EganError(
            f"cannot write the cache {path}: {reason_of(error)}",
            "--cache DIR puts it elsewhere",
        ) from error
    finally:
        part.unlink(missing_ok=True)
        Path(f"{part}2").unlink(missing_ok=True)
    for name in bad[:NAMED]:
        terminal.warn(f"cannot read {name}")
    if len(bad) > NAMED:
        terminal.warn(f"cannot read {len(bad) - NAMED} more")


def private_array(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """A new file of mode 0600 with room for uint8 of a shape."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600))
    return np.lib.format.open_memmap(path, "w+", np.uint8, shape)


def fill(room: NDArray[np.uint8], source: Source, size: int) -> list[str]:
    """Decode the first pictures of a source into room (N, size, size, 3), from its
    beginning.

    Returns the names of those that cannot be read, for which nothing is left free.
    """
    good, bad = 0, []
    parts = [
        range(begin, min(begin + TOGETHER, len(room)))
        for begin in range(0, len(room), TOGETHER)
    ]
    words = f"reading {source.name}"
    with ThreadPoolExecutor() as pool:
        for numbers in terminal.progress(parts, len(parts), words):
            read = pool.map(lambda i: source.read(i, size), numbers)
            for number, picture in zip(numbers, read, strict=True):
                if picture is None:
                    bad.append(source.path(number))
                    continue
                room[good] = picture
                good += 1
    if isinstance(room, np.memmap):
        room.flush()
    return bad
