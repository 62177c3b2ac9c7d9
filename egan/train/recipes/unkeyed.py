"""Training that the compared methods share; they know no keys.

Everything is trained as its own paper has it, in float32 pictures. Domain X is the
input: covers with messages already pasted on.
"""

from __future__ import annotations

import abc
import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from egan.baselines.base import Baseline
from egan.core.model import Pictures
from egan.core.options import BaselineOptions
from egan.core.tensors import to_bytes
from egan.core.torch_model import TorchModel
from egan.train.options import BaselineTraining
from egan.train.recipes.base import Method
from egan.train.sampler import Sampler

# Rows of a sample sheet.
ROWS = 4


class UnkeyedMethod(Method):
    """Trains a Baseline in the shared Trainer. A subclass builds its networks and makes
    one step.
    """

    model: Baseline
    model_options: BaselineOptions
    options: BaselineTraining

    def __init__(
        self,
        model_options: BaselineOptions,
        options: BaselineTraining,
        sampler: Sampler,
    ) -> None:
        super().__init__(options, sampler)
        self.model_options = model_options
        self.critics = nn.ModuleDict()
        self.build()
        # Instance norm is slow in this order on a CPU, and most of these networks are
        # made of it.
        order = (
            torch.channels_last if self.device.type == "cuda" else torch.preserve_format
        )
        for module in (self.model, self.critics):
            module.to(self.device).to(memory_format=order)  # type: ignore[call-overload]

    @abc.abstractmethod
    def build(self) -> None:
        """Make `model` and `critics`."""

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Composites, pictures of domain Y, (N, 3, S, S) in [-1, 1], and the message
        boxes (N, 1, S, S).
        """
        # n counts the pairs of all processes.
        s, n = self.sampler, self.options.batch
        x, y = s.pictures(s.covers, n), s.pictures(s.disguises, n)
        composite, box = s.composite(x)
        return composite, y, box

    @contextlib.contextmanager
    def frozen(self, module: nn.Module) -> Iterator[None]:
        """Gradients pass through a module to its input, and leave its weights alone."""
        module.requires_grad_(False)
        try:
            yield
        finally:
            module.requires_grad_(True)

    def update(self, name: str, loss: Tensor, clip: float = 0.0) -> Tensor:
        """As in Method, with gradients averaged over all processes by hand.

        A step passes several times through parts of one network, which
        DistributedDataParallel does not allow.
        """
        optimiser, world = self.optimisers[name], self.sampler.world
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        weights = optimiser.param_groups[0]["params"]
        if world > 1:
            for gradient in [p.grad for p in weights if p.grad is not None]:
                torch.distributed.all_reduce(gradient)
                gradient /= world
        norm = (
            nn.utils.clip_grad_norm_(weights, clip)
            if clip
            else torch.zeros((), device=self.device)
        )
        optimiser.step()
        return norm

    def logged(
        self,
        terms: dict[str, Tensor],
        recovered: Tensor,
        composite: Tensor,
        box: Tensor,
    ) -> dict[str, Tensor]:
        """Detached losses, and how well messages come back, before 8-bit rounding."""
        out = {name: value.detach() for name, value in terms.items()}
        error = (
            (recovered.detach().float().clamp(-1, 1) - composite) / 2
        ).square() * box
        out["box_mse"] = error.sum() / (box.sum() * recovered.shape[1]).clamp_min(1)
        return out

    @torch.no_grad()
    def sheet(self, model: TorchModel) -> Pictures:
        """Rows of composite, cover, picture of domain Y, disguise and decode; the same
        pictures at every call.
        """
        assert isinstance(model, Baseline)
        s = self.sampler
        fixed = Sampler(s.covers, s.disguises, s.messages, 1, s.device)
        x, y = fixed.pictures(fixed.covers, ROWS), fixed.pictures(fixed.disguises, ROWS)
        composite = to_bytes(fixed.composite(x)[0])
        covers, flowers = to_bytes(x), to_bytes(y)
        disguise = model.encrypt(composite, flowers)
        columns = (
            composite,
            covers,
            flowers,
            disguise,
            model.decrypt(disguise, covers),
        )
        return np.concatenate(
            [np.concatenate(list(column), 0) for column in columns], 1
        )


def l1(a: Tensor, b: Tensor) -> Tensor:
    """The mean absolute difference, in float32."""
    return (a.float() - b.float()).abs().mean()


def constant_then_linear(progress: float, hold: float = 0.5) -> float:
    """The full rate for a share of the run, then in a straight line to 0 (CycleGAN,
    DRIT).
    """
    return 1.0 if progress <= hold else max(0.0, (1 - progress) / (1 - hold))
