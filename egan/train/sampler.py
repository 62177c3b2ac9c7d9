"""Random batches: covers, flowers, and composites with messages pasted, from one seed.

Every process of a run draws the same numbers for the whole batch and takes its own
share, so the pictures of a step do not depend on how many processes there are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor

from egan.core.tensors import to_unit
from egan.pictures.squares import Square

Source = NDArray[np.uint8] | Tensor


class Sampler:
    """Random batches on a device, seeded; flips left and right, never messages.

    covers, disguises: uint8 (N, S, S, 3), memory-mapped arrays or tensors on the
    device. messages: groups of uint8 pictures, one size a group or each its own. rank
    and world: which share of a batch this process takes.
    """

    def __init__(
        self,
        covers: Source,
        disguises: Source,
        messages: Sequence[Source | Sequence[NDArray[np.uint8]]],
        seed: int,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.covers, self.disguises, self.messages = covers, disguises, messages
        self.random = np.random.default_rng(seed)
        self.device, self.rank, self.world = device, rank, world

    def alone(self) -> Sampler:
        """The same random state and pictures for this process alone: every process then
        draws the same whole batches.
        """
        whole = Sampler(self.covers, self.disguises, self.messages, 0, self.device)
        whole.random = self.random
        return whole

    def share(self, count: int) -> slice:
        """This process's rows of a batch of `count`, a multiple of `world`."""
        share = count // self.world
        return slice(self.rank * share, (self.rank + 1) * share)

    def pictures(self, source: Source, count: int) -> Tensor:
        """float (count / world, 3, S, S) in [-1, 1]."""
        own = self.share(count)
        index = self.random.integers(len(source), size=count)[own]
        flip = (self.random.random(count) < 0.5)[own]
        if isinstance(source, Tensor):
            batch = source[torch.from_numpy(index).to(self.device, non_blocking=True)]
            there = torch.from_numpy(flip).to(self.device, non_blocking=True)
            unit = batch.permute(0, 3, 1, 2).float() / 127.5 - 1
            return torch.where(there[:, None, None, None], unit.flip(-1), unit)
        rows = np.asarray(source[index])
        rows[flip] = rows[flip, :, ::-1]
        return to_unit(rows, self.device)

    def composite(
        self, covers: Tensor, most: int = 2, whole: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Paste one to `most` messages of 1/8 to 1/2 of the side on each cover:
        composites and boxes (N, 1, H, W).

        covers are this process's share of a batch; where they are windows of pictures,
        `whole` is the pictures' side, of which the messages' sizes are taken.
        """
        composites, side = covers.clone(), covers.shape[-1]
        boxes = torch.zeros_like(covers[:, :1])
        own = self.share(len(covers) * self.world)
        for row in range(len(covers) * self.world):
            for _ in range(int(self.random.integers(1, most + 1))):
                group = self.messages[int(self.random.integers(len(self.messages)))]
                message = group[int(self.random.integers(len(group)))]
                at = Square.anywhere(self.random, side, whole or side)
                if own.start <= row < own.stop:
                    rows, columns = (
                        slice(at.y, at.y + at.size),
                        slice(at.x, at.x + at.size),
                    )
                    small = resized(message, at.size, self.device)
                    composites[row - own.start, :, rows, columns] = small
                    boxes[row - own.start, :, rows, columns] = 1
        return composites, boxes

    def randint(self, shape: Sequence[int]) -> Tensor:
        """Uniform bytes as integers, this process's share of (count, ...)."""
        return torch.randint(0, 256, tuple(shape), device=self.device)[
            self.share(shape[0])
        ]

    def uniform(self, count: int) -> Tensor:
        """Uniform numbers in [0, 1), this process's share of `count`."""
        return torch.rand(count, device=self.device)[self.share(count)]

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers, this process's share of (count, ...)."""
        return torch.randn(tuple(shape), device=self.device)[self.share(shape[0])]


def resized(message: Source, size: int, device: torch.device) -> Tensor:
    """One uint8 picture (h, w, 3) as 8-bit levels in [-1, 1], (3, size, size)."""
    if isinstance(message, Tensor):
        unit = message.permute(2, 0, 1)[None].float() / 127.5 - 1
    else:
        unit = to_unit(message[None], device)
    out = nnf.interpolate(
        unit, (size, size), mode="bicubic", antialias=True, align_corners=False
    )
    return torch.round((out[0].clamp(-1, 1) + 1) * 127.5) / 127.5 - 1


def on_device(source: NDArray[np.uint8], device: torch.device, room: int) -> Source:
    """The pictures in the device's memory where that is a GPU's and `room` bytes hold
    them; else as they are.
    """
    if device.type != "cuda" or source.nbytes > room:
        return source
    return torch.from_numpy(np.array(source)).to(device)


def free_memory(device: torch.device) -> int:
    """Bytes of GPU memory for decoded pictures: a third of the free memory."""
    return int(torch.cuda.mem_get_info(device)[0] // 3) if device.type == "cuda" else 0
