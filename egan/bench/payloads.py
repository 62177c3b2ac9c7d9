"""Practical payloads: QR codes and lines of small text as messages, by size; how many
bits are wrong and how many are read.

QR codes are made by segno and read by ZXing (`pip install '.[payloads]'`). Text is read
by the nearest glyph of the same font at the known place, which is kinder than a general
reader. Both are read before hiding, too: a message that cannot be read there is not the
channel's fault.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from egan.bench.attacks.scene import Random, Scene
from egan.bench.intervals import rate_interval
from egan.core.model import Pictures
from egan.errors import EganError
from egan.pictures.squares import Square
from egan.terminal import progress

# Lengths of the text in a QR code, in characters.
LENGTHS = (20, 60, 150)
# Sides of the message, in pixels.
SIDES = (32, 48, 64, 96, 128)
# Sizes of the font, in pixels.
GLYPHS = (8, 10, 12, 16, 24)
LETTERS = string.ascii_uppercase + string.digits
# Modules of white border; ZXing needs no more.
QUIET = 2
# Pixels a module. Below this nobody expects a reader to see modules.
LEAST_MODULE = 1.5

Bits = NDArray[np.bool_]


def load_codec() -> tuple[Any, Any]:
    """segno and zxingcpp. Raises EganError where they are not installed."""
    try:
        import segno
        import zxingcpp
    except ImportError as error:
        raise EganError(
            f"QR codes need {error.name}",
            "pip install '.[payloads]' in the checkout of egan",
        ) from error
    return segno, zxingcpp


def carry(scene: Scene, composites: Pictures) -> Pictures:
    """Decodes of composites by the right keys, with the keys of the scene's pairs in
    turn.
    """
    pair = np.arange(len(composites)) % len(scene.private)
    streams = scene.scheme.streams(len(composites), scene.side, scene.random(30))
    disguises = scene.scheme.disguise(
        composites, scene.public[pair], streams, [Square(0, 0, 0)] * len(composites)
    )
    return scene.scheme.reveal(disguises, scene.private[pair], streams)


def measure_payloads(scene: Scene, count: int) -> dict[str, Any]:
    """{"qr": [one object per length and size], "text": [one per font size], "notes"};
    `count` pictures each.
    """
    out: dict[str, Any] = {"qr": [], "text": [], "notes": {}}
    try:
        segno, zxing = load_codec()
        work = [
            (length, side) for length in LENGTHS for side in SIDES if side <= scene.side
        ]
        for length, side in progress(work, len(work), "QR codes"):
            found = qr_codes(scene, length, side, count, segno, zxing)
            if found:
                out["qr"].append(found)
    except EganError as error:
        out["notes"]["qr"] = f"{error}; {error.hint}"
    for size in progress(GLYPHS, len(GLYPHS), "text"):
        out["text"].append(small_text(scene, size, count))
    return out


def qr_codes(
    scene: Scene, length: int, side: int, count: int, segno: Any, zxing: Any
) -> dict[str, Any] | None:
    """Codes of `length` random letters at error correction M, `side` pixels wide; None
    where modules are too small.
    """
    random = scene.random(31, length, side)
    composites, truths = [], []
    for i in range(count):
        text = "".join(random.choice(list(string.ascii_letters), length))
        code = segno.make_qr(text, error="m", boost_error=False)
        matrix = np.array(
            [[bool(v) for v in row] for row in code.matrix_iter(border=QUIET)]
        )
        if side / len(matrix) < LEAST_MODULE:
            return None
        white = Image.fromarray(np.where(matrix, 0, 255).astype(np.uint8)).convert(
            "RGB"
        )
        picture = np.asarray(white.resize((side, side), Image.Resampling.NEAREST))
        composite, box = paste_at_random(scene, i, picture, random)
        composites.append(composite)
        truths.append((text, matrix, box))
    decodes = carry(scene, np.stack(composites))

    def read(pictures: Pictures) -> list[float]:
        return [
            float(
                any(r.text == text for r in zxing.read_barcodes(enlarged(crop(p, box))))
            )
            for p, (text, _, box) in zip(pictures, truths, strict=True)
        ]

    errors = [
        float((modules(crop(d, b), len(m)) != m).mean())
        for d, (_, m, b) in zip(decodes, truths, strict=True)
    ]
    rate = read(decodes)
    return {
        "characters": length,
        "side": side,
        "modules": len(truths[0][1]) - 2 * QUIET,
        "n": count,
        "bit_error": float(np.mean(errors)),
        "read": float(np.mean(rate)),
        "ci": rate_interval(sum(map(bool, rate)), count),
        "read_before": float(np.mean(read(np.stack(composites)))),
    }


def paste_at_random(
    scene: Scene, i: int, picture: Pictures, random: Random
) -> tuple[Pictures, tuple[int, int, int, int]]:
    """A copy of a cover with the message at a random place, and its box x, y, width,
    height.
    """
    composite = scene.pairs.covers[i % len(scene.pairs.covers)].copy()
    height, width = picture.shape[:2]
    x, y = (int(random.integers(0, scene.side - s + 1)) for s in (width, height))
    composite[y : y + height, x : x + width] = picture
    return composite, (x, y, width, height)


def crop(picture: Pictures, box: tuple[int, int, int, int]) -> Pictures:
    x, y, w, h = box
    return picture[y : y + h, x : x + w]


def enlarged(picture: Pictures) -> Pictures:
    """Four times as large with a white margin, as a person would hold it to a reader."""
    height, width = picture.shape[:2]
    large = Image.fromarray(np.ascontiguousarray(picture)).resize(
        (4 * width, 4 * height), Image.Resampling.BICUBIC
    )
    return np.pad(np.asarray(large), ((32, 32), (32, 32), (0, 0)), constant_values=255)


def modules(picture: Pictures, count: int) -> Bits:
    """Dark modules (count, count) of a QR code that fills a picture: mean level around
    the centre of each, against 128.
    """
    grey = picture.astype(float).mean(2)
    side = len(grey)
    # The same nearest-neighbour map as Pillow's: pixel p belongs to module floor((p +
    # 1/2) count / side).
    owner = ((np.arange(side) + 0.5) * count / side).astype(int)
    sums = np.zeros((count, count))
    np.add.at(sums, (owner[:, None], owner[None, :]), grey)
    sizes = np.bincount(owner, minlength=count)
    return sums / np.outer(sizes, sizes) < 128


def small_text(scene: Scene, size: int, count: int) -> dict[str, Any]:
    """Up to two lines of eight random capitals and digits, black on white, in cells of
    one width.
    """
    random = scene.random(32, size)
    glyphs = np.stack([glyph(letter, size) for letter in LETTERS])
    height, width = glyphs.shape[1:3]
    across, lines = (
        min(most, (scene.side - 8) // cell) for most, cell in ((8, width), (2, height))
    )
    composites, truths = [], []
    for i in range(count):
        index = random.integers(len(LETTERS), size=(lines, across))
        page = np.concatenate(
            [np.concatenate(list(glyphs[line]), 1) for line in index], 0
        )
        picture = np.repeat(np.pad(page, 4, constant_values=255)[..., None], 3, 2)
        composite, box = paste_at_random(scene, i, picture, random)
        composites.append(composite)
        truths.append((index, box))
    decodes = carry(scene, np.stack(composites))
    wrong, whole, before = [], [], []
    for decode, composite, (index, box) in zip(
        decodes, composites, truths, strict=True
    ):
        found = read_glyphs(crop(decode, box), glyphs, (lines, across))
        wrong.append(float((found != index).mean()))
        whole.append(float((found == index).all()))
        before.append(
            float(
                (
                    read_glyphs(crop(composite, box), glyphs, (lines, across)) != index
                ).mean()
            )
        )
    return {
        "font_size": size,
        "cell": [int(width), int(height)],
        "characters": lines * across,
        "n": count,
        "character_error": float(np.mean(wrong)),
        "read": float(np.mean(whole)),
        "ci": rate_interval(sum(map(bool, whole)), count),
        "character_error_before": float(np.mean(before)),
    }


def glyph(letter: str, size: int) -> NDArray[np.uint8]:
    """One character in the middle of its cell, uint8 (h, w), black on white."""
    font = ImageFont.load_default(size)
    widest = max(font.getlength(c) for c in LETTERS)
    im = Image.new("L", (int(np.ceil(widest)) + 1, round(size * 1.2)), 255)
    ImageDraw.Draw(im).text((im.width / 2, im.height / 2), letter, 0, font, anchor="mm")
    return np.asarray(im)


def read_glyphs(
    picture: Pictures, glyphs: NDArray[np.uint8], shape: tuple[int, int]
) -> NDArray[np.intp]:
    """The index of the nearest glyph (least squares) of every cell (lines, across) of a
    page with a margin of 4 pixels.
    """
    height, width = glyphs.shape[1:3]
    grey = picture.astype(float).mean(2)[4:-4, 4:-4]
    cells = grey.reshape(shape[0], height, shape[1], width).swapaxes(1, 2)
    distance: Callable = lambda cell: np.square(glyphs - cell).mean((1, 2)).argmin()
    return np.array([[distance(cell) for cell in line] for line in cells])


def payload_lines(found: dict[str, Any]) -> list[str]:
    """The object of `measure_payloads` for people."""
    lines = []
    for row in found["qr"]:
        lines.append(
            f"QR, {row['characters']} characters, {row['side']} pixels ({row['side'] / (row['modules'] + 2 * QUIET):.1f} a "
            f"module): read {100 * row['read']:.0f} % ({100 * row['ci'][0]:.0f} to {100 * row['ci'][1]:.0f}, n {row['n']}; "
            f"before hiding {100 * row['read_before']:.0f} %), modules wrong {100 * row['bit_error']:.2f} %"
        )
    for row in found["text"]:
        lines.append(
            f"text, font of {row['font_size']} pixels: {row['characters']} characters read "
            f"{100 * row['read']:.0f} % ({100 * row['ci'][0]:.0f} to {100 * row['ci'][1]:.0f}, n {row['n']}), characters "
            f"wrong {100 * row['character_error']:.2f} % (before hiding {100 * row['character_error_before']:.2f} %)"
        )
    return lines + [f"{name}: {why}" for name, why in found["notes"].items()]
