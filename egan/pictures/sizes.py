"""Sizes of pictures, in pixels: how they are written, and which of them the networks
take.
"""

from __future__ import annotations

import re

from egan.errors import EganError

# Width and height.
Size = tuple[int, int]
MOST_PIXELS = 50_000_000


def limit_hint() -> str:
    return f"the most is {MOST_PIXELS // 1_000_000} megapixels; make it smaller first"


# The smallest side of a picture, in pixels.
SMALLEST = 64


def fits(*sides: int) -> bool:
    """Whether the networks take these sides: multiples of 16 from 64 up."""
    return all(side >= SMALLEST and side % 16 == 0 for side in sides)


def parse_pair(text: str, what: str, separators: str = ",x") -> tuple[int, int]:
    """`40,80` or `40x80` as two integers. Raises EganError with status 2."""
    match = re.fullmatch(
        rf"\s*([+-]?\d{{1,6}})\s*[{separators}]\s*([+-]?\d{{1,6}})\s*", text
    )
    if not match:
        raise EganError(
            f"{what} {text!r} is not two whole numbers like 40,80", status=2
        )
    return int(match[1]), int(match[2])


def parse_size(text: str, what: str) -> Size:
    """`128` (a square) or `128x96` as width and height, positive and not huge.

    Raises EganError with status 2.
    """
    try:
        size = parse_pair(
            f"{text}x{text}" if re.fullmatch(r"\s*\d{1,6}\s*", text) else text, what
        )
    except EganError as error:
        raise EganError(
            f"{what} {text!r} is no size in pixels",
            f"write {what} 96 or {what} 128x96, width before height",
            2,
        ) from error
    if min(size) < 1:
        raise EganError(f"{what} {text!r} is not positive", status=2)
    if size[0] * size[1] > MOST_PIXELS:
        raise EganError(f"{what} {text} is too large", limit_hint(), 2)
    return size
