"""The smoke set: pictures that every installation has, so that `egan bench` runs without data and without a network.

Covers are seeded crops of the photographs inside scikit-image's wheel, disguises are drawn flowers, messages are drawn
digits and crops of photographs. Enough to see that everything works; no figure on them is comparable with a paper's.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from egan.core.model import Pictures
from egan.errors import EganError

PHOTOGRAPHS = (
    "astronaut",
    "chelsea",
    "coffee",
    "rocket",
)  # in the wheel, never fetched


def smoke_pictures(
    size: int, count: int, seed: int
) -> tuple[Pictures, Pictures, list[Pictures], list[Pictures]]:
    """Covers and flowers, uint8 (count, size, size, 3), and two lists of `count` messages: digits and photographs."""
    photographs = load_photographs()
    covers, flowers, digits, photos = [], [], [], []
    for i in range(count):
        random = np.random.default_rng([seed, i])
        covers.append(crop(photographs[i % len(photographs)], size, random))
        flowers.append(draw_flower(size, random))
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
    """A random square of half to all of the short side, perhaps mirrored, as uint8 (size, size, 3)."""
    side = int(min(photograph.size) * random.uniform(0.5, 1))
    left, top = (
        int(random.integers(0, length - side + 1)) for length in photograph.size
    )
    im = photograph.convert("RGB").resize(
        (size, size), Image.Resampling.LANCZOS, (left, top, left + side, top + side)
    )
    return np.asarray(im)[:, :: random.choice((-1, 1))].copy()


def draw_flower(size: int, random: np.random.Generator) -> Pictures:
    """A flower with shaded petals on blurred green, uint8 (size, size, 3)."""
    coarse = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    noise = np.asarray(
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    )
    picture = noise / 255 * [0.25, 0.4, 0.2] + [0.05, 0.2, 0.05]
    v, u = np.mgrid[0:size, 0:size] / size - random.uniform(0.4, 0.6, (2, 1, 1))
    radius, angle = np.hypot(u, v), np.arctan2(v, u) + random.uniform(0, 2 * np.pi)
    edge = random.uniform(0.3, 0.42) * (
        0.65 + 0.35 * np.cos(random.integers(5, 12) * angle)
    )
    inside = np.clip((edge - radius) * size / 2, 0, 1)[..., None]
    shade = (0.55 + 0.45 * np.clip(radius / edge, 0, 1))[..., None]
    petals = shade * random.uniform(0.3, 1, 3) * [1, 0.8, 1]
    picture = picture * (1 - inside) + petals * inside
    heart = np.clip((0.07 - radius) * size / 2, 0, 1)[..., None]
    picture = picture * (1 - heart) + np.array([0.85, 0.65, 0.1]) * heart
    return np.clip(np.round(picture * 255), 0, 255).astype(np.uint8)


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
