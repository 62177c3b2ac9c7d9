"""What stands where keys are, for weights of a method that has none: a picture to look like, or nothing.

CycleGAN, MUNIT, DRIT and deep steganography hide a message from the eye alone. Whoever has the weights reads every
disguise, so the commands ask for no key, refuse those that are given, and say so once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from safetensors import SafetensorError, safe_open

from egan import terminal
from egan.baselines.options import BaselineOptions
from egan.core.options import ModelOptions
from egan.core.weights import find_weights, parse_metadata
from egan.crypto import keys
from egan.errors import EganError
from egan.pictures import compose, files
from egan.verbs import keygen as keyfiles
from egan.verbs import pipeline

if TYPE_CHECKING:
    from egan.core.model import Model


@dataclass(frozen=True, eq=False)
class Look:
    """A picture of the domain of disguises (to encrypt) or of covers (to decrypt), or None where the method takes none."""

    image: files.Picture | None
    options: BaselineOptions

    @property
    def picture(self) -> files.Picture | None:
        """What the networks get, under the name that it has in a public key."""
        return self.image


def load_model(
    key: keys.PublicKey | keys.PrivateKey | Look, weights: str | None, device: str
) -> Model:
    """The model that goes with what `sender` or `receiver` gave, with one warning line where it hides nothing."""
    if not isinstance(key, Look):
        return pipeline.load_model(weights, device)
    from egan.core.encryptgan import pick_device
    from egan.core.model import load_model

    model = load_model(find_weights(weights), pipeline.own_device(pick_device(device)))
    terminal.warn(
        f"{key.options.TITLE} has no keys: anyone who has these weights can read the message"
    )
    return model


def options_of(weights: str | None) -> ModelOptions | BaselineOptions:
    """What weights say of themselves, without torch. Raises EganError as loading them would."""
    path = find_weights(weights)
    try:
        with safe_open(str(path), "np") as file:
            return parse_metadata(file.metadata(), str(path))[0]
    except (SafetensorError, OSError) as error:
        raise EganError(f"cannot read weights {path}: {error}") from error


def sender(
    pub: str | None, flower: str | None, weights: str | None
) -> keys.PublicKey | Look:
    """What `egan encrypt` needs beside composites: a public key, or what a method without keys takes instead."""
    if pub is not None:
        if flower is None:
            return keyfiles.read_public(pub)
        if isinstance(options_of(weights), ModelOptions):
            return replace(keyfiles.read_public(pub), flower=files.read_picture(flower))
    options = without_keys(weights, "encrypt", "--pub", pub)
    if options.uses_disguise and flower is None:
        raise EganError(
            f"{options.TITLE} needs a picture that the disguise is to look like",
            "name one with --flower",
            2,
        )
    return look(flower, options, options.uses_disguise, "--flower")


def receiver(
    priv: str | None, cover: str | None, weights: str | None
) -> keys.PrivateKey | Look:
    """What `egan decrypt` needs beside disguises: a private key, or a picture like the cover, which may be missing."""
    if priv is not None and cover is None:
        return keyfiles.read_private(priv)
    if cover is not None and isinstance(options_of(weights), ModelOptions):
        raise EganError("--cover is for methods without keys", "leave it out", 2)
    options = without_keys(weights, "decrypt", "--priv", priv)
    return look(cover, options, options.uses_cover, "--cover")


def without_keys(
    weights: str | None, command: str, option: str, key: str | None
) -> BaselineOptions:
    """The options of weights of a method without keys. Raises EganError for weights with keys, and for a key.

    option: the name of the command's option for a key; key: what was given for it.
    """
    options = options_of(weights)
    if isinstance(options, ModelOptions):
        raise EganError(f"missing option '{option}'", f"see egan {command} --help", 2)
    if key is not None:
        raise EganError(f"{options.TITLE} has no keys", f"leave out {option}", 2)
    return options


def look(source: str | None, options: BaselineOptions, used: bool, option: str) -> Look:
    if source is None:
        return Look(None, options)
    if not used:
        raise EganError(f"{options.TITLE} does not take {option}", "leave it out", 2)
    side = options.image_size
    return Look(compose.fit_cover(files.read_picture(source), (side, side)), options)
