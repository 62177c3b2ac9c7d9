"""From options to the Method that trains them."""

from __future__ import annotations

from torch import nn

from egan.options import ModelOptions
from egan.train.locked import LockedMethod
from egan.train.method import Method
from egan.train.options import TrainOptions
from egan.train.published import PublishedMethod
from egan.train.sampler import Sampler


def make_method(
    model: ModelOptions, options: TrainOptions, sampler: Sampler, perceptual: nn.Module | None = None
) -> Method:
    """The method of a model's family; perceptual: an LPIPS module, which the family `paper` does not use."""
    if model.family == "paper":
        return PublishedMethod(model, options, sampler)
    return LockedMethod(model, options, sampler, perceptual)
