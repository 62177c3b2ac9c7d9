"""The options of the methods that the paper compares with, one class each."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from egan.core.options import BaselineOptions


@dataclasses.dataclass(frozen=True)
class CycleGANOptions(BaselineOptions):
    TITLE: ClassVar[str] = "CycleGAN (Zhu et al. 2017)"
    LIMITS: ClassVar[dict[str, int]] = {"width": 512, "blocks": 64}

    family: str = "cyclegan"
    # Residual blocks.
    blocks: int = 9


@dataclasses.dataclass(frozen=True)
class MUNITOptions(BaselineOptions):
    TITLE: ClassVar[str] = "MUNIT (Huang et al. 2018)"
    LIMITS: ClassVar[dict[str, int]] = {
        "width": 512,
        "blocks": 64,
        "style": 512,
        "mlp": 4096,
    }
    uses_disguise: ClassVar[bool] = True
    uses_cover: ClassVar[bool] = True

    family: str = "munit"
    # Residual blocks of the content encoder, and as many of the decoder.
    blocks: int = 4
    # Length of a style vector.
    style: int = 8
    # Width of the network that turns a style into the parameters of AdaIN.
    mlp: int = 256


@dataclasses.dataclass(frozen=True)
class DRITOptions(BaselineOptions):
    TITLE: ClassVar[str] = "DRIT (Lee et al. 2018)"
    LIMITS: ClassVar[dict[str, int]] = {"width": 512, "blocks": 64, "attribute": 512}
    uses_disguise: ClassVar[bool] = True
    uses_cover: ClassVar[bool] = True

    family: str = "drit"
    # Residual blocks of each domain. Encoders and generators share one more each.
    blocks: int = 3
    # Length of an attribute vector.
    attribute: int = 8


@dataclasses.dataclass(frozen=True)
class BalujaOptions(BaselineOptions):
    TITLE: ClassVar[str] = "Deep steganography (Baluja 2017)"
    LIMITS: ClassVar[dict[str, int]] = {"width": 512, "depth": 64}
    uses_disguise: ClassVar[bool] = True

    family: str = "baluja"
    # Channels of each branch.
    width: int = 50
    # Number of convolutions; all but the last stand in three separate branches.
    depth: int = 5


BASELINE_OPTIONS: dict[str, type[BaselineOptions]] = {
    "cyclegan": CycleGANOptions,
    "munit": MUNITOptions,
    "drit": DRITOptions,
    "baluja": BalujaOptions,
}
