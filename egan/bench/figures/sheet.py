"""Labelled sheets of pictures, drawn with Pillow: one line of words over every picture, a title over the sheet."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from egan.core.model import Pictures

TILE, GAP, LABEL, TITLE = 192, 8, 20, 34
INK, PAPER = (30, 30, 34), (255, 255, 255)

Cell = tuple[str, Pictures]  # words, picture uint8 (H, W, 3) or (H, W)


def sheet(title: str, rows: Sequence[Sequence[Cell]], tile: int = TILE) -> Pictures:
    """Rows of (words, picture) as one picture, uint8 (H, W, 3). Pictures are fitted into squares of `tile` pixels."""
    columns = max(len(row) for row in rows)
    width = GAP + columns * (tile + GAP)
    height = TITLE + len(rows) * (LABEL + tile + GAP)
    width = max(width, int(font(18).getlength(title)) + 2 * GAP)
    out = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(out)
    draw.text((GAP, TITLE // 2), title, INK, font(18), anchor="lm")
    for r, row in enumerate(rows):
        for c, (words, picture) in enumerate(row):
            x, y = GAP + c * (tile + GAP), TITLE + r * (LABEL + tile + GAP)
            draw.text(
                (x, y + LABEL // 2), shortened(words, tile), INK, font(13), anchor="lm"
            )
            im = Image.fromarray(np.ascontiguousarray(picture)).convert("RGB")
            scale = tile / max(im.size)
            sampling = (
                Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
            )
            width, height = (max(1, round(s * scale)) for s in im.size)
            out.paste(im.resize((width, height), sampling), (x, y + LABEL))
    return np.asarray(out)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def shortened(words: str, width: int) -> str:
    """Words that fit into `width` pixels, cut at the end where they do not."""
    if font(13).getlength(words) <= width:
        return words
    while words and font(13).getlength(words + "…") > width:
        words = words[:-1].rstrip()
    return words + "…"
