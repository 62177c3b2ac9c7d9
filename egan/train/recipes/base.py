"""A Method owns the networks, critics and optimisers of a run and makes one step.

Budget, rates, averages, logs and files are the Trainer's. Each family's method is in a
file of its own.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from egan.core.torch_model import TorchModel
from egan.train import losses
from egan.train.critics import augmented, noisy, over_scales
from egan.train.options import RunOptions
from egan.train.sampler import Sampler

# Found out before the first step, to be recorded with the run
Facts: TypeAlias = dict[str, str | float]


class Method(abc.ABC):
    """One thing that can be trained.

    model: averaged and saved. critics: the discriminators, which only checkpoints hold.
    optimisers: by name, each group with its full rate under "base". forward_pass: all
    that the optimiser "generators" trains, as one module; critic_loss: the loss of all
    that "critics" trains. log takes lines while `prepare` works; show takes the share
    done, in [0, 1], and a few words.
    """

    options: RunOptions
    model: TorchModel
    critics: nn.ModuleDict
    optimisers: dict[str, torch.optim.Optimizer]
    forward_pass: nn.Module
    critic_loss: nn.Module
    log: Callable[[str], None]
    show: Callable[[float, str], None]

    def __init__(self, options: RunOptions, sampler: Sampler) -> None:
        self.options, self.sampler, self.device = options, sampler, sampler.device
        self.optimisers = {}
        self.log = lambda line: None
        self.show = lambda share, words: None
        self.bf16 = options.bf16 and computes_bfloat16(self.device)
        torch.manual_seed(options.seed)

    def prepare(self) -> Facts:
        """What comes before the first step of a new run (K, closed-form starts).

        Returns facts to record.
        """
        return self.make_keys()

    def make_keys(self) -> Facts:
        """Train K and freeze it, in a method that has one. Returns facts to record."""
        return {}

    def facts(self) -> Facts:
        """Facts that the options do not hold and a resumed run must share."""
        return {}

    @abc.abstractmethod
    def start_optimisers(self) -> None:
        """Make `optimisers`."""

    @abc.abstractmethod
    def step(self, number: int) -> dict[str, Tensor]:
        """One step of everything, number `number` of the run.

        Returns detached, weighted losses (scalars) by name, and "box_mse": the mean
        squared error of decoded messages, in [0, 1] units.
        """

    @abc.abstractmethod
    def sheet(self, model: TorchModel) -> NDArray[np.uint8]:
        """A sample sheet (H, W, 3) made with `model`, the moving average."""

    def rate(self, progress: float, number: int) -> float:
        """Share of the full rate at a share of the run, in [0, 1], and after steps."""
        return 1.0

    def share_out(self) -> None:
        """Compile both passes if asked to, and average gradients over all processes."""
        if self.options.compile:
            self.forward_pass = cast(nn.Module, torch.compile(self.forward_pass))
            self.critic_loss = cast(nn.Module, torch.compile(self.critic_loss))
        if self.sampler.world == 1:
            return
        from torch.nn.parallel import DistributedDataParallel

        devices = [self.device] if self.device.type == "cuda" else None
        # A step without the backward cycle leaves some parameters out.
        self.forward_pass, self.critic_loss = (
            DistributedDataParallel(
                m, devices, broadcast_buffers=False, find_unused_parameters=True
            )
            for m in (self.forward_pass, self.critic_loss)
        )

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16)

    def optimiser(
        self,
        parameters: Iterable[nn.Parameter],
        rate: float,
        betas: tuple[float, float],
    ) -> torch.optim.Adam:
        """Adam, fused on CUDA, that remembers its full rate."""
        groups = [{"params": list(parameters), "base": rate}]
        return torch.optim.Adam(groups, rate, betas, fused=self.device.type == "cuda")

    def update(self, name: str, loss: Tensor, clip: float = 0.0) -> Tensor:
        """One step of an optimiser down a loss.

        Returns the norm of the gradient before clipping to `clip`; 0 without clipping.
        """
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.zeros((), device=self.device)
        if clip:
            norm = nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], clip)
        optimiser.step()
        return norm


class CriticLoss(nn.Module):
    """The discriminators' loss over (name, real, fake) windows, each (N, 3, H, W).

    Their input is augmented in the ways that `augment` names and gets Gaussian noise.
    """

    def __init__(
        self, critics: nn.ModuleDict, noise: float, augment: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.critics, self.noise, self.augment = critics, noise, augment

    def forward(self, pairs: list[tuple[str, Tensor, Tensor]]) -> Tensor:
        total = torch.zeros((), device=pairs[0][1].device)
        for name, real, fake in pairs:
            pictures = augmented(torch.cat((real, fake.detach())), self.augment)
            loss = partial(real_first_loss, count=len(real))
            scores = self.critics[name](noisy(pictures, self.noise))
            total = total + over_scales(loss, scores)
        return total


def real_first_loss(scores: Tensor, count: int) -> Tensor:
    """LSGAN's loss of a discriminator; the first `count` scores are real pictures'."""
    return losses.lsgan_discriminator_loss(scores[:count], scores[count:])


def computes_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 here.

    A processor without instructions for it imitates it, five times slower than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    asks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, ask, lambda: False)() for ask in asks)


def round8(picture: Tensor) -> Tensor:
    """Clamp to [-1, 1] and round to 8 bits; the gradient inside of the range passes."""
    clamped = picture.clamp(-1, 1)
    return clamped + (torch.round((clamped + 1) * 127.5) / 127.5 - 1 - clamped).detach()


def random_window(
    side: int, size: int, sampler: Sampler, grid: int = 1
) -> Callable[[Tensor], Tensor]:
    """One random square window of `size` pixels (0: all) of pictures of `side`.

    The same for every tensor (…, H, W) that it is applied to; its corner is at
    multiples of `grid`.
    """
    size = min(size or side, side)
    i, j = (
        grid * int(v)
        for v in sampler.random.integers(0, (side - size) // grid + 1, size=2)
    )
    return lambda t: t[..., i : i + size, j : j + size].contiguous()
