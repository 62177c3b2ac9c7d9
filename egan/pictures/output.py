"""Files out: PNG only, to standard output or to a file, and nothing half-written stays.

`egan.pictures.atomic` writes the files, so a failure leaves nothing, and an existing
file is safe without `--force`. What goes wrong is an EganError that names the file.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from egan.errors import EganError, reason_of
from egan.pictures import atomic
from egan.pictures.files import Picture

STDOUT = "-"
# zlib's Z_RLE: as small as its default on photographs and grain, and in half the time.
RUN_LENGTHS = 3


def png_bytes(pixels: Picture, text: dict[str, str] | None = None) -> bytes:
    """uint8 (H, W, 3) as a PNG, with no metadata but the given text chunks."""
    info = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        info.add_text(key, value)
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.save(buffer, "PNG", pnginfo=info, compress_type=RUN_LENGTHS)
    return buffer.getvalue()


def check_output(out: str | None, force: bool = False, suffix: str = ".png") -> None:
    """Refuse an output before any work is done.

    Raises EganError for a terminal, a wrong suffix, an existing file without `force`, a
    private key, and a folder that is missing or closed.
    """
    if sys.stdout is None and out in (None, STDOUT):
        raise EganError(
            "cannot write standard output: it is closed", "name a file with -o FILE", 2
        )
    if out is None:
        if sys.stdout.isatty():
            raise EganError(
                "refusing to write a picture to a terminal",
                "redirect with `> FILE`, name a file with -o FILE, or insist with -o -",
                2,
            )
        return
    if out == STDOUT:
        return
    path = Path(out)
    if suffix == ".png" and path.suffix.lower() not in ("", ".png"):
        why = (
            "lossy compression would destroy what is hidden"
            if path.suffix.lower() in (".jpg", ".jpeg", ".webp", ".avif", ".heic")
            else "PNG is the only output format"
        )
        raise EganError(f"cannot write {out}: {why}", "use a name that ends in .png", 2)
    if not path.parent.is_dir():
        raise EganError(
            f"cannot write {out}: there is no folder {path.parent}", status=2
        )
    if path.is_dir():
        raise EganError(f"cannot write {out}: it is a folder", status=2)
    regular = not path.exists() or stat.S_ISREG(path.stat().st_mode)
    atomic.refuse_protected(path)
    if path.exists() and regular and not force:
        raise EganError(
            f"{out} exists already", "overwrite it with --force, or use another name"
        )
    if regular and (why := closed(Path(os.path.realpath(path)).parent)):
        raise EganError(f"cannot write {out}: {why}")


def check_made(folder: str, option: str) -> None:
    """Refuse a folder that cannot be made or written to, without making it."""
    path = Path(folder).absolute()
    there = next(p for p in (path, *path.parents) if p.exists())
    hint = f"{option} DIR puts it elsewhere"
    if there == path and not there.is_dir():
        raise EganError(f"{folder} is no folder", hint, 2)
    if not there.is_dir():
        raise EganError(f"cannot make {folder}: {there} is no folder", hint, 2)
    if why := closed(there):
        raise EganError(f"cannot write to {there}: {why}", hint)


def closed(folder: Path) -> str:
    """Why no file can be made in a folder, in the system's words, or nothing."""
    if os.access(folder, os.W_OK | os.X_OK):
        return ""
    return os.strerror(
        errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
    ).lower()


def write_output(data: bytes, out: str | None, force: bool = False) -> None:
    """Write to standard output (None or `-`) or, atomically, to a file.

    Raises EganError, leaving nothing behind.
    """
    if out is None or out == STDOUT:
        try:
            rest = memoryview(data)
            # With PYTHONUNBUFFERED one write may take only a part.
            while rest:
                rest = rest[sys.stdout.buffer.write(rest) :]
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise EganError(
                f"cannot write standard output: {reason_of(error)}"
            ) from error
        return
    path = Path(out)
    if path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with reporting(out):
            # A device or named pipe takes the bytes where it is.
            path.write_bytes(data)
        return
    # A link stays one, and so does /dev/stdout.
    path = Path(os.path.realpath(path))
    mode = (
        path.stat().st_mode & 0o777
        if path.exists()
        else 0o666 & ~atomic.current_umask()
    )
    with reporting(out):
        atomic.write(data, path, mode, force)


def write_private(data: bytes, out: str) -> None:
    """Write a private key: whole, mode 0600 from the start, and never over an existing
    file.
    """
    try:
        atomic.write(data, Path(out), 0o600, force=False)
    except FileExistsError as error:
        raise EganError(
            f"{out} exists already, and a private key is never overwritten",
            "use another name, or move the old key away",
        ) from error
    except OSError as error:
        raise EganError(f"cannot write {out}: {reason_of(error)}") from error


@contextlib.contextmanager
def reporting(out: str) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise EganError(
            f"{out} exists already", "overwrite it with --force, or use another name"
        ) from error
    except OSError as error:
        raise EganError(f"cannot write {out}: {reason_of(error)}") from error
