"""Messages as squares at random places, as training and bench paste them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from egan.pictures.files import Picture


@dataclass(frozen=True)
class Square:
    """The square of a message: top left corner and side, in pixels."""

    x: int
    y: int
    size: int

    def cut(self, pictures: Picture) -> Picture:
        """The square of pictures (..., H, W, 3)."""
        return pictures[
            ..., self.y : self.y + self.size, self.x : self.x + self.size, :
        ]

    def paste(self, picture: Picture, message: Picture) -> None:
        """Put a message, bicubically resized, into the square of a picture (H, W, 3)."""
        side = (self.size, self.size)
        small = Image.fromarray(message).resize(side, Image.Resampling.BICUBIC)
        self.cut(picture)[:] = np.asarray(small)

    @classmethod
    def anywhere(
        cls, random: np.random.Generator, side: int, whole: int | None = None
    ) -> Square:
        """A square of 1/8 to 1/2 of a picture's side, at a random place.

        whole: the side that sizes are taken of, where `side` is a window's.
        """
        whole = whole or side
        size = min(int(random.integers(whole // 8, whole // 2 + 1)), side)
        x, y = (int(v) for v in random.integers(0, side - size + 1, size=2))
        return cls(x, y, size)
