"""`egan sign`: secret images to signed pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from egan import terminal
from egan.commands.options import (
    PRIV,
    Device,
    Folder,
    Force,
    Listed,
    Out,
    PassphraseFd,
    Quiet,
    Weights,
    several,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egan.commands.batches import Result
    from egan.pictures.sources import Source
    from egan.verbs.job import Job

EXAMPLES = (
    "egan sign secret.png --priv priv.png > signed.png",
    "egan sign secret.jpg --size 256 --priv priv.png -o signed.png",
    "egan sign secrets/ --priv priv.png -d signed",
)


def sign(
    priv: Annotated[str, PRIV],
    inputs: Annotated[list[str] | None, several("SECRET", "Secret images")] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="N|WxH",
            help="Crop the secret around its centre and resize it [default: as it is].",
        ),
    ] = None,
    passphrase_fd: PassphraseFd = None,
    output: Out = None,
    directory: Folder = None,
    listed: Listed = None,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Turn secret images into signed pictures, which anyone with your public key can check and decode."""
    terminal.quiet = quiet
    from egan.commands import batches
    from egan.commands import inputs as finding
    from egan.pictures import files
    from egan.pictures.sizes import parse_size
    from egan.verbs import keys
    from egan.verbs import sign as signing

    found = finding.find(inputs, listed, directory, output, force, (priv,))
    wanted = parse_size(size, "--size") if size is not None else None
    weights_file = finding.open_weights(weights, device, keys_needed=True)
    private, notes = keys.read_private(priv, finding.passphrases(passphrase_fd))
    terminal.tell(notes)

    def read(source: Source) -> Job:
        loaded = files.read_picture(source.path)
        return signing.secret_job(loaded, source.path, weights_file, wanted)

    def work(jobs: Sequence[Job]) -> list[Result]:
        signed = signing.sign(jobs, private)
        return [
            batches.Result(job, picture)
            for job, picture in zip(jobs, signed, strict=True)
        ]

    batches.run(found, batches.Verb(read, work, "signing"))
