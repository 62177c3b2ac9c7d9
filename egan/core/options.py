"""The one description of a model: training option, metadata in the weights file, and
output of `egan inspect`.

Everything here is plain data. A weights file carries it as JSON, so a network can be
rebuilt from the file alone.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar, Self

from egan.errors import EganError
from egan.pictures.sizes import fits

FAMILIES = ("egan", "paper")
LARGEST_SEED = 2**31 - 1
# In pixels. Keys and pictures above 50 megapixels are refused anyway.
LARGEST_SIDE = 4096


class Described:
    """A frozen dataclass that goes into metadata as JSON and comes back."""

    # Word for one field, in error messages.
    ONE: ClassVar[str] = "model option"

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)  # type: ignore[call-overload]

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Rebuild from metadata. Raises EganError for fields that this version does not
        know.
        """
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
    """The options of EncryptGAN's networks. Sizes are in pixels, widths in channels."""

    # egan has a phase lock in each generator; paper has CycleGAN's ResNet and no lock.
    family: str = "egan"
    # The networks were trained at this size, and keys are made at it.
    image_size: int = 256
    # Shallow maps carry edges, from which F paints.
    public_layers: tuple[int, int, int] = (1, 2, 3)
    # The paper's choice.
    private_layers: tuple[int, int, int] = (3, 5, 6)
    # Channels of K's first convolution. Each layer doubles them, up to four times this.
    key_width: int = 32
    # Key images keep absolute brightness and colour, unlike the published ones.
    key_levels: bool = False
    # Phases of a 4x4 cell. Their 26 carriers are all the fine chroma of a cell, and no
    # luma.
    phases: int = 13
    # So many of the phases are verniers, which make the first components finer.
    verniers: int = 2
    # Phases are measured by the inverse of the carriers instead of a network.
    exact_measuring: bool = False
    # Channels at a quarter of the resolution.
    width: int = 64
    # Residual blocks of each encoder.
    encoder_blocks: int = 3
    # Residual blocks at each level of a decoder.
    decoder_blocks: int = 2
    # Family paper: channels of the first convolution (ngf of CycleGAN's code).
    resnet_width: int = 64
    # Family paper: residual blocks.
    resnet_blocks: int = 9
    # Names of the domains X and Y.
    domains: tuple[str, str] = ("faces", "flowers")

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
    """Raises EganError for a size that no network takes, and for other than two named
    domains.
    """
    if not fits(image_size) or image_size > LARGEST_SIDE:
        raise EganError(
            f"image size {image_size} is not a multiple of 16 from 64 to {LARGEST_SIDE}"
        )
    if len(domains) != 2 or not all(isinstance(name, str) and name for name in domains):
        raise EganError(f"domains {domains} are not two names", "like faces,flowers")


@dataclasses.dataclass(frozen=True)
class BaselineOptions(Described):
    """The options that all compared methods share. Sizes are in pixels, widths in
    channels.

    uses_disguise: encrypt needs a picture of the domain of disguises.

    uses_cover: decrypt takes the look of the cover from a picture of the domain of
    covers, and guesses it where none is given.
    """

    TITLE: ClassVar[str] = ""
    LIMITS: ClassVar[dict[str, int]] = {"width": 512}
    uses_disguise: ClassVar[bool] = False
    uses_cover: ClassVar[bool] = False
    # These methods have no key images, so they use no layers of K.
    public_layers: ClassVar[tuple[int, ...]] = ()
    private_layers: ClassVar[tuple[int, ...]] = ()

    family: str = ""
    # The networks were trained at this size.
    image_size: int = 256
    width: int = 64
    # Names of the domains X and Y.
    domains: tuple[str, str] = ("faces", "flowers")

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
