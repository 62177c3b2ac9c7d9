"""What the compared methods have in common: a model without keys behind EncryptGAN's two verbs, and how one is trained.

Everything is trained as its own paper has it, in float32 pictures; what is measured has gone through 8 bits, like
everything else here. Domain X is what goes in, that is, covers with messages already pasted on.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from egan.core.encryptgan import check_sides
from egan.core.model import Model, Pictures
from egan.core.tensors import fit_keys, to_bytes, to_unit
from egan.errors import EganError
from egan.train.options import RunOptions
from egan.train.recipes.base import Method
from egan.train.sampler import Sampler

ROWS = 4  # of a sample sheet


class Baseline(Model):
    """A compared method's networks. It has no keys: where EncryptGAN takes key images, it takes the pictures themselves.

    `encrypt` gets pictures of domain Y, for the look of the disguise, and `decrypt` pictures of domain X, for the look
    of the cover; a method that does not need them ignores them. Nothing here is secret from a holder of the weights.
    """

    keyed = False

    @abc.abstractmethod
    def hide(self, composite: Tensor, disguise: Tensor) -> Tensor:
        """Disguises of composites, with pictures of domain Y, ignored where it uses none; all (N, 3, H, W) in [-1, 1]."""

    @abc.abstractmethod
    def reveal(self, disguise: Tensor, cover: Tensor | None) -> Tensor:
        """Recovered composites, with pictures of domain X where the receiver has any."""

    def key_images(self, pictures: Pictures, layers: object = ()) -> Pictures:
        """What stands where EncryptGAN has key images: the pictures themselves."""
        return pictures

    @torch.inference_mode()
    def encrypt(
        self,
        composites: Pictures,
        disguises: Pictures | None,
        keystreams: Pictures | None = None,
    ) -> Pictures:
        """Disguises of uint8 composites (N, H, W, 3); pictures of domain Y are resized to them where they differ.

        None will do for a method that uses none. Raises EganError for one that does.
        """
        size = check_sides(composites)
        if disguises is None and self.options.uses_disguise:
            raise EganError(
                f"{self.options.TITLE} needs a picture that the disguise is to look like"
            )
        composite = to_unit(composites, self.device)
        like = (
            composite if disguises is None else fit_keys(disguises, size, self.device)
        )
        return to_bytes(self.hide(composite, like))

    @torch.inference_mode()
    def decrypt(
        self,
        disguises: Pictures,
        covers: Pictures | None,
        keystreams: Pictures | None = None,
    ) -> Pictures:
        """Recovered composites of uint8 disguises (N, H, W, 3); covers as in `encrypt`, or None for an unknown one."""
        size = check_sides(disguises)
        cover = None if covers is None else fit_keys(covers, size, self.device)
        return to_bytes(self.reveal(to_unit(disguises, self.device), cover))


@dataclasses.dataclass(frozen=True)
class BaselineTraining(RunOptions):
    """What every compared method's recipe says; the defaults are those of most of the papers."""

    batch: int = 1
    average: float = 0.0  # none of them keeps a moving average
    bf16: bool = False
    learning_rate: float = 1e-4


class BaselineMethod(Method):
    """Trains a Baseline in the shared Trainer. A subclass says how its networks are built and what one step is."""

    model: Any
    options: Any

    def __init__(
        self, model_options: Any, options: BaselineTraining, sampler: Sampler
    ) -> None:
        super().__init__(options, sampler)
        self.model_options = model_options
        self.critics = nn.ModuleDict()
        self.build()
        # Instance norm is slow in this order on a CPU, and most of these networks are made of it.
        order = (
            torch.channels_last if self.device.type == "cuda" else torch.preserve_format
        )
        for module in (self.model, self.critics):
            module.to(self.device).to(memory_format=order)  # type: ignore[call-overload]

    @abc.abstractmethod
    def build(self) -> None:
        """Make `model` and `critics`."""

    def batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Composites, pictures of domain Y, (N, 3, S, S) in [-1, 1], and the message boxes (N, 1, S, S)."""
        s, n = self.sampler, self.options.batch  # over all processes
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

        A step passes several times through parts of one network, which DistributedDataParallel does not allow.
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
    def sheet(self, model: nn.Module) -> Pictures:
        """Rows of composite, cover, picture of domain Y, disguise and decode; the same pictures at every call."""
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
    """The full rate for a share of the run, then in a straight line to 0 (CycleGAN, DRIT)."""
    return 1.0 if progress <= hold else max(0.0, (1 - progress) / (1 - hold))
