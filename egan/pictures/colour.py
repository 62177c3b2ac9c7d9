"""Colours to 8-bit sRGB: profiles with LittleCMS, and samples of other types."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from egan.errors import EganError

Levels = NDArray[np.uint8]
# What the samples of a mode mean to LittleCMS.
SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "LAB": "LAB"}
CLOSE = 1


def to_srgb(im: Image.Image, profile: bytes) -> Image.Image:
    """A picture of mode L, RGB, CMYK or LAB as RGB, by its profile where that fits.

    A profile that is junk or of another kind of picture is ignored. One that says the
    same as sRGB, to one level, changes nothing.
    """
    transform = conversion(profile, im.mode)
    if transform is not None:
        out = Image.new("RGB", im.size)
        transform.apply(im, out)
        return out
    return im.convert("RGB")


@functools.lru_cache(maxsize=8)
def conversion(profile: bytes, mode: str) -> Any:
    """The transform from a profile and mode to sRGB; None where nothing is to do.

    Raises EganError where Pillow came without LittleCMS.
    """
    if not profile and mode != "LAB":
        return None
    try:
        from PIL import ImageCms

        # Pillow tells of a library that it lacks when that is used.
        _ = ImageCms.core.littlecms_version
    except ImportError as error:
        raise EganError(
            "a picture has a colour profile, which the Pillow installed here cannot apply",
            "install Pillow from PyPI, or save the picture without a profile, in sRGB",
        ) from error
    if mode == "LAB":
        source = ImageCms.createProfile("LAB")
    else:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
        except (OSError, TypeError, ValueError):
            return None
        if SPACES.get(source.xcolor_space.strip()) != mode:
            return None
    try:
        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(source),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, ValueError, TypeError):
        return None
    if mode in ("L", "RGB") and same(transform, mode):
        return None
    return transform


def same(transform: Any, mode: str) -> bool:
    """Whether a transform changes no colour of a grid by more than a level."""
    steps = np.linspace(0, 255, 16).round().astype(np.uint8)
    if mode == "L":
        grid = np.arange(256, dtype=np.uint8)[None]
    else:
        grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(64, 64, 3)
    im = Image.fromarray(grid)
    out = Image.new("RGB", im.size)
    transform.apply(im, out)
    moved = np.asarray(out).astype(int) - np.asarray(im.convert("RGB"))
    return bool(np.abs(moved).max() <= CLOSE)


def whole_levels(values: NDArray[Any], largest: int) -> Levels:
    """Unsigned samples, of which `largest` is white, as levels."""
    table = np.round(np.arange(65536) * 255 / largest).clip(0, 255)
    return table.astype(np.uint8)[values]


def float_levels(values: NDArray[Any], name: str) -> Levels:
    """Float samples, black at 0 and white at 1.0, as levels; those beyond are clipped.

    Raises EganError where most are far beyond 1.0, so that their white is unknown.
    """
    values = np.nan_to_num(values.astype(np.float32), nan=0)
    lit = int(np.count_nonzero(values))
    if 2 * int(np.count_nonzero(values > 2)) > lit:
        raise EganError(
            f"{name} has float samples up to {values.max():g}, and 1.0 is white",
            "scale them to 0 to 1, or save the picture as an 8-bit PNG",
        )
    scaled = np.round(values.clip(0, 1) * np.float32(255))
    return scaled.astype(np.uint8)
