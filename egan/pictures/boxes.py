"""The note of boxes: where a composite's messages are.

It travels in one PNG text chunk from `compose` to `encrypt`, which seals the boxes in
the envelope and drops the chunk. The note is bound to its pixels by a digest, so it
survives every lossless copy, and a picture that was turned, cropped or painted on loses
it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egan.errors import EganError, Note
from egan.pictures.files import Loaded

CHUNK = "egan:boxes"
# x, y, width, height in pixels from the top left.
Box = tuple[int, int, int, int]
MOST_BOXES = 16
# Bytes of a note with the most boxes, and some room for other writers of JSON.
MOST_TEXT = 4096


def digest_of(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of a picture, uint8 (H, W, 3), and its size, in hexadecimal."""
    height, width = pixels.shape[:2]
    head = b"egan boxes" + struct.pack(">II", width, height)
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def boxes_text(boxes: tuple[Box, ...], pixels: NDArray[np.uint8]) -> dict[str, str]:
    """The note of boxes in a composite, uint8 (H, W, 3), as a PNG text chunk."""
    return {CHUNK: json.dumps({"boxes": boxes, "sha256": digest_of(pixels)})}


def noted_boxes(picture: Loaded) -> tuple[Box, ...]:
    """The boxes that `compose` noted in this picture; empty where there are none.

    A note of other pixels is dropped, and a warning is added to the picture's notes.
    Raises EganError for a note that was damaged.
    """
    text = picture.text.get(CHUNK)
    if text is None:
        return ()
    boxes, digest = parsed(text, picture.name)
    if digest != digest_of(picture.pixels):
        del picture.text[CHUNK]
        words = (
            f"{picture.name} was changed after its message was pasted, so the note of "
            "where that is does not belong to it and is left out; with "
            "`egan compose` on the changed cover the receiver can cut the message out"
        )
        picture.notes.append(Note(words, warning=True))
        return ()
    height, width = picture.pixels.shape[:2]
    if any(x + w > width or y + h > height for x, y, w, h in boxes):
        raise damaged(picture.name)
    return boxes


def parsed(text: str, name: str) -> tuple[tuple[Box, ...], str]:
    """Boxes and digest of a note. Raises EganError for what no `compose` wrote."""
    try:
        note: Any = json.loads(text) if len(text) <= MOST_TEXT else None
        if isinstance(note, list):
            # Notes of the first version have no digest.
            note = {"boxes": note, "sha256": ""}
        boxes = tuple(tuple(box) for box in note["boxes"])
        digest = note["sha256"]
        whole = isinstance(digest, str) and all(
            [type(v) for v in box] == [int] * 4
            and min(box[:2]) >= 0
            and min(box[2:]) >= 1
            for box in boxes
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged(name) from error
    if not whole:
        raise damaged(name)
    if len(boxes) > MOST_BOXES:
        raise EganError(
            f"{name} holds {len(boxes)} messages", f"the most is {MOST_BOXES}"
        )
    return boxes, digest  # type: ignore[return-value]


def damaged(name: str) -> EganError:
    return EganError(f"the message boxes noted in {name} are damaged")
