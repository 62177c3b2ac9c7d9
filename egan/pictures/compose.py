"""Pasting messages on covers."""

from __future__ import annotations

import random
import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from egan.errors import EganError, Note
from egan.pictures.boxes import MOST_BOXES, Box, boxes_text, noted_boxes
from egan.pictures.files import Loaded, flatten
from egan.pictures.sizes import SMALLEST, Size, fits, parse_pair, parse_size


class Place(NamedTuple):
    """Where a message goes.

    x, y: margins in pixels, from the left and top, or from the right and bottom.
    """

    x: int
    y: int
    from_right: bool = False
    from_bottom: bool = False


def parse_place(text: str) -> Place:
    """`X,Y`, of which a minus sign means a margin from the right or bottom.

    So `-0,-0` is the bottom right corner. Raises EganError with status 2.
    """
    x, y = parse_pair(text, "--at", ",")
    signs = [part.strip().startswith("-") for part in text.split(",")]
    return Place(abs(x), abs(y), *signs)


def fit_cover(
    cover: Loaded,
    size: Size | None,
    option: str = "--cover-size",
    any_size: bool = False,
) -> NDArray[np.uint8]:
    """The cover cut around its centre to the proportions of `size`, and resized
    (Lanczos).

    size: None keeps the cover as it is. Less than 16 pixels a side are only cut off.
    option: the one to change, in a message. Raises EganError for sides below 64, and
    without any_size for those that are not multiples of 16.
    """
    pixels = flatten(cover)
    width, height = size or (pixels.shape[1], pixels.shape[0])
    if any_size and min(width, height) < SMALLEST:
        raise EganError(
            f"a composite of {width}x{height} pixels is too small: "
            f"sides must be {SMALLEST} or more",
            f"try {option} {SMALLEST}",
            2,
        )
    if not any_size and not fits(width, height):
        near = [max(64, 16 * round(side / 16)) for side in (width, height)]
        text = str(near[0]) if width == height else f"{near[0]}x{near[1]}"
        raise EganError(
            f"{width}x{height} pixels do not fit the networks: "
            "sides must be multiples of 16 from 64 up",
            f"try {option} {text}",
            2,
        )
    left, top = (pixels.shape[1] - width) // 2, (pixels.shape[0] - height) // 2
    if 0 <= min(left, top) and max(left, top) < 8:
        # Few enough to be cut off without resizing.
        return pixels[top : top + height, left : left + width]
    fitted = ImageOps.fit(
        Image.fromarray(pixels), (width, height), Image.Resampling.LANCZOS
    )
    return np.asarray(fitted)


def fit_message(message: Loaded, size: str | None) -> Image.Image:
    """The message as RGBA, resized to WIDTHxHEIGHT.

    Where `size` is one number, that is the longer side.
    """
    picture = Image.fromarray(message.pixels).convert("RGBA")
    if message.alpha is not None:
        picture.putalpha(Image.fromarray(message.alpha))
    if size is None:
        return picture
    width, height = parse_size(size, "--size")
    if re.fullmatch(r"\s*\d+\s*", size):
        scale = width / max(picture.size)
        width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def cut_note(cover: Loaded, canvas: NDArray[np.uint8]) -> list[Note]:
    """What to tell of a cover that lost more than a sixteenth of a side by cutting."""
    (height, width), (h, w) = cover.pixels.shape[:2], canvas.shape[:2]
    scale = min(width / w, height / h)
    if scale * w >= width * 15 / 16 and scale * h >= height * 15 / 16:
        return []
    kept = f"{round(scale * w)}x{round(scale * h)}"
    return [
        Note(
            f"{cover.name} is cut around its centre from {width}x{height} to {kept}; "
            "--cover-size fit keeps nearly all of it"
        )
    ]


def shrunk_note(message: Loaded, pasted: Image.Image) -> list[Note]:
    """What to tell of a message that is much smaller or of another shape now."""
    height, width = message.pixels.shape[:2]
    w, h = pasted.size
    change = max(width / w, height / h)
    cure = "a larger cover, as with --cover-size 512, has room for a larger --size"
    if change > 2:
        return [
            Note(
                f"{message.name} is made {change:.1f} times smaller, "
                f"from {width}x{height} to {w}x{h}, so small print may be lost; {cure}"
            )
        ]
    if abs(width * h - height * w) > max(width, height, w, h):
        return [
            Note(
                f"{message.name} becomes another shape, {width}x{height} to {w}x{h}; "
                f"--size {max(w, h)} keeps its shape, and {cure}"
            )
        ]
    return []


