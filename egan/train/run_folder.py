"""The folder of a run, with its checkpoint, log and sample sheets: one run at a time,
and none overwrites another's unasked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import filelock

from egan.errors import EganError
from egan.pictures.output import check_made

CHECKPOINT, WEIGHTS, LOG, LOCK = (
    "checkpoint.safetensors",
    "weights.safetensors",
    "log.jsonl",
    ".lock",
)


def run_folder(named: str | None, resume: str | None, out: str) -> Path:
    """The folder named, else that of the checkpoint that the run goes on from, else
    `runs` / the name of the weights file.
    """
    if named is not None:
        return Path(named)
    return Path(resume).parent if resume else Path("runs") / Path(out).stem


def check_folder(folder: Path, resume: str | None, force: bool) -> None:
    """Raises EganError where the folder cannot be written, or holds a checkpoint of a
    run that this one does not go on with.
    """
    check_made(str(folder), "--runs")
    kept = folder / CHECKPOINT
    if (
        force
        or not kept.exists()
        or (resume and Path(resume).resolve() == kept.resolve())
    ):
        return
    raise EganError(
        f"{kept} of another run exists already",
        f"--resume {kept} goes on with that run; --runs DIR puts this one elsewhere; "
        "--force overwrites",
    )


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, made where it is missing, and locked against other runs meanwhile.

    Raises EganError where another run has it. A folder that was made here and stays
    empty is removed again.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / LOCK, timeout=0)
    try:
        with lock:
            yield
    except filelock.Timeout as error:
        raise EganError(
            f"another run has {folder}", "--runs DIR puts this one elsewhere"
        ) from error
    finally:
        if made and {path.name for path in folder.iterdir()} == {LOCK}:
            (folder / LOCK).unlink()
            for path in made:
                path.rmdir()
