"""The methods that the paper compares with, each written from its own paper: one file a method, one idea a class.

Everything imported here is plain data; the networks, which need torch, are imported when a family is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from egan.core.options import BASELINE_OPTIONS, BaselineOptions

if TYPE_CHECKING:
    from egan.baselines.base import BaselineMethod, BaselineTraining

__all__ = ["BASELINE_OPTIONS", "BaselineOptions", "method_classes"]

CLASSES = {"cyclegan": "CycleGAN", "munit": "MUNIT", "drit": "DRIT", "baluja": "Baluja"}


def method_classes(family: str) -> tuple[type[BaselineMethod], type[BaselineTraining]]:
    """How a family of BASELINE_OPTIONS is trained: the method and its recipe."""
    module = importlib.import_module(f"egan.baselines.{family}")
    return getattr(module, CLASSES[family] + "Method"), getattr(
        module, CLASSES[family] + "Training"
    )