def random_place(cover: Size, message: Size, seed: int | None) -> Place:
    """A uniform place where the message fits.

    seed: None takes the operating system's randomness.
    """
    source: random.Random = (
        random.SystemRandom() if seed is None else random.Random(seed)
    )
    x, y = (
        source.randint(0, max(0, c - m)) for c, m in zip(cover, message, strict=True)
    )
    return Place(x, y)


def paste(
    cover: NDArray[np.uint8], message: Image.Image, at: Place
) -> tuple[NDArray[np.uint8], Box]:
    """The composite, uint8 (H, W, 3), and the message's box.

    Raises EganError where it does not fit inside.
    """
    height, width = cover.shape[:2]
    w, h = message.size
    if w > width or h > height:
        raise EganError(
            f"the message ({w}x{h}) is larger than the cover ({width}x{height})",
            f"make it smaller with --size {min(width, height) // 2}",
            2,
        )
    x = width - w - at.x if at.from_right else at.x
    y = height - h - at.y if at.from_bottom else at.y
    if x < 0 or y < 0 or x + w > width or y + h > height:
        raise EganError(
            f"a {w}x{h} message with its corner at {x},{y} does not fit inside "
            f"the {width}x{height} cover",
            f"x can be 0 to {width - w}, y 0 to {height - h}",
            2,
        )
    canvas = Image.fromarray(cover).convert("RGBA")
    canvas.alpha_composite(message, (x, y))
    return np.asarray(canvas.convert("RGB")), (x, y, w, h)


class Recipe(NamedTuple):
    """How `egan compose` pastes: the options of the command line.

    place: the middle where there is none. size: of the message, as `fit_message` takes
    it. cover_size: 256 where it is None; "keep" leaves the cover as it is, "fit" cuts
    it to the nearest size that the networks take.
    """

    place: Place | None = None
    size: str | None = None
    random: bool = False
    seed: int | None = None
    cover_size: str | None = None

    def apply(
        self, cover: Loaded, message: Loaded
    ) -> tuple[NDArray[np.uint8], dict[str, str], list[Note]]:
        """The composite uint8 (H, W, 3), the note of its boxes, and what to tell of the
        pasting.

        The cover's earlier boxes come first. Raises EganError.
        """
        wanted = self.wanted(cover)
        boxes = noted_boxes(cover)
        if boxes:
            # To cut what is composed already would move the boxes.
            if self.cover_size not in (None, "keep"):
                raise EganError(
                    f"{cover.name} is composed already",
                    "give --cover-size where it is composed first",
                    2,
                )
            wanted = None
        if len(boxes) + 1 > MOST_BOXES:
            raise EganError(
                f"{cover.name} holds {len(boxes)} messages already", "that is the most"
            )
        canvas = fit_cover(cover, wanted, any_size=True)
        pasted = fit_message(message, self.size)
        notes = [
            *cover.notes,
            *message.notes,
            *cut_note(cover, canvas),
            *shrunk_note(message, pasted),
        ]
        result, box = paste(
            canvas,
            pasted,
            self.place_for((canvas.shape[1], canvas.shape[0]), pasted.size),
        )
        return result, boxes_text((*boxes, box), result), notes

    def wanted(self, cover: Loaded) -> Size | None:
        """The size that the cover is brought to; None leaves it as it is."""
        if self.cover_size == "keep":
            return None
        if self.cover_size == "fit":
            height, width = cover.pixels.shape[:2]
            return (max(64, width // 16 * 16), max(64, height // 16 * 16))
        return parse_size(self.cover_size or "256", "--cover-size")

    def place_for(self, cover: Size, message: Size) -> Place:
        if self.place is not None:
            return self.place
        if self.random:
            return random_place(cover, message, self.seed)
        x, y = (max(0, (c - m) // 2) for c, m in zip(cover, message, strict=True))
        return Place(x, y)
