"""Weights files: found by name, described without their networks, and loaded once a
picture is at hand.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from egan.core.options import FAMILIES, BaselineOptions, ModelOptions
from egan.core.weights import listed, read_description
from egan.errors import EganError, Note

if TYPE_CHECKING:
    from egan.core.encryptgan import EncryptGANNetworks
    from egan.core.inference import KeyedModel
    from egan.core.model import Model

# Names of the weights in the package.
SHIPPED = tuple(FAMILIES)


class Weights:
    """A weights file and, from the first use of `model` on, its networks on a device.

    Everything else is read from the file's header, without torch.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        """Raises EganError for a file that is damaged or no weights file of egan's."""
        self.path = path
        self.device = device
        self.found = read_description(path)
        self.id = self.found.id
        self.options = self.found.options
        self.training = self.found.training
        self.key_network = self.found.key_network

    @property
    def keyed(self) -> bool:
        """Whether users hold key images. The compared methods have none."""
        return isinstance(self.options, ModelOptions)

    @property
    def locked(self) -> bool:
        """Whether the generators carry the phase lock (family `egan`)."""
        return self.options.family == "egan"

    @property
    def note(self) -> Note | None:
        """The warning about weights without a lock; None with a lock."""
        if isinstance(self.options, BaselineOptions):
            what = f"{self.options.TITLE} has no keys: anyone who has these weights can read the message"
        elif self.locked:
            return None
        else:
            what = "these weights have no lock: anyone can read the message without the private key"
        return Note(what, warning=True, urgent=True)

    @cached_property
    def model(self) -> Model:
        """The networks. Raises EganError for a device that is not there."""
        from egan.core.runtime import open_model

        return open_model(self.found, own_device(self.device))

    @property
    def gan(self) -> KeyedModel:
        """The networks of a method with keys."""
        return cast("KeyedModel", self.model)

    @cached_property
    def networks(self) -> EncryptGANNetworks:
        """The networks of a method with keys in torch, whatever `model` runs on: with
        gradients.
        """
        from egan.core.device import device_name
        from egan.core.encryptgan import EncryptGANNetworks

        return EncryptGANNetworks.load(self.path, device_name(self.device))

    @property
    def batch(self) -> int:
        """Pictures a pass. The same on every CPU, so that results are the same too."""
        return self.model.batch

    def keystream_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape (P, H/4, W/4) of the keystream of one picture: P is 0 without a lock."""
        return self.model.keystream_shape(height, width)


def find_weights(named: str | None, option: str = "") -> Path:
    """The weights file: `named`, else $EGAN_WEIGHTS, else the installed package's own.

    Either name is a path, or one of SHIPPED. `option` says in errors who gave the name.
    Raises EganError where the file is not there.
    """
    given_by = (
        (f"named by {option}" if option else "", named),
        ("named by EGAN_WEIGHTS", os.environ.get("EGAN_WEIGHTS")),
    )
    for source, given in given_by:
        if given:
            path = Path(given)
            if path.is_file():
                return path
            shipped = shipped_file(given) if given in SHIPPED else None
            if shipped is not None:
                return shipped
            raise EganError(f"no weights file {given}", source, 2)
    own = shipped_file("egan")
    if own is not None:
        return own
    raise EganError(
        "this installation carries no weights",
        "name a file of weights, or install egan again",
    )


def shipped_file(name: str) -> Path | None:
    """The path of weights that ship, by name; None where this installation lacks them."""
    paths = (folder / f"{name}.safetensors" for folder in shipped_folders())
    return next((path for path in paths if path.is_file()), None)


def shipped_folders() -> tuple[Path, ...]:
    """The folders of the package's own weights: in the wheel, in a checkout."""
    here = Path(__file__).resolve().parent.parent
    return here / "weights", here.parent / "weights"


def shipped_as(identity: bytes) -> Path | None:
    """The file of the weights with this id among those that ship, by SHA256SUMS."""
    for folder in shipped_folders():
        for name, digest in listed(folder):
            if digest.startswith(identity.hex()) and (folder / name).is_file():
                return folder / name
    return None


def made_by(identity: bytes, weights: Weights, named: bool, name: str) -> Weights:
    """The weights with an id that a picture's header names: these, or others that ship.

    named: the caller asked for these weights, so no others are taken. Raises EganError,
    naming the picture, where they cannot be had.
    """
    if identity == weights.id:
        return weights
    path = shipped_as(identity)
    if path is not None and not named:
        return Weights(path, weights.device)
    raise EganError(
        f"{name} was made with other weights ({identity.hex()}; these are {weights.id.hex()})",
        f"it was made with the weights {path.stem}, which ship with egan"
        if path
        else "name the weights that made it",
    )


def own_device(name: str) -> str:
    """The GPU of this process where `torchrun` started one for each; else the device."""
    local = os.environ.get("LOCAL_RANK", "")
    if not local.isdecimal() or name not in ("auto", "cuda"):
        return name
    from egan.core.device import device_name

    if device_name(name) != "cuda":
        return name
    import torch

    return f"cuda:{int(local) % max(torch.cuda.device_count(), 1)}"
