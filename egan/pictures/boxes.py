"""The note of boxes: where a composite's messages are.

Boxes are (x, y, width, height) in pixels from the top left. They travel in one PNG text chunk
from `compose` to `encrypt`, which seals them in the envelope and drops the chunk.
"""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from egan.errors import EganError
from egan.pictures.files import Loaded

CHUNK = "egan:boxes"
Box = tuple[int, int, int, int]  # x, y, width, height in pixels from the top left
MOST_BOXES = 16


def boxes_text(boxes: tuple[Box, ...], pixels: NDArray[np.uint8]) -> dict[str, str]:
    """The note of boxes in a composite, uint8 (H, W, 3), as a PNG text chunk."""
    return {CHUNK: json.dumps(boxes)}


def noted_boxes(picture: Loaded) -> tuple[Box, ...]:
    """The boxes that `compose` noted in a PNG; empty where there are none. Raises EganError for damaged notes."""
    text = picture.text.get(CHUNK)
    if text is None:
        return ()
    height, width = picture.pixels.shape[:2]
    boxes: list[Box] = []
    try:
        for x, y, w, h in json.loads(text):
            if (
                not all(type(v) is int for v in (x, y, w, h))
                or min(x, y) < 0
                or min(w, h) < 1
            ):
                raise ValueError("not a box")
            if x + w > width or y + h > height:
                raise EganError(
                    f"{picture.name} notes a message box outside of the picture",
                    "it was cropped or resized after `egan compose`; compose it again",
                )
            boxes.append((x, y, w, h))
    except (ValueError, TypeError, RecursionError) as error:
        raise EganError(
            f"the message boxes noted in {picture.name} are damaged"
        ) from error
    if len(boxes) > MOST_BOXES:
        raise EganError(
            f"{picture.name} holds {len(boxes)} messages", f"the most is {MOST_BOXES}"
        )
    return tuple(boxes)
