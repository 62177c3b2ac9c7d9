"""One training run in several processes, as `torchrun` starts them.

Gradients are averaged by torch's DistributedDataParallel, with NCCL on GPUs and gloo on
CPUs. The process of rank 0 alone writes files and lines. A process that loses another
one ends with an EganError.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
from collections.abc import Iterator

import torch
import torch.distributed as dist

from egan.errors import EganError
from egan.verbs.batching import processes

# A process that is silent for so long counts as dead.
PATIENCE = datetime.timedelta(minutes=5)


@dataclasses.dataclass(frozen=True)
class Place:
    """This process among all those of the run."""

    rank: int = 0
    world: int = 1

    @property
    def writes(self) -> bool:
        return self.rank == 0


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[tuple[Place, torch.device]]:
    """Join the other processes where `torchrun` started this one; the place and the
    device to use.

    Raises EganError where another process dies or cannot be reached.
    """
    rank, world = processes()
    if world == 1:
        yield Place(), device
        return
    if "MASTER_ADDR" not in os.environ:
        raise EganError(
            "RANK and WORLD_SIZE are set, but not MASTER_ADDR",
            "start all processes with torchrun",
            2,
        )
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise EganError(
                f"process {local} has no GPU of its own",
                f"--nproc-per-node {torch.cuda.device_count()} uses every GPU of this "
                "machine once",
                2,
            )
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    try:
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE
        )
        yield Place(rank, world), device
    except (dist.DistError, RuntimeError) as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        raise EganError(
            f"process {rank} lost the other processes of the run",
            "one of them died; its own error is above; "
            "go on with --resume and the last checkpoint",
        ) from error
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def agreed(value: float, device: torch.device) -> float:
    """Rank 0's value, in every process, so that all of them stop at the same step."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return float(shared)
