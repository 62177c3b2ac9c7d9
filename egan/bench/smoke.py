"""The smoke set: pictures that every installation has, so that `egan bench` runs
without data and without a network.

Covers are seeded crops of the photographs inside scikit-image's wheel, disguises are
drawn flowers, messages are drawn digits and crops of photographs. Enough to see that
everything works; no figure on them is comparable with a paper's.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from egan.core.model import Pictures
from egan.errors import EganError
from egan.pictures.builtin import flower

# These are in the wheel of scikit-image and never fetched.
PHOTOGRAPHS = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
)


def smoke_pictures(
    size: int, count: int, seed: int
) -> tuple[Pictures, Pictures, list[Pictures], list[Pictures]]:
    """Covers and flowers, uint8 (count, size, size, 3), and two lists of `count`
    messages: digits and photographs.
    """
    photographs = load_photographs()
    covers, flowers, digits, photos = [], [], [], []
    for i in range(count):
        random = np.random.default_rng([seed, i])
        covers.append(crop(photographs[i % len(photographs)], size, random))
        flowers.append(flower(size, int(random.integers(2**31))))
        digits.append(draw_digit(32, random))
        photos.append(crop(photographs[(i + 1) % len(photographs)], size // 2, random))
    return np.stack(covers), np.stack(flowers), digits, photos


def load_photographs() -> list[Image.Image]:
    from skimage import data

    try:
        return [Image.fromarray(getattr(data, name)()) for name in PHOTOGRAPHS]
    except (OSError, ModuleNotFoundError, AttributeError) as error:
        raise EganError(
            "scikit-image's pictures are not installed",
            "name folders with --x, --y and --messages",
        ) from error


def crop(photograph: Image.Image, size: int, random: np.random.Generator) -> Pictures:
    """A random square of half to all of the short side, perhaps mirrored, as uint8
    (size, size, 3).
    """
    side = int(min(photograph.size) * random.uniform(0.5, 1))
    left, top = (
        int(random.integers(0, length - side + 1)) for length in photograph.size
    )
    im = photograph.convert("RGB").resize(
        (size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side)
    )
    return np.asarray(im)[:, :: random.choice((-1, 1))].copy()


def draw_digit(size: int, random: np.random.Generator) -> Pictures:
    """A digit in one colour on another, uint8 (size, size, 3)."""
    dark, light = random.integers(0, 110, 3), random.integers(145, 256, 3)
    back, front = (dark, light) if random.random() < 0.5 else (light, dark)
    im = Image.new("RGB", (size, size), tuple(int(c) for c in back))
    font = ImageFont.load_default(size * 0.8)
    ImageDraw.Draw(im).text(
        (size / 2, size / 2),
        str(random.integers(10)),
        tuple(int(c) for c in front),
        font,
        anchor="mm",
    )
    return np.asarray(im)
