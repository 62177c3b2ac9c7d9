"""The one description of a model: training option, weights metadata and what `egan inspect` prints.

Everything here is plain data. A weights file carries it as JSON, so a network can be rebuilt from the file alone.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar, Self

from egan.errors import EganError
from egan.pictures.sizes import fits

FAMILIES = ("egan", "paper")
LARGEST_SEED = 2**31 - 1
LARGEST_SIDE = 4096  # pixels; keys and pictures are refused above 50 megapixels anyway


class Described:
    """A frozen dataclass that goes into metadata as JSON and comes back."""

    ONE: ClassVar[str] = "model option"  # how one of its fields is called

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from metadata. Raises EganError for fields that this version does not know."""
        known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(data) - set(known))
        if unknown:
            raise EganError(f"unknown {cls.ONE}s: {', '.join(unknown)}")
        values: dict[str, Any] = {}
        for name, value in data.items():
            default = known[name].default
            if isinstance(default, tuple) and isinstance(value, list | tuple):
                value = tuple(value)
            if type(value) is not type(default):
                raise EganError(f"{cls.ONE} {name} has the wrong type")
            values[name] = value
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class ModelOptions(Described):
    """What a model is made of. Sizes in pixels, widths in channels."""

    family: str = (
        "egan"  # egan: phase lock in each generator; paper: CycleGAN's ResNet, no lock
    )
    image_size: int = (
        256  # the size that the networks were trained at, and that keys are made at
    )
    public_layers: tuple[int, int, int] = (
        1,
        2,
        3,
    )  # shallow maps carry edges, from which F paints
    private_layers: tuple[int, int, int] = (3, 5, 6)  # the paper's choice
    key_width: int = (
        32  # channels of K's first convolution; doubles per layer up to 4 times this
    )
    key_levels: bool = (
        False  # key images hold absolute brightness and colour; not as published
    )
    phases: int = 13  # phases per 4x4 cell: their 26 carriers are all the fine chroma of an RGB cell, and no luma
    verniers: int = 2  # of them, those that make the first components finer
    exact_measuring: bool = False  # phases are measured by the inverse of the carriers, and not by a network
    width: int = 64  # channels at 1/4 resolution
    encoder_blocks: int = 3  # residual blocks of each encoder
    decoder_blocks: int = 2  # residual blocks per level of each decoder
    resnet_width: int = 64  # family paper: ngf of the ResNet
    resnet_blocks: int = 9  # family paper: residual blocks
    domains: tuple[str, str] = ("faces", "flowers")  # X, Y

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise EganError(
                f"unknown model family {self.family!r}", f"known: {', '.join(FAMILIES)}"
            )
        check_pictures(self.image_size, self.domains)
        for layers in (self.public_layers, self.private_layers):
            if len(layers) != 3 or not all(
                type(i) is int and 1 <= i <= 6 for i in layers
            ):
                raise EganError(
                    f"key layers {layers} are not three numbers from 1 to 6"
                )
        if not 0 <= self.verniers < self.phases / 2:
            raise EganError(
                f"{self.verniers} verniers are not fewer than half of {self.phases} phases"
            )
        limits = {
            "key_width": 512,
            "phases": 20,
            "width": 512,
            "encoder_blocks": 64,
            "decoder_blocks": 64,
            "resnet_width": 512,
            "resnet_blocks": 64,
        }
        for name, most in limits.items():
            if not 1 <= getattr(self, name) <= most:
                raise EganError(
                    f"model option {name} = {getattr(self, name)} is not between 1 and {most}"
                )


def check_pictures(image_size: int, domains: tuple[str, ...]) -> None:
    """Raises EganError for a size that no network takes, and for other than two named domains."""
    if not fits(image_size) or image_size > LARGEST_SIDE:
        raise EganError(
            f"image size {image_size} is not a multiple of 16 from 64 to {LARGEST_SIDE}"
        )
    if len(domains) != 2 or not all(isinstance(name, str) and name for name in domains):
        raise EganError(f"domains {domains} are not two names", "like faces,flowers")


@dataclasses.dataclass(frozen=True)
class BaselineOptions(Described):
    """Shared by all. Sizes in pixels, widths in channels.

    uses_disguise: encrypt needs a picture of the domain of disguises. uses_cover: decrypt takes the look of the cover
    from a picture of the domain of covers, and guesses it where none is given.
    """

    TITLE: ClassVar[str] = ""
    LIMITS: ClassVar[dict[str, int]] = {"width": 512}
    uses_disguise: ClassVar[bool] = False
    uses_cover: ClassVar[bool] = False
    public_layers: ClassVar[tuple[int, ...]] = ()  # no key images, so no layers of K
    private_layers: ClassVar[tuple[int, ...]] = ()

    family: str = ""
    image_size: int = 256  # the size that the networks were trained at
    width: int = 64
    domains: tuple[str, str] = ("faces", "flowers")  # X, Y

    def __post_init__(self) -> None:
        own = {f.name: f.default for f in dataclasses.fields(self)}["family"]
        if self.family != own:
            raise EganError(f"options of {own} cannot be of the family {self.family!r}")
        check_pictures(self.image_size, self.domains)
        for name, most in self.LIMITS.items():
            if not 1 <= getattr(self, name) <= most:
                raise EganError(
                    f"model option {name} = {getattr(self, name)} is not between 1 and {most}"
                )


@dataclasses.dataclass(frozen=True)
class CycleGANOptions(BaselineOptions):
    TITLE: ClassVar[str] = "CycleGAN (Zhu et al. 2017)"
    LIMITS: ClassVar[dict[str, int]] = {"width": 512, "blocks": 64}

    family: str = "cyclegan"
    blocks: int = 9  # residual blocks


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
    blocks: int = 4  # residual blocks of the content encoder and of the decoder
    style: int = 8  # numbers of a style
    mlp: int = 256  # width of the network that turns a style into AdaIN's parameters


@dataclasses.dataclass(frozen=True)
class DRITOptions(BaselineOptions):
    TITLE: ClassVar[str] = "DRIT (Lee et al. 2018)"
    LIMITS: ClassVar[dict[str, int]] = {"width": 512, "blocks": 64, "attribute": 512}
    uses_disguise: ClassVar[bool] = True
    uses_cover: ClassVar[bool] = True

    family: str = "drit"
    blocks: int = 3  # residual blocks of a domain's own; encoders and generators share one more each
    attribute: int = 8  # numbers of an attribute


@dataclasses.dataclass(frozen=True)
class BalujaOptions(BaselineOptions):
    TITLE: ClassVar[str] = "Deep steganography (Baluja 2017)"
    LIMITS: ClassVar[dict[str, int]] = {"width": 512, "depth": 64}
    uses_disguise: ClassVar[bool] = True

    family: str = "baluja"
    width: int = 50  # channels of each branch
    depth: int = 5  # convolutions deep: all but the last in three separate branches


BASELINE_OPTIONS: dict[str, type[BaselineOptions]] = {
    "cyclegan": CycleGANOptions,
    "munit": MUNITOptions,
    "drit": DRITOptions,
    "baluja": BalujaOptions,
}
