"""Key files: read, written both or not at all, and never overwritten where they are
private.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from egan.crypto import header, keys, passphrase
from egan.crypto.keys import PrivateKey, PublicKey
from egan.errors import EganError, Note
from egan.pictures import files
from egan.pictures.output import (
    STDOUT,
    check_output,
    png_bytes,
    write_output,
)
from egan.pictures.output import (
    write_private as write_new,
)

# Asks for a passphrase with the words given.
Ask = Callable[[str], str]


def read_private(source: str, ask: Ask | None = None) -> tuple[PrivateKey, list[Note]]:
    """The private key in a file, and a note where others can read it.

    ask: gives the passphrase of a key that has one; it is called once. Raises
    EganError, and WrongPassphrase where that does not open the key.
    """
    loaded = files.read_exact(source)
    notes = [*loaded.notes, *shared_note(source)]
    if not passphrase.is_locked(loaded.pixels, loaded.name):
        return keys.read_private(loaded.pixels, loaded.name), notes
    passphrase.read_locked(loaded.pixels, loaded.name)
    if ask is None:
        raise EganError(f"{loaded.name} has a passphrase, which was not given")
    words = ask(f"passphrase of {loaded.name}")
    return passphrase.unlock(loaded.pixels, words, loaded.name), notes


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
    """Whether a file is a picture that holds, or held before it was altered, a private
    key.
    """
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
    check_new_private(priv, "--priv")
    check_output(pub, force)


def check_new_private(priv: str, option: str) -> None:
    """Refuse the name of a file for a private key: `option` gave it."""
    if os.path.lexists(priv) and not os.path.isdir(priv):
        raise EganError(
            f"{priv} exists already, and a private key is never overwritten",
            f"use another name with {option}, or move the old key away",
        )
    check_output(priv, force=True)


def write_private(private: PrivateKey, priv: str, words: str | None) -> None:
    """A private key into a new file of mode 0600, under a passphrase where there are
    words.
    """
    write_new(private_bytes(private, words), priv)


def private_bytes(private: PrivateKey, words: str | None) -> bytes:
    """The PNG file of a private key, under a passphrase where there are words."""
    if words is None:
        return png_bytes(private.picture)
    return png_bytes(passphrase.lock(private, words))


def write_keys(
    private: PrivateKey,
    public: PublicKey,
    pub: str,
    priv: str,
    force: bool,
    words: str | None = None,
) -> None:
    """Both halves, or none: a public key alone invites pictures that nobody can open.

    words: the passphrase that the private key gets, if any.
    """
    shared = png_bytes(public.picture)
    write_private(private, priv, words)
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
