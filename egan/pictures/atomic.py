"""Files that are there whole or not at all, whatever ends the process.

A file gets its name only once all of it is on the disk. On Linux it has none until then
(O_TMPFILE) and goes away by itself; elsewhere it is a hidden file beside its place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from egan.errors import EganError

# Errors of file systems without hard links.
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV)


protected: Callable[[Path], bool] = lambda path: False
"""Whether a file is never overwritten.

`egan.commands.app` and `egan.api` set it for private keys.
"""


def refuse_protected(path: Path) -> None:
    """Raises EganError for a file that is never overwritten, under whatever name."""
    if path.is_file() and protected(path):
        raise EganError(
            f"{path} holds a private key, and a private key is never overwritten",
            "use another name, or move the key away",
        )


def write(data: bytes, path: Path, mode: int, force: bool) -> None:
    """A new file that has its name only once all of it is on the disk.

    Even SIGKILL leaves all or nothing. Raises OSError; FileExistsError where the name
    is taken and `force` is not set.
    """
    refuse_protected(path)
    descriptor = unnamed_file(path.parent)
    if descriptor is None:
        write_beside(data, path, mode, force)
        return
    try:
        name_unnamed(descriptor, data, path, mode, force)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        write_beside(data, path, mode, force)
    finally:
        os.close(descriptor)


def name_unnamed(
    descriptor: int, data: bytes, path: Path, mode: int, force: bool
) -> None:
    fill(descriptor, data, mode)
    unnamed = f"/proc/self/fd/{descriptor}"
    # With src_dir_fd Python calls linkat(2), which follows the link in /proc to the
    # file; link(2) does not.
    if not (force and os.path.lexists(path)):
        os.link(unnamed, path, src_dir_fd=descriptor, follow_symlinks=True)
        return
    # Only a rename takes the place of another file. Its first name is one by chance,
    # under which it is whole from the start.
    part = path.with_name(f".egan-{secrets.token_hex(8)}.part")
    try:
        os.link(unnamed, part, src_dir_fd=descriptor, follow_symlinks=True)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def unnamed_file(folder: Path) -> int | None:
    """A file without a name, which goes with the process; None without such files."""
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o600)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL):
            return None
        raise


def fill(descriptor: int, data: bytes, mode: int) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
    os.fchmod(descriptor, mode)
    os.fsync(descriptor)


def write_beside(data: bytes, path: Path, mode: int, force: bool) -> None:
    """Write a hidden file beside the place, and move it there when it is whole.

    For systems that have no files without a name.
    """
    with beside(path) as part:
        descriptor = os.open(part, os.O_WRONLY)
        try:
            fill(descriptor, data, mode)
        finally:
            os.close(descriptor)
        place(part, path, force)


@contextlib.contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A new empty file in the folder of `path`, removed at the end if it is still
    there.
    """
    descriptor, name = tempfile.mkstemp(
        prefix=".egan-", suffix=".part", dir=path.parent
    )
    os.close(descriptor)
    part = Path(name)
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def place(part: Path, path: Path, force: bool) -> None:
    """Move a finished file to its name.

    Raises FileExistsError where the name is taken and `force` is not set, even in a
    race.
    """
    if force:
        os.replace(part, path)
        return
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if path.exists():
            raise FileExistsError(errno.EEXIST, "exists", str(path)) from None
        os.replace(part, path)


def current_umask() -> int:
    """The umask of this process, read where the system tells it.

    The only other way is to set it and back, which threads beside this one would feel.
    """
    with contextlib.suppress(OSError), open("/proc/self/status") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    mask = os.umask(0)
    os.umask(mask)
    return mask
