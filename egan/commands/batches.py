"""Many files: finding them, passing them through the networks in batches, and naming what failed at the end.

The rule: a file is on its own. A bad one is reported when all others are done, nothing is decided by what else is in the
batch, and no more than two batches are in memory. Under `torchrun` each process takes every n-th file of the same list.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from egan import terminal
from egan.errors import EganError, out_of_memory
from egan.pictures import files
from egan.pictures.files import Picture
from egan.verbs.intake import Job

if TYPE_CHECKING:
    from egan.core.model import Model


LARGE = (
    256  # pixels of the side: of larger pictures fewer go through the networks at once
)


@dataclass(frozen=True)
class Source:
    """One input, and the name of its output without `.png`: a file's own, or for a folder the path below it."""

    path: str
    stem: str


@dataclass(frozen=True)
class Result:
    """One picture to be written: of which job, what is added to the name, pixels and PNG text."""

    job: Job
    pixels: Picture
    suffix: str = ""
    text: dict[str, str] | None = None


def find_sources(
    inputs: Sequence[str] | None, listed: str | None, directory: str | None
) -> list[Source]:
    """What a command works on: files, folders (read recursively), patterns, or NUL-separated names in `listed`.

    Standard input where nothing is named. The output folder is left out where it lies in a folder that is read, and with
    one a file that is named twice counts once. Raises EganError for no input at all and for folders and lists without an
    output folder.
    """
    if listed is not None:
        if inputs:
            raise EganError(
                "--files0-from and named files exclude each other", status=2
            )
        names = read_names(listed)
    else:
        names = list(inputs or [files.STDIN])
    found: list[Source] = []
    for name in names:
        if name != files.STDIN and Path(name).is_dir() and directory is not None:
            found += in_folder(Path(name), directory)
        elif any(c in name for c in "*?") and not os.path.lexists(name):
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                raise EganError(f"no file matches {name}", status=2)
            found += [Source(match, Path(match).stem) for match in matches]
        else:
            found.append(Source(name, Path(name).stem))
    if directory is not None:
        found = list(
            {
                os.path.normpath(source.path): source for source in reversed(found)
            }.values()
        )[::-1]
    return found


def read_names(listed: str) -> list[str]:
    """The names in a file, or in standard input for `-`, each ended by a NUL byte, as `find -print0` writes them."""
    names = [
        os.fsdecode(name) for name in files.read_bytes(listed).split(b"\0") if name
    ]
    if files.STDIN in names:
        raise EganError("standard input cannot be one of many files", status=2)
    if len(names) == 1 and "\n" in names[0]:
        raise EganError(
            f"the names in {files.shown(listed)} are not separated by NUL bytes",
            "write them with `find ... -print0` or `printf '%s\\0' *.png`",
            2,
        )
    return names


def in_folder(folder: Path, out: str | None = None) -> list[Source]:
    """Every picture below a folder, in the order of names; hidden files and the output folder, if any, are left out."""
    endings = picture_endings()
    outside = None if out is None else Path(out).resolve()
    found: list[Source] = []
    for here, folders, names in os.walk(folder):
        place = Path(here)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".") and (place / name).resolve() != outside
        )
        for name in sorted(names):
            if Path(name).suffix.lower() in endings and not name.startswith("."):
                path = place / name
                found.append(
                    Source(str(path), str(path.relative_to(folder).with_suffix("")))
                )
    if not found:
        raise EganError(f"there are no pictures in the folder {folder}")
    return found


def picture_endings() -> frozenset[str]:
    from PIL import Image

    return frozenset(Image.registered_extensions())


def partner(other: str, source: Source) -> str:
    """What belongs to an input: `other` itself, or where that is a folder, the picture of the input's name in it."""
    if other == files.STDIN or not Path(other).is_dir():
        return other
    endings = picture_endings()
    near = Path(other, source.stem)
    matches = sorted(
        path
        for path in (near.parent.iterdir() if near.parent.is_dir() else ())
        if path.stem == near.name and path.suffix.lower() in endings
    )
    if not matches:
        raise EganError(
            f"the folder {other} has no picture for {source.path}",
            f"it would be {near}.png",
        )
    return str(matches[0])


def check_partner(other: str | None, sources: Sequence[Source]) -> None:
    """Raises EganError where standard input, which can be read once, would go with every one of many inputs."""
    if other == files.STDIN and len(sources) > 1:
        raise EganError(
            f"standard input cannot go with each of {len(sources)} inputs",
            "name a file, or a folder, instead of -",
            2,
        )


def target(folder: str, stem: str, suffix: str = "") -> str:
    return str(Path(folder) / f"{stem}{suffix}.png")


def check_folder(folder: str, sources: Sequence[Source]) -> None:
    """Raises EganError where the output folder is missing or two inputs would be written to one name."""
    if not Path(folder).is_dir():
        raise EganError(
            f"there is no output folder {folder}", f"make it with: mkdir {folder}", 2
        )
    names: dict[str, str] = {}
    for source in sources:
        if source.path == files.STDIN:
            raise EganError(
                "standard input cannot be one of many files", "name files with -d", 2
            )
        if names.setdefault(source.stem, source.path) != source.path:
            raise EganError(
                f"{names[source.stem]} and {source.path} would be written to one file, {source.stem}.png",
                status=2,
            )


