"""A picture on its way through a verb, and the stand-in for a key in methods without
keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from egan.errors import EganError, Note
from egan.pictures import files
from egan.pictures.boxes import Box
from egan.pictures.files import Picture
from egan.pictures.sizes import fits

if TYPE_CHECKING:
    from egan.core.options import BaselineOptions
    from egan.crypto.envelope import Sender
    from egan.crypto.signatures import Signature
    from egan.verbs.weights import Weights

if TYPE_CHECKING:
    from egan.verbs.capsules import Found, Laid

RESIZED = "it was cropped or resized; ask for the original file"


@dataclass
class Job:
    """One picture on its way: where it came from, its pixels, and what is needed to
    finish it.

    pixels: uint8 (H, W, 3). size: width and height that are shown, where pixels were
    added for the networks' sake, right and below. seed: of the keystream, 32 bytes;
    empty without a lock. note: what travels exactly beside the picture. sender: who
    signed a letter. laid: the capsule that was put into a disguise; found: the one that
    was read instead of it. secret: the verifier's copy of a secret image. authentic:
    what is decoded is proven to be as it was sealed for this key.
    """

    source: str
    pixels: Picture
    weights: Weights | None = None
    boxes: tuple[Box, ...] = ()
    seed: bytes = b""
    size: tuple[int, int] | None = None
    note: bytes = b""
    sender: Sender | None = None
    laid: Laid | None = None
    found: Found | None = None
    signature: Signature | None = None
    secret: Picture | None = None
    authentic: bool = True
    notes: list[Note] = field(default_factory=list)

    @property
    def name(self) -> str:
        return files.shown(self.source)

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height of the picture that a person sees."""
        return self.size or (self.pixels.shape[1], self.pixels.shape[0])

    def warn(self, text: str, urgent: bool = False) -> None:
        self.notes.append(Note(text, warning=True, urgent=urgent))


class Look(NamedTuple):
    """The stand-in for a key image in a method without keys: a picture, or None.

    image: uint8 (H, W, 3) of the domain of disguises (to encrypt) or of covers (to
    decrypt).
    """

    image: Picture | None
    options: BaselineOptions

    @classmethod
    def of(cls, loaded: files.Loaded | None, options: BaselineOptions) -> Look:
        if loaded is None:
            return cls(None, options)
        from egan.pictures import compose

        side = options.image_size
        return cls(compose.fit_cover(loaded, (side, side)), options)


def fitting(loaded: files.Loaded, rule: str, hint: str) -> Picture:
    """The pixels of a picture, uint8 (H, W, 3).

    Raises EganError, with the rule that is broken, where the networks do not take its
    size.
    """
    pixels = files.flatten(loaded)
    height, width = pixels.shape[:2]
    if not fits(height, width):
        raise EganError(f"{loaded.name} is {width}x{height} pixels: {rule}", hint)
    return pixels
