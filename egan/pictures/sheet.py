"""Captioned pictures in rows: figures, and the contact sheet of `egan demo`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from egan.terminal import printable

TILE, GAP, LABEL, TITLE = 192, 8, 20, 34
INK, PAPER = (30, 30, 34), (255, 255, 255)

Picture = NDArray[np.uint8]
# Words, and a picture (H, W, 3) or (H, W).
Cell = tuple[str, Picture]


def sheet(title: str, rows: Sequence[Sequence[Cell]], tile: int = TILE) -> Picture:
    """Rows of (words, picture) as one picture, uint8 (H, W, 3).

    Pictures are fitted into squares of `tile` pixels. An empty title takes no room.
    """
    columns = max(len(row) for row in rows)
    top = TITLE if title else GAP
    width = GAP + columns * (tile + GAP)
    width = max(width, int(font(18).getlength(printable(title))) + 2 * GAP)
    height = top + len(rows) * (LABEL + tile + GAP)
    out = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(out)
    draw.text((GAP, TITLE // 2), printable(title), INK, font(18), anchor="lm")
    for r, row in enumerate(rows):
        for c, (words, picture) in enumerate(row):
            x, y = GAP + c * (tile + GAP), top + r * (LABEL + tile + GAP)
            caption = shortened(printable(words), tile)
            draw.text((x, y + LABEL // 2), caption, INK, font(13), anchor="lm")
            image = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
            out.paste(fitted(image, tile), (x, y + LABEL))
    return np.asarray(out)


def contact_sheet(tiles: Sequence[Cell], columns: int = 6) -> Picture:
    """Captioned pictures, so many in a row, uint8 (H, W, 3)."""
    rows = [tiles[i : i + columns] for i in range(0, len(tiles), columns)]
    return sheet("", rows, 256)


def fitted(image: Image.Image, tile: int) -> Image.Image:
    """A picture whose longer side is `tile`; much enlarged, its pixels stay squares."""
    scale = tile / max(image.size)
    sampling = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), sampling)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def shortened(words: str, width: int) -> str:
    """Words that fit into `width` pixels, cut at the end where they do not."""
    if font(13).getlength(words) <= width:
        return words
    while words and font(13).getlength(words + "…") > width:
        words = words[:-1].rstrip()
    return words + "…"
