"""From options to the Method that trains them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from torch import nn

from egan.baselines import method_classes
from egan.core.options import BaselineOptions, ModelOptions
from egan.train.options import RunOptions, TrainOptions
from egan.train.recipes.base import Method
from egan.train.recipes.egan import LockedMethod
from egan.train.recipes.paper import PublishedMethod
from egan.train.sampler import Sampler

if TYPE_CHECKING:
    from egan.baselines.base import BaselineTraining


def make_method(
    model: ModelOptions | BaselineOptions,
    options: RunOptions,
    sampler: Sampler,
    perceptual: nn.Module | None = None,
) -> Method:
    """The method of a model's family; perceptual: an LPIPS module, which only the family `egan` uses."""
    if isinstance(model, BaselineOptions):
        return method_classes(model.family)[0](
            model, cast("BaselineTraining", options), sampler
        )
    options = cast(TrainOptions, options)
    if model.family == "paper":
        return PublishedMethod(model, options, sampler)
    return LockedMethod(model, options, sampler, perceptual)
