"""Large pictures in tiles, each with a border as wide as the networks see. Tiles give
the same picture as the whole.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

# The most parts that a side is cut into
MOST = 64


class Span(NamedTuple):
    """A part of a side, in pixels: its own from start to stop, with the border from low
    to high.
    """

    start: int
    stop: int
    low: int
    high: int

    def own(self, scale: int = 1) -> slice:
        """Where it lies in the whole, in cells of `scale` pixels."""
        return slice(self.start // scale, self.stop // scale)

    def outer(self, scale: int = 1) -> slice:
        """Where it lies with its border in the whole."""
        return slice(self.low // scale, self.high // scale)

    def inner(self, scale: int = 1) -> slice:
        """Where its own part lies in what is made of it with its border."""
        return slice((self.start - self.low) // scale, (self.stop - self.low) // scale)


Tile = tuple[Span, Span]


def tiles(height: int, width: int, most: int, border: int, align: int) -> list[Tile]:
    """Tiles (rows, columns) of a picture, of at most `most` pixels each with its
    border, or as near to it as can be.

    All in pixels; border is a multiple of align, at whose multiples tiles begin. Of all
    ways to cut, the one with the fewest pixels in all tiles together. A picture that is
    small enough is one tile without a border.
    """
    if height * width <= most:
        return [(Span(0, height, 0, height), Span(0, width, 0, width))]

    def cost(cut: tuple[list[Span], list[Span]]) -> tuple[int, int]:
        (row_sum, row_most), (column_sum, column_most) = map(lengths, cut)
        largest = row_most * column_most
        return (largest if largest > most else 0), row_sum * column_sum

    rows, columns = (
        [spans(side, parts, border, align) for parts in range(1, MOST + 1)]
        for side in (height, width)
    )
    down, across = min(product(rows, columns), key=cost)
    return list(product(down, across))


def lengths(parts: list[Span]) -> tuple[int, int]:
    """The sum of the lengths with borders, and the longest."""
    found = [part.high - part.low for part in parts]
    return sum(found), max(found)


def spans(side: int, parts: int, border: int, align: int) -> list[Span]:
    """A side cut into at most `parts` parts of about one length."""
    step = -(-side // (parts * align)) * align
    return [
        Span(
            start,
            min(start + step, side),
            max(start - border, 0),
            min(start + step + border, side),
        )
        for start in range(0, side, step)
    ]
