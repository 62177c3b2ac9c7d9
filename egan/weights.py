"""Weights files without torch: where they are, whether they are whole, and what they say of themselves."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from egan.baselines.options import OPTIONS, BaselineOptions
from egan.errors import EganError
from egan.options import ModelOptions

WEIGHTS_VERSION = "weights/2"
SUMS = "SHA256SUMS"


def find_weights(named: str | None, name: str = "egan.safetensors") -> Path:
    """The weights file: `named`, else $EGAN_WEIGHTS, else the installed package's own.

    Raises EganError where the file is not there.
    """
    for source, given in (("--weights", named), ("EGAN_WEIGHTS", os.environ.get("EGAN_WEIGHTS"))):
        if given:
            path = Path(given)
            if not path.is_file():
                raise EganError(f"no weights file {given}", f"named by {source}", 2)
            return path
    here = Path(__file__).resolve().parent
    for folder in (here / "weights", here.parent / "weights"):  # in the wheel; in a checkout
        if (folder / name).is_file():
            return folder / name
    raise EganError("this installation carries no weights", "name a file with --weights or EGAN_WEIGHTS")


def weights_id(path: Path) -> bytes:
    """The first 8 bytes of the file's SHA-256, after checking it against SHA256SUMS in its folder, if listed there.

    Raises EganError where the digest is another.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        sums = path.parent / SUMS
        lines = sums.read_text().splitlines() if sums.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise EganError(f"cannot read weights {path}: {error}") from error
    for line in lines:
        expected, _, name = line.partition(" ")
        # sha256sum puts a space or, for binary mode, a star before the name
        if name[1:] == path.name and expected != digest.hexdigest():
            raise EganError(
                f"weights {path} do not have the digest in {SUMS}",
                "the file is damaged or was replaced; install egan again",
            )
    return digest.digest()[:8]


def parse_metadata(metadata: Any, name: str) -> tuple[ModelOptions | BaselineOptions, dict[str, Any]]:
    """Model options and training summary. Raises EganError for what is not egan's or of an unknown version."""
    version = metadata.get("egan") if isinstance(metadata, dict) else None
    if version is None:
        raise EganError(f"{name} holds no egan weights", "make some with `egan train`")
    if version != WEIGHTS_VERSION:
        raise EganError(
            f"{name} has format {version!r}, which this egan does not know",
            "a newer egan may read it; a training checkpoint is no weights file",
        )
    try:
        options = json.loads(metadata["options"])
        training = json.loads(metadata.get("training", "{}"))
        if not isinstance(options, dict) or not isinstance(training, dict):
            raise TypeError("not an object")
        family = options.get("family")
        kind = OPTIONS.get(family, ModelOptions) if isinstance(family, str) else ModelOptions
        return kind.from_dict(options), training
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise EganError(f"the description in {name} is damaged") from error
