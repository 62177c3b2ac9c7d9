"""The interface of every trained model, on any runtime: EncryptGAN and the methods it
is compared with.

Pictures are uint8 (N, H, W, 3). A paint is the picture that a generator paints before
it is rounded: float32 of the same shape, in levels 0 to 255. Sides are "F" (X to Y) and
"G" (Y to X). Nothing here imports torch.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from egan.core.weights import ID_BYTES, Described
from egan.errors import EganError
from egan.pictures.sizes import fits

Pictures = NDArray[np.uint8]
Floats = NDArray[np.float32]
Side = Literal["F", "G"]
# Told after every part of the work how many parts are done, of how many.
Progress = Callable[[int, int], None]

# Pictures in one pass on a CPU. This many fill the cores, with flat memory.
BATCH = 8


class Model(abc.ABC):
    """The networks of one weights file. locked: they carry the phase lock. keyed: their
    users hold key images.
    """

    keyed: bool = True
    options: Any
    # Of the weights file that it was loaded from
    id: bytes = bytes(ID_BYTES)
    # Of the K in it, see `key_network_id`
    key_network: bytes = bytes(ID_BYTES)
    training_summary: dict[str, Any]

    def describe(self, found: Described) -> None:
        """Take over the description in a weights file."""
        self.id, self.key_network = found.id, found.key_network
        self.training_summary = found.training

    @property
    def locked(self) -> bool:
        return False

    @property
    def batch(self) -> int:
        """Pictures a pass. The same on every CPU, so that results are the same too."""
        return BATCH

    def keystream_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape (P, H/4, W/4) of the keystream of one picture: P is 0 without a lock."""
        return 0, height // 4, width // 4

    @abc.abstractmethod
    def key_images(self, pictures: Pictures, layers: Sequence[int]) -> Pictures:
        """Key images of uint8 pictures (N, H, W, 3): uint8 of the same shape."""

    @abc.abstractmethod
    def paint(
        self,
        side: Side,
        pictures: Pictures,
        keys: Any,
        keystreams: Pictures | None,
        progress: Progress | None = None,
    ) -> Floats:
        """The paint of a generator that hides pictures: float32 (N, H, W, 3) in levels
        0 to 255, before rounding.

        keys: key images (N, h, w, 3) of any size, resized to the pictures. keystreams:
        uint8 (N, P, H/4, W/4) of the phase lock, None without one. Raises EganError for
        a size that the networks do not take.
        """

    def levels(
        self, side: Side, paint: Floats, even: NDArray[np.bool_] | None = None
    ) -> Pictures:
        """A paint (N, H, W, 3) on whole levels. even: bool (H, W, 3), samples that come
        out even (`round_against`).
        """
        if even is not None:
            raise ValueError("a method without a lock has no header to make room for")
        return whole_levels(paint)

    def encrypt(
        self,
        composites: Pictures,
        keys: Any,
        keystreams: Pictures | None = None,
        even: NDArray[np.bool_] | None = None,
        progress: Progress | None = None,
    ) -> Pictures:
        """Disguises e = F(composite, K(y)) of uint8 composites (N, H, W, 3); arguments
        as in `paint` and `levels`.
        """
        painted = self.paint("F", composites, keys, keystreams, progress)
        return self.levels("F", painted, even)

    @abc.abstractmethod
    def decrypt(
        self,
        disguises: Pictures,
        keys: Any,
        keystreams: Pictures | None = None,
        progress: Progress | None = None,
    ) -> Pictures:
        """Recovered composites r = G(e, K(x)) of uint8 disguises (N, H, W, 3);
        arguments as in `paint`.
        """


def whole_levels(paint: Floats) -> Pictures:
    """Levels as floats to uint8 of the same shape: rounded and cut off at 0 and 255."""
    return np.clip(np.rint(paint), 0, 255).astype(np.uint8)


def check_sides(pictures: Pictures) -> tuple[int, int]:
    """Height and width of pictures (N, H, W, 3). Raises EganError where they do not fit
    the networks.
    """
    height, width = pictures.shape[1:3]
    if not fits(height, width):
        raise EganError(
            f"a picture of {width}x{height} pixels does not fit the networks",
            "both sides must be multiples of 16 from 64 up; `egan compose --cover-size 256` makes them so",
        )
    return height, width
