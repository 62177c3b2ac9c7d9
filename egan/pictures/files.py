"""Files in: a picture of any format and mode, from a path or standard input, as 8-bit RGB.

What goes wrong is an EganError that names the file.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from egan.errors import EganError, Note, reason_of

MOST_PIXELS = 50_000_000
MOST_BYTES = 512 * 1024 * 1024
STDIN = "-"
logging.getLogger("PIL").addHandler(
    logging.NullHandler()
)  # else its complaints go to standard error as they are


Picture = NDArray[np.uint8]  # (H, W, 3), or (H, W) of alpha


@dataclass
class Loaded:
    """A picture that was read: uint8 pixels (H, W, 3), alpha (H, W) or None, and the PNG text chunks.

    notes: what a caller may want to tell of how it was read.
    """

    pixels: Picture
    alpha: Picture | None
    name: str
    text: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)


@functools.cache
def endings() -> frozenset[str]:
    """The endings of file names that pictures have, in lower case with their dot."""
    return frozenset(Image.registered_extensions())


def shown(source: str) -> str:
    return "standard input" if source == STDIN else source


def one_standard_input(*sources: str | None) -> None:
    """Raises EganError where standard input is named more than once."""
    if sum(source == STDIN for source in sources) > 1:
        raise EganError(
            "standard input can be only one of the inputs",
            "name files for the others",
            2,
        )


def read_bytes(source: str) -> bytes:
    """The bytes of a file, or of standard input for `-`. Raises EganError for what cannot be read."""
    try:
        if source == STDIN:
            if sys.stdin is None:
                raise EganError(
                    "no input: standard input is closed",
                    "name a file, or pipe a picture in",
                    2,
                )
            if sys.stdin.isatty():
                raise EganError(
                    "no input: standard input is a terminal",
                    "name a file, or pipe a picture in",
                    2,
                )
            data = sys.stdin.buffer.read(MOST_BYTES + 1)
        else:
            with open(source, "rb") as file:
                data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise EganError(f"cannot read {shown(source)}: {reason_of(error)}") from error
    if len(data) > MOST_BYTES:
        raise EganError(f"{shown(source)} is larger than {MOST_BYTES >> 20} MiB")
    if not data:
        raise EganError(
            f"{shown(source)} is empty",
            "did the command before the pipe fail?" if source == STDIN else "",
        )
    return data


@contextlib.contextmanager
def reading(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EganError(f"cannot read {shown(source)}: {reason_of(error)}") from error


def read_picture(source: str) -> Loaded:
    """Read one picture of any format and mode that Pillow knows, as 8-bit RGB and alpha.

    EXIF orientation is applied; 16-bit and floating-point samples are scaled to 8 bits. Raises EganError, naming the
    file, for anything that is no single whole picture of at most 50 megapixels.
    """
    return picture_of(read_bytes(source), shown(source))


def picture_of(data: bytes, name: str) -> Loaded:
    """The picture in the bytes of a file, as `read_picture` reads it."""
    with decoding(name), Image.open(io.BytesIO(data)) as im:
        return decode(im, name)


@contextlib.contextmanager
def decoding(name: str) -> Iterator[None]:
    """What Pillow raises for a picture that it cannot read, as an EganError that names it."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # the pixel limit below is stricter than Pillow's warning
        try:
            yield
        except Image.UnidentifiedImageError as error:
            raise EganError(f"{name} is not a picture that can be read") from error
        except Image.DecompressionBombError as error:
            raise EganError(f"{name} is too large", limit_hint()) from error
        except EganError:
            raise
        except (
            Exception
        ) as error:  # for damaged data Pillow's decoders raise almost anything
            raise EganError(f"{name} is damaged or truncated: {error}") from error


def limit_hint() -> str:
    return f"the most is {MOST_PIXELS // 1_000_000} megapixels; make it smaller first"


def decode(im: Image.Image, name: str) -> Loaded:
    """8-bit RGB and alpha of an open Pillow image."""
    if im.width * im.height > MOST_PIXELS:
        raise EganError(
            f"{name} is too large: {im.width}x{im.height} pixels", limit_hint()
        )
    if getattr(im, "n_frames", 1) > 1 and im.format != "MPO":
        raise EganError(
            f"{name} is animated or has several pages", "extract one frame first"
        )
    text = dict(getattr(im, "text", {})) if im.format == "PNG" else {}
    if im.format == "TIFF":
        quiet_libtiff()
    im.load()
    im = ImageOps.exif_transpose(im)
    if im.mode.startswith("I") or im.mode == "F":
        im = to_8_bits(im)
    alpha = None
    if im.has_transparency_data:
        im = im.convert("RGBA")
        alpha = np.asarray(im.getchannel("A"))
        if alpha.min() == 255:
            alpha = None
    return Loaded(
        np.array(im.convert("RGB")), alpha, name, {k: str(v) for k, v in text.items()}
    )


@functools.cache
def quiet_libtiff() -> None:
    """Stop libtiff from printing lines of its own about damaged files; Pillow raises an error for them anyway."""
    with (
        contextlib.suppress(OSError, AttributeError, IndexError),
        open("/proc/self/maps") as maps,
    ):
        (loaded,) = {
            line.split(maxsplit=5)[5].strip() for line in maps if "/libtiff" in line
        }
        library = ctypes.CDLL(loaded)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)


def to_8_bits(im: Image.Image) -> Image.Image:
    """Grey pictures of more than 8 bits: 16-bit integers divided by 257, floats taken as 0 to 1 (or 0 to 255)."""
    values = np.asarray(im).astype(np.float64)
    if im.mode == "F":
        values = np.nan_to_num(values) * (
            255 if np.nanmax(values, initial=0) <= 1 else 1
        )
    else:
        values = values / 257
    return Image.fromarray(np.clip(np.round(values), 0, 255).astype(np.uint8), "L")


def flatten(picture: Loaded) -> Picture:
    """Pixels (H, W, 3) with transparent parts laid on white."""
    if picture.alpha is None:
        return picture.pixels
    a = picture.alpha[..., None].astype(np.uint16)
    mixed = picture.pixels * a + 255 * (255 - a)
    return ((mixed + 127) // 255).astype(np.uint8)