def my_share(sources: Sequence[Source]) -> Sequence[Source]:
    """The files of this process: every n-th, where `torchrun` started n."""
    rank, world = processes()
    return sources[rank::world]


def processes() -> tuple[int, int]:
    """This process's number and how many `torchrun` started: 0 and 1 without it."""
    rank, world = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    if not (rank.isdecimal() and world.isdecimal() and int(rank) < int(world)):
        return 0, 1
    return int(rank), int(world)


class SomeFailed(EganError):
    """The end of a run in which some files failed, each of them reported already."""


class Failures:
    """What went wrong with which file, kept until the rest is done, each file counted once."""

    def __init__(self, hushed: type[EganError] | None = None) -> None:
        self.hushed = hushed  # errors that are counted and not printed
        self.errors: list[EganError] = []
        self.paths: set[str] = set()

    def add(self, error: EganError, *paths: str) -> None:
        self.errors.append(error)
        self.paths.update(paths)

    def finish(self, total: int) -> None:
        """Print every error; raise one with the count if there was any, in any process of the job."""
        self.report()
        failed = in_all_processes(len(self.paths))
        if failed:
            raise SomeFailed(f"{failed} of {total} files failed")

    def report(self) -> None:
        for error in self.errors:
            if self.hushed is None or not isinstance(error, self.hushed):
                terminal.report(error)


def in_all_processes(count: int) -> int:
    """The sum over all processes of a `torchrun` job. Every one waits here for the last.

    torchrun ends all processes as soon as one has failed, so one that leaves early would stop the others' work.
    """
    if processes()[1] == 1 or "MASTER_ADDR" not in os.environ:
        return count
    from datetime import timedelta

    import torch
    import torch.distributed as group

    group.init_process_group("gloo", timeout=timedelta(days=30))
    try:
        total = torch.tensor([count])
        group.all_reduce(total)
        return int(total)
    finally:
        group.destroy_process_group()


def batches(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    """Runs of pictures of one size, at most `size` long and fewer where they are large, so memory stays flat."""
    run: list[Job] = []
    for job in jobs:
        shape = job.pixels.shape
        most = min(size, max(1, size * LARGE**2 // (shape[0] * shape[1])))
        if run and (len(run) >= most or shape != run[0].pixels.shape):
            yield run
            run = []
        run.append(job)
    if run:
        yield run


def no_memory(run: Sequence[Job]) -> EganError:
    """What to say of a batch that memory was not enough for."""
    height, width = run[0].pixels.shape[:2]
    names = ", ".join(files.shown(job.source) for job in run)
    return EganError(
        f"not enough memory for {len(run)} of {width}x{height} pixels: {names}",
        "use smaller pictures",
    )


def batch_size(model: Model) -> int:
    """Pictures a pass. The same on every CPU, so that results are the same too."""
    from egan.core.encryptgan import BATCH

    return BATCH if model.device.type == "cpu" else 8 * BATCH


def run_many(
    sources: Sequence[Source],
    folder: str | None,
    force: bool,
    read: Callable[[Source], Job],
    work: Callable[[Sequence[Job]], Sequence[Result | EganError]],
    size: int,
    words: str,
    outputs: Callable[[Job], Sequence[str]] = lambda job: ("",),
    hushed: type[EganError] | None = None,
) -> None:
    """Read pictures, pass them through the networks in batches of `size`, and write the results into a folder, if any.

    work: the results of a batch; an error in a job's place stands for the failure of the job at the same index.
    outputs: the suffixes of a job's output names, to be checked before it goes through the networks.
    hushed: errors that are counted and not printed. Raises SomeFailed at the end, after the errors of the files that failed.
    """
    stems = {source.path: source.stem for source in sources}
    mine = my_share(sources)
    failures = Failures(hushed)

    def readable() -> Iterator[Job]:
        for source in terminal.progress(mine, len(mine), words):
            try:
                job = read(source)
                if folder is not None:
                    for suffix in outputs(job):
                        files.check_output(below(folder, source.stem, suffix), force)
            except EganError as error:
                failures.add(error, source.path)
            else:
                yield job

    def below(folder: str, stem: str, suffix: str) -> str:
        path = target(folder, stem, suffix)
        if os.sep in stem:
            with files.reporting(path):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
        return path

    def write(result: Result) -> None:
        assert folder is not None
        source = result.job.source
        try:
            data = files.png_bytes(result.pixels, result.text)
            files.write_output(data, below(folder, stems[source], result.suffix), force)
        except EganError as error:
            failures.add(error, source)

    try:
        # One batch is compressed and written while the next is in the networks, and no more are waiting: flat memory.
        with ThreadPoolExecutor(2) as writer:
            writing: list[Future[None]] = []
            for run in batches(readable(), size):
                try:
                    results = work(run)
                except EganError as error:
                    failures.add(error, *(job.source for job in run))
                    continue
                except (MemoryError, RuntimeError) as error:
                    if not out_of_memory(error):
                        raise
                    failures.add(no_memory(run), *(job.source for job in run))
                    continue
                for done in writing:
                    done.result()
                writing = []
                for at, result in enumerate(results):
                    if isinstance(result, EganError):
                        failures.add(result, run[at].source)
                    elif folder is not None:
                        writing.append(writer.submit(write, result))
            for done in writing:
                done.result()
    except BaseException:
        failures.report()  # interrupted: what is known so far
        raise
    failures.finish(len(sources))
