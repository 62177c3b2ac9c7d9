"""What each compared method is made of, as plain data without torch: the source of its weights metadata.

The defaults are the published sizes. `width` scales a whole network, so that a small budget can train a smaller copy.
"""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from egan.core.options import Described, check_pictures
from egan.errors import EganError


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


OPTIONS: dict[str, type[BaselineOptions]] = {
    "cyclegan": CycleGANOptions,
    "munit": MUNITOptions,
    "drit": DRITOptions,
    "baluja": BalujaOptions,
}
