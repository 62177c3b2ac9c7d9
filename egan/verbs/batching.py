"""Pictures that go through the networks together: of one size and one model, fewer
where they are large.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from egan.errors import EganError
from egan.pictures import files
from egan.pictures.files import Picture
from egan.verbs.job import Job

# Of pictures with a larger side, in pixels, fewer go through at once.
LARGE = 256
# Jobs in a batch where no networks are used.
WITHOUT_NETWORKS = 8


def batches(
    jobs: Iterable[Job], size: Callable[[Job], int] | None = None
) -> Iterator[list[Job]]:
    """Runs of jobs with one picture size and one model, so that memory stays flat.

    size: the most jobs a run; by default what the job's weights say.
    """
    run: list[Job] = []
    for job in jobs:
        shape, most = job.pixels.shape, (size or batch_of)(job)
        most = min(most, max(1, most * LARGE**2 // (shape[0] * shape[1])))
        if run and (
            len(run) >= most
            or shape != run[0].pixels.shape
            or job.weights is not run[0].weights
        ):
            yield run
            run = []
        run.append(job)
    if run:
        yield run


def batch_of(job: Job) -> int:
    return job.weights.batch if job.weights is not None else WITHOUT_NETWORKS


def no_memory(run: Sequence[Job]) -> EganError:
    """The error for a batch that does not fit into memory."""
    height, width = run[0].pixels.shape[:2]
    names = ", ".join(files.shown(job.source) for job in run)
    return EganError(
        f"not enough memory for {len(run)} of {width}x{height} pixels: {names}",
        "use smaller pictures",
    )


def stacked(jobs: Sequence[Job]) -> Picture:
    """Their pixels, uint8 (N, H, W, 3)."""
    return np.stack([job.pixels for job in jobs])


def keystreams(
    jobs: Sequence[Job], seeds: Sequence[bytes] | None = None
) -> Picture | None:
    """Keystreams, uint8 (N, P, H/4, W/4), of jobs of one size; None without a lock.

    seeds: 32 bytes for each job, by default the job's own.
    """
    weights = jobs[0].weights
    assert weights is not None
    if not weights.locked:
        return None
    from egan.crypto.keystream import keystream

    shape = weights.keystream_shape(*jobs[0].pixels.shape[:2])
    return np.stack([keystream(s, shape) for s in seeds or [job.seed for job in jobs]])


def neutral(jobs: Sequence[Job]) -> Picture:
    """Grey key images: decoding depends on the keystream and hardly on the key image."""
    return np.full_like(stacked(jobs), 128)


def repeated(key: Picture | None, count: int) -> Any:
    """One key image for every picture of a batch; None where a method goes without."""
    return None if key is None else np.broadcast_to(key, (count, *key.shape))


def processes() -> tuple[int, int]:
    """This process's number and how many `torchrun` started: 0 and 1 without it."""
    rank, world = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    if not (rank.isdecimal() and world.isdecimal() and int(rank) < int(world)):
        return 0, 1
    return int(rank), int(world)
