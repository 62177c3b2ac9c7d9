"""Key files: read, written both or not at all, and never overwritten where they are private."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from egan.crypto import header, keys
from egan.crypto.keys import PrivateKey, PublicKey
from egan.errors import EganError, Note
from egan.pictures import files
from egan.pictures.output import (
    STDOUT,
    check_output,
    png_bytes,
    write_output,
    write_private,
)


def read_private(source: str) -> tuple[PrivateKey, list[Note]]:
    """The private key in a file, and a note where others can read it."""
    loaded = files.read_exact(source)
    private = keys.read_private(loaded.pixels, loaded.name)
    return private, [*loaded.notes, *shared_note(source)]


def read_public(source: str) -> PublicKey:
    loaded = files.read_exact(source)
    return keys.read_public(loaded.pixels, loaded.name)


def shared_note(source: str) -> list[Note]:
    """A warning where a private key can be read by others than its owner."""
    if source == files.STDIN or os.name != "posix":
        return []
    try:
        mode = os.stat(source).st_mode
    except OSError:
        return []
    if not stat.S_ISREG(mode) or not mode & 0o077:
        return []
    text = f"others can read the private key {source} (mode {mode & 0o777:04o}); make it yours: chmod 600 {source}"
    return [Note(text, warning=True)]


def holds_private_key(path: Path) -> bool:
    """Whether a file is a picture that holds, or held before it was altered, a private key."""
    try:
        pixels = files.read_exact(str(path)).pixels
    except EganError:
        return False
    return header.claimed_kind(pixels) in header.PRIVATE_KINDS


def check_key_files(pub: str, priv: str, force: bool) -> None:
    """Refuse the names of a new key pair before any work is done."""
    if priv == STDOUT:
        raise EganError(
            "a private key is written to a file only", "name one with --priv", 2
        )
    if os.path.realpath(pub) == os.path.realpath(priv):
        raise EganError("the two keys need two files", status=2)
    if os.path.lexists(priv) and not os.path.isdir(priv):
        raise EganError(
            f"{priv} exists already, and a private key is never overwritten",
            "use another name with --priv, or move the old key away",
        )
    check_output(priv, force=True)
    check_output(pub, force)


def write_keys(
    private: PrivateKey, public: PublicKey, pub: str, priv: str, force: bool
) -> None:
    """Both halves, or none: a public key alone invites pictures that nobody can open."""
    shared = png_bytes(public.picture)
    write_private(png_bytes(private.picture), priv)
    try:
        write_output(shared, pub, force)
    except BaseException:
        # An interruption may come too late to undo the pair.
        if not holds(pub, shared):
            os.unlink(priv)
        raise


def holds(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(data) + 1) == data
    except OSError:
        return False
