"""`egan encrypt`: composites to disguises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from egan import terminal
from egan.commands.options import (
    Device,
    Folder,
    Force,
    Listed,
    Out,
    Quiet,
    Weights,
    public,
    several,
)
from egan.errors import EganError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egan.commands.batches import Result
    from egan.crypto.keys import PublicKey
    from egan.pictures.files import Loaded
    from egan.pictures.sources import Source
    from egan.verbs.job import Job, Look
    from egan.verbs.weights import Weights as WeightsFile

EXAMPLES = (
    "egan encrypt --pub friend-pub.png composite.png -o disguise.png",
    "egan compose cover.jpg note.png | egan encrypt --pub friend-pub.png > disguise.png",
    "egan encrypt --pub friend-pub.png --sign priv.png composites/ -d disguises",
)


def encrypt(
    inputs: Annotated[list[str] | None, several("COMPOSITE", "Composites")] = None,
    pub: Annotated[str | None, public("The receiver's")] = None,
    flower: Annotated[
        str | None,
        typer.Option(
            "--flower",
            metavar="FILE",
            help="A picture for the disguise to look like, instead of the public key's flower.",
        ),
    ] = None,
    sign: Annotated[
        str | None,
        typer.Option(
            "--sign",
            metavar="FILE",
            help="Your private key: tell the receiver, and nobody else, who you are.",
        ),
    ] = None,
    output: Out = None,
    directory: Folder = None,
    listed: Listed = None,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Turn composites into disguises that only the holder of the private key turns back."""
    terminal.quiet = quiet
    from egan.commands import batches
    from egan.commands import inputs as finding
    from egan.pictures import files
    from egan.verbs import hide, keys

    found = finding.find(inputs, listed, directory, output, force, (pub, sign, flower))
    weights_file = finding.open_weights(weights, device)
    receiver, look = receiver_of(weights_file, pub, flower)
    signer = None
    if sign is not None:
        signer, notes = keys.read_private(sign)
        terminal.tell(notes)

    def read(source: Source) -> Job:
        loaded = files.read_picture(source.path)
        return hide.composite_job(loaded, source.path, weights_file, signer)

    def work(jobs: Sequence[Job]) -> list[Result]:
        disguises = hide.encrypt(jobs, receiver, signer, look)
        return [
            batches.Result(job, disguise)
            for job, disguise in zip(jobs, disguises, strict=True)
        ]

    batches.run(found, batches.Verb(read, work, "encrypting"))


def receiver_of(
    weights: WeightsFile, pub: str | None, flower: str | None
) -> tuple[PublicKey | Look, Loaded | None]:
    """The receiver's public key and the flower to paint, if any.

    A method without keys takes no public key; some need a flower.
    """
    from egan.core.options import ModelOptions
    from egan.pictures import files
    from egan.verbs import keys
    from egan.verbs.job import Look

    options = weights.options
    if isinstance(options, ModelOptions):
        if pub is None:
            raise EganError("missing option '--pub'", "see egan encrypt --help", 2)
        loaded = files.read_picture(flower) if flower is not None else None
        return keys.read_public(pub), loaded
    if pub is not None:
        raise EganError(f"{options.TITLE} has no keys", "leave out --pub", 2)
    if options.uses_disguise and flower is None:
        raise EganError(
            f"{options.TITLE} needs a picture that the disguise is to look like",
            "name one with --flower",
            2,
        )
    if flower is not None and not options.uses_disguise:
        raise EganError(f"{options.TITLE} does not take --flower", "leave it out", 2)
    loaded = files.read_picture(flower) if flower is not None else None
    return Look.of(loaded, options), None
