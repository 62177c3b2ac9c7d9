"""The one walker of folders: which files of a folder are pictures."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from egan.errors import EganError, reason_of
from egan.pictures.streams import ENDINGS


class Source(NamedTuple):
    """One input, and the name of its output without `.png`.

    The name is a file's own, or for a folder the path below it.
    """

    path: str
    stem: str


@dataclass
class Found:
    """The pictures of a folder, in the order of their names, and what is wrong with
    others.
    """

    sources: list[Source] = field(default_factory=list)
    skipped: list[EganError] = field(default_factory=list)


def walk(folder: Path, out: Path | None = None) -> Found:
    """Every picture below a folder.

    Hidden files and folders and the output folder `out` are left out. What is named
    like a picture and is no file, as a FIFO or a device, and a folder that cannot be
    read are skipped and named. Raises EganError where there is no such folder, and
    where there is no picture and nothing was skipped.
    """
    if not folder.is_dir():
        missing = not os.path.lexists(folder)
        raise EganError(
            f"no such folder: {folder}" if missing else f"{folder} is no folder",
            status=2,
        )
    outside = None if out is None else out.resolve()
    found = Found()

    def closed(error: OSError) -> None:
        text = f"cannot read the folder {error.filename}: {reason_of(error)}"
        found.skipped.append(EganError(text))

    for here, folders, names in os.walk(folder, onerror=closed):
        place = Path(here)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (place / name).resolve() != outside
        )
        for name in sorted(names):
            path = place / name
            if path.suffix.lower() not in ENDINGS or name.startswith("."):
                continue
            if reason := why_no_file(path):
                found.skipped.append(EganError(f"{path} is {reason}, so it is skipped"))
                continue
            stem = str(path.relative_to(folder).with_suffix(""))
            found.sources.append(Source(str(path), stem))
    if not found.sources and not found.skipped:
        raise EganError(f"there are no pictures in the folder {folder}")
    return found


def why_no_file(path: Path) -> str:
    """What a path is instead of a file, in words; empty for a file.

    A file that cannot be looked at counts as one, so that reading it tells why.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return ""
    kinds = (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((words for is_kind, words in kinds if is_kind(mode)), "")
