"""Files in: one picture from a path or standard input, as 8-bit RGB.

`read_picture` reads what people show: orientation applied, colours in sRGB.
`read_exact` reads what carries bits in its pixels, which nothing may touch: keys,
disguises and signed pictures. Only the formats of `streams.FORMATS` are opened, and
none starts a program. What goes wrong is an EganError that names the file.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import io
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from egan.errors import EganError, Note, reason_of
from egan.pictures import colour, streams, tiff
from egan.pictures.sizes import MOST_PIXELS, limit_hint
from egan.pictures.streams import FORMATS, Stream

MOST_BYTES = 512 * 1024 * 1024
# Of a file that is read at once, in bytes.
PART = 1 << 20
# Processor time that one picture may take; a photograph of 50 megapixels takes 2.
MOST_SECONDS = 20.0
STDIN = "-"
# Without a handler, what Pillow complains of goes to standard error as it is.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# (H, W, 3), or (H, W) of alpha.
Picture = NDArray[np.uint8]


@dataclass
class Loaded:
    """A picture that was read.

    pixels: uint8 (H, W, 3). alpha: uint8 (H, W), or None. text: egan's own PNG texts.
    notes: what a caller may want to tell of how it was read. lossy: the format in words
    where it does not keep samples to the bit, else empty.
    """

    pixels: Picture
    alpha: Picture | None
    name: str
    text: dict[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    lossy: str = ""


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
    """The bytes of a file, or of standard input for `-`.

    Raises EganError for what cannot be read.
    """
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
            data = read_some(sys.stdin.buffer)
        else:
            with open(source, "rb") as file:
                data = read_some(file)
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


def read_some(file: BinaryIO) -> bytes:
    """All of a stream, or the first MOST_BYTES + 1.

    Part by part: to ask for so many bytes at once takes their memory at once.
    """
    parts, left = [], MOST_BYTES + 1
    while left and (part := file.read(min(left, PART))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


@contextlib.contextmanager
def reading(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EganError(f"cannot read {shown(source)}: {reason_of(error)}") from error


def read_picture(source: str) -> Loaded:
    """Read one picture as people see it: 8-bit sRGB and alpha, the right way up.

    Raises EganError, naming the file, for anything that is no single whole picture of
    at most 50 megapixels in one of the formats of `streams.FORMATS`, and for samples
    whose white is unknown.
    """
    return picture_of(read_bytes(source), shown(source))


def read_exact(source: str, lossy: bool = False) -> Loaded:
    """Read one picture that carries bits: pixels as they are stored, in 8-bit RGB.

    No profile, orientation or transparency is applied; a note says so where a file has
    one, since other programs show such a picture otherwise. lossy: take formats that
    lose bits too, and tell in `Loaded.lossy`. Raises EganError as `read_picture` does.
    """
    return exact_picture_of(read_bytes(source), shown(source), lossy)


def picture_of(data: bytes, name: str) -> Loaded:
    """The picture in the bytes of a file, as `read_picture` reads it."""
    return decode_stream(take_apart(data, name), name, exact=False)


def exact_picture_of(data: bytes, name: str, lossy: bool = False) -> Loaded:
    """The picture in the bytes of a file, as `read_exact` reads it."""
    stream = take_apart(data, name)
    if stream.lossy and not lossy:
        raise keeps_nothing(name, stream.lossy)
    return decode_stream(stream, name, exact=True)


def keeps_nothing(name: str, lossy: str) -> EganError:
    """What to say of a picture in a format that loses bits."""
    named = ", though named .png," if name.lower().endswith(".png") else ""
    return EganError(
        f"{name} is {lossy}{named} and keeps nothing that egan hides in pixels",
        "ask for the original PNG, sent as a file and not as a photo",
    )


def take_netpbm(data: bytes) -> Stream:
    from egan.pictures import netpbm

    return netpbm.take_netpbm(data)


TAKERS: dict[str, Callable[[bytes], Stream]] = {
    "PNG": streams.take_png,
    "JPEG": streams.take_jpeg,
    "WEBP": streams.take_webp,
    "TIFF": tiff.take_tiff,
    "BMP": streams.take_bmp,
    "GIF": streams.take_gif,
    "PPM": take_netpbm,
    "AVIF": streams.take_avif,
}


def take_apart(data: bytes, name: str) -> Stream:
    """The picture file in some bytes. Raises EganError for what is none that egan
    reads.
    """
    kind = streams.kind_of(data)
    if not kind:
        raise EganError(*streams.words_for(data, name))
    if not readable(kind):
        raise EganError(
            f"{name} is {kind}, which the Pillow installed here cannot read",
            "save it as PNG, or install a newer Pillow",
        )
    with decoding(name):
        stream = TAKERS[kind](data)
    if stream.several:
        raise EganError(
            f"{name} is animated or has several pages or pictures",
            "extract one frame or page first",
        )
    return stream


PLUGINS = {"PNG": "Png", "JPEG": "Jpeg", "WEBP": "WebP", "TIFF": "Tiff"}
PLUGINS |= {"BMP": "Bmp", "GIF": "Gif", "PPM": "Ppm", "AVIF": "Avif"}


@functools.cache
def readable(kind: str) -> bool:
    """Whether the Pillow that is installed here reads a format. AVIF came with 11.3."""
    with contextlib.suppress(ImportError):
        plugin = importlib.import_module(f"PIL.{PLUGINS[kind]}ImagePlugin")
        # WebP and AVIF have plugins that may lack their library.
        return kind in Image.OPEN and getattr(plugin, "SUPPORTED", True)
    return False


class Timed(io.BytesIO):
    """Bytes of a file that a decoder may not read from for longer than a person would
    wait.

    Processor time of this thread is counted, so that a busy machine changes nothing.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.end = time.thread_time() + MOST_SECONDS

    def read(self, size: int | None = -1, /) -> bytes:
        if time.thread_time() > self.end:
            raise EganError(f"it takes more than {MOST_SECONDS:.0f} seconds to read")
        return super().read(size)


