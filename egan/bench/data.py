"""The pictures of a bench run: covers, disguises and messages from folders, or a small
smoke set that needs no files.

The order of every source is a permutation drawn from the seed, so `--limit` takes a
fair sample, and a smaller limit takes the beginning of a larger one. Pictures that
cannot be read or are too small are skipped and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from egan.bench.smoke import smoke_pictures
from egan.core.model import Pictures
from egan.errors import EganError
from egan.pictures.datasets import cache_folder, data_set, is_named
from egan.train.data import load, picture_paths, square

# Pixels of the short side. Smaller pictures show nothing of their domain.
LEAST_PICTURE = 64
LEAST_MESSAGE = 8


@dataclass(frozen=True, eq=False)
class PictureSets:
    """Covers and real disguises, uint8 (n, S, S, 3), and one list of messages, uint8
    (s, s, 3), per source.

    The names say where each came from; `label` describes the whole, and `skipped`
    counts the pictures that were left out.
    """

    covers: Pictures
    flowers: Pictures
    messages: list[list[Pictures]]
    cover_names: list[str]
    flower_names: list[str]
    message_names: list[list[str]]
    label: str
    skipped: str = ""


@dataclass
class SeededSource:
    """One folder, or named data set, in seeded order; counts the pictures that it
    skips.
    """

    folder: Path
    least: int
    seed: int
    skipped: int = 0
    names: list[str] = field(default_factory=list)

    def pictures(self, size: int, shrink_only: bool = False) -> Iterator[Pictures]:
        """Centre squares, uint8 (S, S, 3), S = `size`; with shrink_only a smaller
        picture keeps its size.

        Raises EganError for a folder without any usable picture.
        """
        named = is_named(self.folder)
        found = (
            data_set(str(self.folder), "held out", cache_folder())
            if named
            else picture_paths(self.folder)
        )
        for index in map(int, np.random.default_rng(self.seed).permutation(len(found))):
            name = (
                f"{self.folder} {index}"
                if named
                else str(found[index].relative_to(self.folder))
            )
            try:
                picture = load(found, index, name)
            except EganError:
                self.skipped += 1
                continue
            side = min(picture.pixels.shape[:2])
            if side < self.least:
                self.skipped += 1
                continue
            self.names.append(name)
            yield square(picture, min(side, size) if shrink_only else size)
        if not self.names:
            raise EganError(
                f"no usable pictures in {self.folder}",
                f"they must be readable and at least {self.least} pixels on the short side",
            )

    def take(
        self, count: int | None, size: int, shrink_only: bool = False
    ) -> list[Pictures]:
        """The first `count` pictures (None: all)."""
        out: list[Pictures] = []
        for picture in self.pictures(size, shrink_only):
            out.append(picture)
            if len(out) == count:
                break
        return out


def load_pictures(
    x: Path, y: Path, messages: Sequence[Path], size: int, limit: int | None, seed: int
) -> PictureSets:
    """Pairs from folders: as many as the shorter of the two domains has, at most
    `limit`.

    Raises EganError for a folder that is missing or holds nothing usable.
    """
    sources = [
        SeededSource(Path(x), LEAST_PICTURE, seed),
        SeededSource(Path(y), LEAST_PICTURE, seed + 1),
    ]
    covers, flowers = (source.take(limit, size) for source in sources)
    n = min(len(covers), len(flowers))
    groups = []
    for index, folder in enumerate(messages):
        sources.append(SeededSource(Path(folder), LEAST_MESSAGE, seed + 2 + index))
        groups.append(sources[-1].take(n, size // 2, shrink_only=True))
    left_out = [f"{s.skipped} in {s.folder}" for s in sources if s.skipped]
    return PictureSets(
        np.stack(covers[:n]),
        np.stack(flowers[:n]),
        groups,
        sources[0].names[:n],
        sources[1].names[:n],
        [s.names for s in sources[2:]],
        f"{n} pairs of {x} and {y}, messages of {', '.join(str(m) for m in messages)}",
        f"pictures unreadable or too small: {', '.join(left_out)}" if left_out else "",
    )


def split(sets: PictureSets, count: int) -> tuple[PictureSets, PictureSets]:
    """Pictures to train with and the last `count` pairs, held out; messages alike."""
    share = count / len(sets.covers)

    def part(held_out: bool) -> PictureSets:
        def cut(values: Any) -> Any:
            first = len(values) - max(1, round(share * len(values)))
            return values[first:] if held_out else values[:first]

        return PictureSets(
            cut(sets.covers),
            cut(sets.flowers),
            [cut(group) for group in sets.messages],
            cut(sets.cover_names),
            cut(sets.flower_names),
            [cut(names) for names in sets.message_names],
            f"{count} pairs held out of {sets.label}" if held_out else sets.label,
            sets.skipped,
        )

    return part(False), part(True)


def load_smoke(size: int, limit: int, seed: int) -> PictureSets:
    """The built-in smoke set: see `egan.bench.smoke`. Its figures say that the tools
    work, not how good a model is.
    """
    covers, flowers, digits, photos = smoke_pictures(size, limit, seed)
    names = [str(i) for i in range(limit)]
    return PictureSets(
        covers,
        flowers,
        [digits, photos],
        names,
        names,
        [[f"digit {n}" for n in names], [f"photo {n}" for n in names]],
        f"smoke: {limit} pairs of crops of scikit-image's photographs and drawn flowers; not a test set",
    )


def batches(folder: Path, size: int, count: int) -> Iterator[Pictures]:
    """All usable pictures of a folder as uint8 (at most `count`, S, S, 3), for sets
    that need not fit in memory.
    """
    batch: list[Pictures] = []
    for picture in SeededSource(Path(folder), LEAST_PICTURE, 0).pictures(size):
        batch.append(picture)
        if len(batch) == count:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)
