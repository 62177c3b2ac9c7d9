"""One code path from inputs to outputs: read, pass through the networks in batches,
write, and report failures.

One input is a batch of one. Of many, each file is on its own: a bad one is reported
when all others are done, no result depends on the rest of its batch, and no more than
two batches are in memory. Under `torchrun` each process takes every n-th file of the
same list.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from egan import terminal
from egan.commands.inputs import Inputs
from egan.errors import EganError, Note, out_of_memory
from egan.pictures.files import Picture
from egan.pictures.output import (
    STDOUT,
    check_output,
    png_bytes,
    reporting,
    write_output,
)
from egan.pictures.sources import Source, why_no_file
from egan.verbs.batching import batches, no_memory, processes
from egan.verbs.job import Job


class Result(NamedTuple):
    """One picture to be written: its job, the suffix of its name, pixels and PNG text."""

    job: Job
    pixels: Picture
    suffix: str = ""
    text: dict[str, str] | None = None


class SomeFailed(EganError):
    """The end of a run in which some files failed, each of them reported already."""


@dataclass
class Verb:
    """What a command does with its inputs.

    read: one input as a job. work: the results of a batch; an error stands for the
    failure of the job at its index. words: what the progress bar says. suffixes: what
    is added to the names of a job's outputs, to be checked before it goes through the
    networks. hushed: errors that are counted and not printed. writes: results go to the
    output.
    """

    read: Callable[[Source], Job]
    work: Callable[[Sequence[Job]], Sequence[Result | EganError]]
    words: str
    suffixes: Callable[[Job], Sequence[str]] = lambda job: ("",)
    hushed: type[EganError] | None = None
    writes: bool = True


class Failures:
    """Errors by file, kept until the rest is done; each file counts once.

    With one input alone an error is raised at once, as the command's own.
    """

    def __init__(
        self, alone: bool = False, hushed: type[EganError] | None = None
    ) -> None:
        self.alone = alone
        self.hushed = hushed
        self.errors: list[EganError] = []
        self.paths: set[str] = set()

    def add(self, error: EganError, *paths: str) -> None:
        if self.alone:
            raise error
        self.errors.append(error)
        self.paths.update(paths)

    def finish(self, total: int) -> None:
        """Print every error; raise one with the count if there was any, in any process."""
        self.report()
        failed = len(self.paths)
        if not self.alone:
            failed = in_all_processes(failed)
        if failed:
            raise SomeFailed(f"{failed} of {total} files failed")

    def report(self) -> None:
        for error in self.errors:
            if self.hushed is None or not isinstance(error, self.hushed):
                terminal.report(error)


def run(inputs: Inputs, verb: Verb) -> None:
    """Read, work, write and tell. Raises SomeFailed at the end, after the errors of
    files.
    """
    failures = Failures(inputs.alone, verb.hushed)
    writer = Writer(inputs, failures)
    said: set[Note] = set()
    mine = my_share(inputs.sources)

    def readable() -> Iterator[Job]:
        for source in terminal.progress(mine, len(mine), verb.words):
            try:
                job = verb.read(source)
                if verb.writes:
                    writer.check(source, verb.suffixes(job))
            except EganError as error:
                failures.add(error, source.path)
            else:
                yield job

    for error in inputs.skipped:
        failures.add(error, str(error))
    try:
        # One batch is compressed and written while the next is in the networks.
        with ThreadPoolExecutor(2) as pool:
            writing: list[Future[None]] = []
            for batch in batches(readable()):
                try:
                    results = verb.work(batch)
                    for job in batch:
                        tell(job, said, inputs.alone)
                except EganError as error:
                    failures.add(error, *(job.source for job in batch))
                    continue
                except (MemoryError, RuntimeError) as error:
                    if not out_of_memory(error):
                        raise
                    failures.add(no_memory(batch), *(job.source for job in batch))
                    continue
                for done in writing:
                    done.result()
                writing = []
                for at, result in enumerate(results):
                    if isinstance(result, EganError):
                        failures.add(result, batch[at].source)
                    elif verb.writes:
                        writing.append(pool.submit(writer.write, result))
            for done in writing:
                done.result()
    except BaseException:
        if not inputs.alone:
            # Interrupted: tell the failures so far.
            failures.report()
        raise
    failures.finish(len(inputs.sources) + len(inputs.skipped))


def tell(job: Job, said: set[Note], alone: bool) -> None:
    """Print a job's notes, with the name of its file where there are many, each once.

    Those of its weights come first.
    """
    about = job.weights.note if job.weights is not None else None
    if about is not None and about not in said:
        said.add(about)
        terminal.tell([about])
    for note in job.notes:
        if not alone and not str(note).startswith(job.name):
            note = Note(f"{job.name}: {note}", note.warning, note.urgent)
        if note not in said:
            said.add(note)
            terminal.tell([note])


class Writer:
    """The output: a folder, with names of the inputs, or one file or standard output."""

    def __init__(self, inputs: Inputs, failures: Failures) -> None:
        self.inputs = inputs
        self.failures = failures
        self.stems = {source.path: source.stem for source in inputs.sources}

    def path(self, source: str, suffix: str) -> str | None:
        if self.inputs.folder is not None:
            return target(self.inputs.folder, self.stems[source], suffix)
        if suffix and self.inputs.output not in (None, STDOUT):
            out = Path(str(self.inputs.output))
            return str(out.with_name(f"{out.stem}{suffix}{out.suffix}"))
        return self.inputs.output

    def check(self, source: Source, suffixes: Sequence[str]) -> None:
        """Raises EganError where an output of an input could not be written."""
        for suffix in suffixes:
            if path := self.path(source.path, suffix):
                if self.inputs.folder is not None:
                    with reporting(path):
                        Path(path).parent.mkdir(parents=True, exist_ok=True)
                    if reason := why_no_file(Path(path)):
                        raise EganError(f"cannot write {path}: it is {reason}")
                check_output(path, self.inputs.force)

    def write(self, result: Result) -> None:
        source = result.job.source
        try:
            data = png_bytes(result.pixels, result.text)
            path = self.path(source, result.suffix)
            write_output(data, path, self.inputs.force)
        except EganError as error:
            self.failures.add(error, source)


def target(folder: str, stem: str, suffix: str = "") -> str:
    return str(Path(folder) / f"{stem}{suffix}.png")


def my_share(sources: Sequence[Source]) -> Sequence[Source]:
    """The files of this process: every n-th, where `torchrun` started n."""
    rank, world = processes()
    return sources[rank::world]


def in_all_processes(count: int) -> int:
    """The sum over all processes of a `torchrun` job. Every one waits here for the
    last.

    torchrun ends all processes as soon as one has failed, so one that leaves early
    would stop the others' work.
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
