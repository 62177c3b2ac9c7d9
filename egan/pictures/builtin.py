"""Built-in pictures that may be handed on: a drawn flower, a portrait and a cat.

The photographs are free, and scikit-image has them too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Picture = NDArray[np.uint8]


PHOTOGRAPHS = Path(__file__).parent / "photographs"


def portrait(size: int = 256) -> Picture:
    """The face of a NASA portrait (Eileen Collins, public domain), uint8 (size, size,
    3).
    """
    return photograph("portrait", size)


def cat(size: int = 96) -> Picture:
    """The head of a cat (by Stefan van der Walt, CC0), uint8 (size, size, 3)."""
    return photograph("cat", size)


def photograph(name: str, size: int) -> Picture:
    """A square photograph that comes with egan, at another size."""
    with Image.open(PHOTOGRAPHS / f"{name}.png", formats=("PNG",)) as square:
        return np.asarray(square.resize((size, size), Image.Resampling.LANCZOS))


def flower(size: int = 256, seed: int = 1) -> Picture:
    """A drawn flower in a meadow, uint8 (size, size, 3). One seed, one flower."""
    random = np.random.default_rng(seed)
    n = 2 * size
    rows, columns = (np.mgrid[0:n, 0:n] + 0.5) / n - 0.5
    cx, cy = random.uniform(-0.06, 0.06, 2)
    radius = np.hypot(columns - cx, rows - cy)
    angle = np.arctan2(rows - cy, columns - cx) + random.uniform(0, 6.28)

    meadow = (
        np.array([58, 92, 38]) / 255 * (0.75 + 0.9 * cloud(random, n, 24)[..., None])
    )
    meadow = meadow + np.array([0.12, 0.1, 0.0]) * cloud(random, n, 8)[..., None]
    picture = np.clip(meadow, 0, 1)

    petals = int(random.integers(9, 15))
    hue = np.array(
        [(0.96, 0.84, 0.16), (0.95, 0.93, 0.9), (0.9, 0.35, 0.5), (0.75, 0.5, 0.9)][
            seed % 4
        ]
    )
    for layer, (reach, shade) in enumerate(((0.40, 0.72), (0.36, 1.0))):
        lobe = np.cos(petals / 2 * (angle + layer * np.pi / petals)) ** 2
        edge = reach * (0.45 + 0.55 * lobe**0.35)
        inside = np.clip((edge - radius) * n / 3, 0, 1)
        veins = 0.92 + 0.08 * np.cos(angle * petals * 7)
        light = shade * veins * (0.62 + 0.38 * lobe) * (0.7 + 0.75 * radius / reach)
        colour = np.clip(hue * light[..., None], 0, 1)
        picture = picture * (1 - inside[..., None]) + colour * inside[..., None]

    heart = np.clip((0.105 - radius) * n / 3, 0, 1)[..., None]
    seeds = 0.5 + 0.5 * np.cos(radius * 420 + 5 * np.sin(angle * 21)) * np.cos(
        angle * 34
    )
    brown = (
        np.array([0.42, 0.26, 0.08])
        * (0.55 + 0.9 * seeds[..., None])
        * (1.3 - 5 * radius[..., None])
    )
    picture = picture * (1 - heart) + np.clip(brown, 0, 1) * heart
    picture = picture + random.normal(0, 0.012, picture.shape)
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))
    return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS))


def cloud(random: np.random.Generator, n: int, grain: int) -> NDArray[np.float64]:
    """Smooth noise (n, n) in [0, 1] with structures of n/grain pixels."""
    coarse = Image.fromarray((random.random((grain, grain)) * 255).astype(np.uint8))
    smooth = coarse.resize((n, n), Image.Resampling.BICUBIC).filter(
        ImageFilter.GaussianBlur(n / 64)
    )
    return np.asarray(smooth) / 255
