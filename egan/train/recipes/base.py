"""What a Trainer trains. A Method owns its networks and optimisers and makes one step; budget, rates, averages, logs and
files are the Trainer's. Family `egan` is in `egan.train.recipes.egan`, family `paper` in `egan.train.recipes.paper`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from egan.train import losses
from egan.train.critics import augmented, over_scales
from egan.train.options import RunOptions
from egan.train.sampler import Sampler


class Method(abc.ABC):
    """One thing that can be trained.

    model: what is averaged and saved; has `options` and `save(path, training)`. critics: the discriminators, which only
    checkpoints hold. optimisers: by name, each group with its full rate under "base".
    """

    options: RunOptions
    model: nn.Module
    critics: nn.ModuleDict
    optimisers: dict[str, torch.optim.Optimizer]
    forward_pass: (
        nn.Module
    )  # the forward pass of all that "generators" trains, as one module
    critic_loss: nn.Module  # the loss of all that "critics" trains, as one module

    def __init__(self, options: RunOptions, sampler: Sampler) -> None:
        self.options, self.sampler, self.device = options, sampler, sampler.device
        self.optimisers = {}
        self.log: Callable[[str], None] = lambda line: (
            None
        )  # where `prepare` may put lines
        torch.manual_seed(options.seed)

    @property
    def averaged(self) -> list[str]:
        """The names of the model's children that training changes."""
        return [name for name, child in self.model.named_children() if name != "K"]

    def prepare(self) -> dict[str, Any]:
        """What comes before the first step (K, closed-form starts), not on a resumed run. Returns what to record."""
        return self.make_keys()

    def make_keys(self) -> dict[str, Any]:
        """Train K and freeze it, in a method that has one. Returns what to record."""
        return {}

    def facts(self) -> dict[str, Any]:
        """What the options do not say and a resumed run has to share, to be recorded."""
        return {}

    @abc.abstractmethod
    def start_optimisers(self) -> None:
        """Make `optimisers`."""

    @abc.abstractmethod
    def step(self, number: int) -> dict[str, Tensor]:
        """One step of everything: detached, weighted losses by name, and "box_mse", the squared error of decoded
        messages in [0, 1] units.
        """

    @abc.abstractmethod
    def sheet(self, model: nn.Module) -> NDArray[np.uint8]:
        """A sample sheet (H, W, 3) made with `model`, the moving average."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must hold beyond networks and optimisers (an image pool, say)."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Restore what `state` gave."""

    def rate(self, progress: float, number: int) -> float:
        """The share of the full learning rate at a share of the run, a number of steps into it."""
        return 1.0

    def share_out(self) -> None:
        """Compile both passes where asked to, and average the gradients over all processes (DistributedDataParallel)."""
        if self.options.compile:
            self.forward_pass = cast(nn.Module, torch.compile(self.forward_pass))
            self.critic_loss = cast(nn.Module, torch.compile(self.critic_loss))
        if self.sampler.world == 1:
            return
        from torch.nn.parallel import DistributedDataParallel

        devices = [self.device] if self.device.type == "cuda" else None
        # A step without the backward cycle or without a discriminator leaves some parameters out.
        self.forward_pass, self.critic_loss = (
            DistributedDataParallel(
                m, devices, broadcast_buffers=False, find_unused_parameters=True
            )
            for m in (self.forward_pass, self.critic_loss)
        )

    def autocast(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, torch.bfloat16, enabled=self.options.bf16
        )

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
        """One step of an optimiser down a loss; returns the norm of the gradient where it is clipped, else 0."""
        optimiser = self.optimisers[name]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = torch.zeros((), device=self.device)
        if clip:
            norm = nn.utils.clip_grad_norm_(optimiser.param_groups[0]["params"], clip)
        optimiser.step()
        return norm


class CriticLoss(nn.Module):
    """The discriminators' loss over (name, real, fake) windows (N, 3, H, W), with Gaussian noise on all that they see,
    which is augmented before that where augment names how.
    """

    def __init__(
        self, critics: nn.ModuleDict, noise: float, augment: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.critics, self.noise, self.augment = critics, noise, augment

    def forward(self, pairs: list[tuple[str, Tensor, Tensor]]) -> Tensor:
        total = torch.zeros((), device=pairs[0][1].device)
        for name, real, fake in pairs:
            both = augmented(torch.cat((real, fake.detach())), self.augment)
            half = len(real)
            scores = self.critics[name](noisy(both, self.noise))
            total = total + over_scales(
                lambda s: losses.lsgan_discriminator_loss(s[:half], s[half:]),  # noqa: B023
                scores,
            )
        return total


def round8(picture: Tensor) -> Tensor:
    """Clamp to [-1, 1] and round to 8 bits, with a straight-through gradient inside the range."""
    clamped = picture.clamp(-1, 1)
    return clamped + (torch.round((clamped + 1) * 127.5) / 127.5 - 1 - clamped).detach()


def noisy(picture: Tensor, deviation: float) -> Tensor:
    """A picture with Gaussian noise added, drawn contiguous whatever its layout (strided filling is ten times slower on a CPU)."""
    return (
        picture + deviation * torch.randn(picture.shape, device=picture.device)
        if deviation
        else picture
    )


def random_window(
    side: int, size: int, sampler: Sampler, grid: int = 1
) -> Callable[[Tensor], Tensor]:
    """One random square window of `size` (0: all), the same for every tensor (…, H, W) it is applied to.

    Its corner is at multiples of `grid`.
    """
    size = min(size or side, side)
    i, j = (
        grid * int(v)
        for v in sampler.random.integers(0, (side - size) // grid + 1, size=2)
    )
    return lambda t: t[..., i : i + size, j : j + size].contiguous()
