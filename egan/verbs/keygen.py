"""Key pairs as files: read with their warnings, made from a face and a flower, and written both or not at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from egan.crypto import keys
from egan.errors import EganError
from egan.pictures import compose, files
from egan.pictures.files import Picture
from egan.verbs.pipeline import load_model

if TYPE_CHECKING:
    from egan.core.encryptgan import EncryptGAN


def read_private(source: str) -> keys.PrivateKey:
    """The private key in a file, with a warning where others can read it."""
    private = keys.read_private(files.read_picture(source).pixels, files.shown(source))
    files.warn_if_shared(source)
    return private


def read_public(source: str) -> keys.PublicKey:
    return keys.read_public(files.read_picture(source).pixels, files.shown(source))


def key_pair(
    model: EncryptGAN, face: Picture, flower: Picture
) -> tuple[keys.PrivateKey, keys.PublicKey]:
    """A fresh key pair from uint8 pictures (H, W, 3) of both domains, of any sizes that the networks take."""
    o = model.options
    return keys.make_pair(
        model.key_images(face[None], o.private_layers)[0],
        model.key_images(flower[None], o.public_layers)[0],
        model.key_network,
    )


def make_keys(
    face: str,
    flower: str,
    pub: str,
    priv: str,
    size: int,
    force: bool,
    weights: str | None,
    device: str,
) -> str:
    """`egan keygen`: write both key pictures, size x size, and return the fingerprint."""
    files.one_standard_input(face, flower)
    check_key_files(pub, priv, force)
    side = compose.parse_size(str(size), "--size")
    x, y = (
        compose.fit_cover(files.read_picture(source), side, "--size")
        for source in (face, flower)
    )
    private, public = key_pair(load_model(weights, device), x, y)
    write_keys(private, public, pub, priv, force)
    return public.fingerprint


def check_key_files(pub: str, priv: str, force: bool) -> None:
    """Refuse the names of a new key pair before any work is done."""
    if priv == files.STDOUT:
        raise EganError(
            "a private key is written to a file only", "name one with --priv", 2
        )
    if os.path.realpath(pub) == os.path.realpath(priv):
        raise EganError("the two keys need two files", status=2)
    files.check_output(pub, force)
    files.check_output(priv, force=True)
    if os.path.lexists(priv):
        raise EganError(
            f"{priv} exists already, and a private key is never overwritten",
            "use another name with --priv, or move the old key away",
        )


def write_keys(
    private: keys.PrivateKey, public: keys.PublicKey, pub: str, priv: str, force: bool
) -> None:
    """Both halves, or none: the private one first, since a public key without it invites pictures nobody can open."""
    shared = files.png_bytes(public.picture)
    files.write_private(files.png_bytes(private.picture), priv)
    try:
        files.write_output(shared, pub, force)
    except BaseException:
        if not holds(
            pub, shared
        ):  # else the pair is whole: an interruption came too late to undo it
            os.unlink(priv)  # half a pair is no use, and would block the next try
        raise


def holds(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(data) + 1) == data
    except OSError:
        return False
