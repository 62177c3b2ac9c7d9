"""Recipes: how each family of models is trained, one file a family."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from egan.core.options import BaselineOptions, ModelOptions
from egan.train.options import RunOptions

if TYPE_CHECKING:
    from torch import nn

    from egan.train.recipes.base import Method
    from egan.train.sampler import Sampler

# Family to class, by name: torch is imported when a recipe is asked for.
RECIPES = {
    "egan": "egan.train.recipes.egan:EganMethod",
    "paper": "egan.train.recipes.paper:PaperMethod",
    "cyclegan": "egan.train.recipes.cyclegan:CycleGANMethod",
    "munit": "egan.train.recipes.munit:MUNITMethod",
    "drit": "egan.train.recipes.drit:DRITMethod",
    "baluja": "egan.train.recipes.baluja:BalujaMethod",
}


def recipe(family: str) -> type[Method]:
    """The class that trains a family."""
    module, _, name = RECIPES[family].partition(":")
    found: type[Method] = getattr(importlib.import_module(module), name)
    return found


def make_method(
    model: ModelOptions | BaselineOptions,
    options: RunOptions,
    sampler: Sampler,
    perceptual: nn.Module | None = None,
) -> Method:
    """A model with all that trains it. perceptual: an LPIPS module, which only the
    family `egan` uses.
    """
    extra: dict[str, Any] = {"perceptual": perceptual} if model.family == "egan" else {}
    # Every recipe takes the options of its own family, which no type can say here.
    return recipe(model.family)(model, options, sampler, **extra)  # type: ignore[arg-type, call-arg]
