"""Captioned pictures in rows, to look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Picture = NDArray[np.uint8]
TILE, MARGIN, CAPTION = 256, 16, 26


def contact_sheet(
    tiles: Sequence[tuple[str, Picture]], columns: int = 6
) -> NDArray[np.uint8]:
    """Captioned pictures in rows on white, uint8 (H, W, 3).

    Each picture, uint8 (h, w, 3), is fitted into a square of 256 pixels.
    """
    rows = -(-len(tiles) // columns)
    width = columns * (TILE + MARGIN) + MARGIN
    height = rows * (TILE + CAPTION + MARGIN) + MARGIN
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(15)
    for index, (words, pixels) in enumerate(tiles):
        x = MARGIN + index % columns * (TILE + MARGIN)
        y = MARGIN + index // columns * (TILE + CAPTION + MARGIN)
        picture = Image.fromarray(pixels)
        if max(picture.size) > TILE:
            picture.thumbnail((TILE, TILE), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x, y + CAPTION))
        draw.text((x, y + 2), words, "black", font)
    return np.asarray(sheet)