@contextlib.contextmanager
def decoding(name: str, kind: str = "file") -> Iterator[None]:
    """Turn what Pillow raises for a picture that it cannot read into an EganError."""
    try:
        yield
    except Image.UnidentifiedImageError as error:
        raise EganError(
            f"{name} is not a picture that can be read: "
            f"a damaged {kind}, or one of a rare kind",
            "save it as an ordinary PNG",
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise EganError(f"{name} is too large", limit_hint()) from error
    except (EganError, MemoryError):
        raise
    # For damaged data Pillow's decoders raise almost anything.
    except Exception as error:
        raise EganError(f"{name} is damaged or truncated: {error}") from error


def check_size(width: int, height: int, name: str) -> None:
    if width * height > MOST_PIXELS:
        raise EganError(f"{name} is too large: {width}x{height} pixels", limit_hint())


def decode_stream(stream: Stream, name: str, exact: bool) -> Loaded:
    """The picture of a file that was taken apart."""
    with decoding(name, stream.format):
        if stream.format == "PPM":
            from egan.pictures import netpbm

            head = netpbm.head_of(stream.data)
            check_size(head.width, head.height, name)
            floats = functools.partial(colour.float_levels, name=name)
            im = Image.fromarray(netpbm.levels(stream.data, floats))
            return finish(im, stream, name, exact, None)
        if stream.format == "TIFF":
            quiet_libtiff()
            tiff.check_samples(stream, name)
        with Image.open(Timed(stream.data), formats=(stream.format,)) as im:
            check_size(*im.size, name)
            if getattr(im, "is_animated", False):
                raise EganError(
                    f"{name} is animated or has several pages or pictures",
                    "extract one frame or page first",
                )
            im.load()
            alpha = opaque(~clear_samples(im, stream)) if stream.clear else None
            stream.profile = stream.profile or im.info.get("icc_profile") or b""
            stream.exif = stream.exif or im.info.get("exif") or b""
            stream.xmp = stream.xmp or im.info.get("xmp") or b""
            largest = 4095 if stream.tags.get(tiff.BITS) == (12,) else 65535
            white_is_zero = (
                stream.format == "TIFF"
                and stream.tags.get(tiff.PHOTOMETRIC, (0,))[0] == 0
            )
            grey = eight_bits(im, name, largest, white_is_zero)
            return finish(grey, stream, name, exact, alpha)


def decode(im: Image.Image, name: str, exact: bool = False) -> Loaded:
    """The picture of a Pillow image that a caller has in memory, as the readers read
    it.

    Raises EganError for one that was opened from a format that egan does not read,
    since to load it could start a program.
    """
    if isinstance(im, ImageFile.ImageFile) and im.format not in (*FORMATS, "MPO"):
        raise EganError(
            f"{name} is {im.format}, which egan does not read",
            "convert it first: picture.convert('RGB')",
        )
    check_size(*im.size, name)
    if getattr(im, "is_animated", False) and im.format != "MPO":
        raise EganError(
            f"{name} is animated or has several pages or pictures",
            "extract one frame or page first",
        )
    with decoding(name):
        im.load()
        info = im.info
        stream = Stream(
            im.format or "",
            b"",
            exif=info.get("exif") or b"",
            profile=info.get("icc_profile") or b"",
        )
        clear = info.get("transparency")
        alpha = None
        if im.mode.startswith("I") and isinstance(clear, int):
            alpha = opaque(np.asarray(im) != clear)
        return finish(eight_bits(im, name), stream, name, exact, alpha)


def opaque(where: NDArray[np.bool_]) -> Picture:
    """Alpha, uint8 (H, W), of the parts of a picture that are seen."""
    return np.where(where, np.uint8(255), np.uint8(0))


def eight_bits(
    im: Image.Image, name: str, largest: int = 65535, white_is_zero: bool = False
) -> Image.Image:
    """An image of more than 8 bits a sample as one of 8; another as it is."""
    if im.mode == "F":
        levels = colour.float_levels(np.asarray(im), name)
    elif im.mode.startswith("I"):
        values = np.asarray(im)
        if values.size and (values.min() < 0 or values.max() > largest):
            raise EganError(
                f"{name} has 32-bit integer samples, whose white is unknown",
                "save it as an 8-bit or 16-bit PNG",
            )
        levels = colour.whole_levels(values, largest)
    else:
        return im
    return Image.fromarray(255 - levels if white_is_zero else levels)


def clear_samples(im: Image.Image, stream: Stream) -> NDArray[np.bool_]:
    """Where a PNG has the colour that it calls transparent, bool (H, W)."""
    if stream.depth < 8 or im.mode == "1":
        scale = 255 // (2**stream.depth - 1)
        return np.asarray(im.convert("L")) == stream.clear[0] * scale
    if im.mode != "RGB":
        return np.asarray(im) == stream.clear[0]
    samples = np.asarray(im).astype(np.uint16)
    if stream.depth == 16:
        # Pillow keeps the upper byte of each sample; read as if the order of bytes were
        # the other, it keeps the lower one.
        with Image.open(Timed(stream.data), formats=("PNG",)) as lower:
            lower.tile = [tile._replace(args="RGB;16L") for tile in lower.tile]
            samples = samples << 8 | np.asarray(lower)
    return (samples == stream.clear).all(2)


def finish(
    im: Image.Image, stream: Stream, name: str, exact: bool, alpha: Picture | None
) -> Loaded:
    """RGB and alpha of a loaded image of 8 bits, turned and in sRGB unless `exact`."""
    if alpha is None and im.has_transparency_data:
        whole = im.convert("RGBA" if im.mode not in ("LA", "La") else "LA")
        alpha = np.asarray(whole.getchannel("A"))
        im = whole.convert("RGB" if whole.mode == "RGBA" else "L")
    elif im.mode not in ("L", "RGB", "CMYK", "LAB"):
        im = im.convert("L" if im.mode == "1" else "RGB")
    if alpha is not None and alpha.min(initial=255) == 255:
        alpha = None
    turn = orientation(stream)
    if not exact:
        pixels = np.array(colour.to_srgb(im, stream.profile))
        if alpha is not None:
            alpha = turned(alpha, turn)
        return Loaded(turned(pixels, turn), alpha, name, stream.text)
    marks = list(stream.marks)
    if colour.conversion(stream.profile, im.mode) is not None:
        marks.append("a colour profile")
    if turn != 1:
        marks.append("an orientation")
    if alpha is not None:
        marks.append("transparent parts")
    notes = []
    if marks:
        words = " and ".join(marks)
        text = f"{name} has {words}, so other programs show it otherwise"
        notes.append(Note(text, warning=True))
    pixels = np.array(im.convert("RGB"))
    return Loaded(pixels, None, name, stream.text, notes, stream.lossy)


def orientation(stream: Stream) -> int:
    """How a picture is to be turned, 1 to 8 as in EXIF, from what can be read of it."""
    found = stream.tags.get(tiff.ORIENTATION, (0,))[0]
    exif = stream.exif.removeprefix(streams.EXIF)
    if not found and exif[:4] in (b"II*\0", b"MM\0*"):
        found = tiff.take_tiff(exif).tags.get(tiff.ORIENTATION, (0,))[0]
    xmp = re.search(rb"tiff:Orientation(?:=\"|>)([1-8])", stream.xmp)
    if not found and xmp:
        found = int(xmp[1])
    return found if 1 <= found <= 8 else 1


TURNS: dict[int, Callable[[Picture], Picture]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.swapaxes(0, 1), 2),
    8: lambda a: np.rot90(a),
}


def turned(pixels: Picture, turn: int) -> Picture:
    return np.ascontiguousarray(TURNS[turn](pixels))


@functools.cache
def quiet_libtiff() -> None:
    """Stop libtiff from printing lines of its own about damaged files.

    Pillow raises an error for them anyway.
    """
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


def flatten(picture: Loaded) -> Picture:
    """Pixels (H, W, 3) with transparent parts laid on white."""
    if picture.alpha is None:
        return picture.pixels
    a = picture.alpha[..., None].astype(np.uint16)
    mixed = picture.pixels * a + 255 * (255 - a)
    return ((mixed + 127) // 255).astype(np.uint8)
