"""`egan keygen`: key pairs from faces and flowers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egan import terminal
from egan.commands.options import Device, PassphraseFd, Quiet, Weights
from egan.errors import EganError

EXAMPLES = (
    "egan keygen face.jpg rose.jpg",
    "egan keygen face.jpg rose.jpg --pub ann-pub.png --priv ann-priv.png",
    "egan keygen faces/ rose.jpg -d keys",
)


def keygen(
    face: Annotated[
        str,
        typer.Argument(
            metavar="FACE",
            help="Picture of the domain of covers, or -; with -d, or a folder.",
        ),
    ],
    flower: Annotated[
        str,
        typer.Argument(
            metavar="FLOWER",
            help="Picture of the domain of disguises, or -; or a folder, as for FACE.",
        ),
    ],
    pub: Annotated[
        str, typer.Option("--pub", metavar="FILE", help="Where the public key goes.")
    ] = "pub.png",
    priv: Annotated[
        str,
        typer.Option(
            "--priv",
            metavar="FILE",
            help="Where the private key goes; never overwritten.",
        ),
    ] = "priv.png",
    size: Annotated[
        int,
        typer.Option("--size", metavar="N", help="Side of the key pictures in pixels."),
    ] = 256,
    directory: Annotated[
        str | None,
        typer.Option(
            "-d",
            "--directory",
            metavar="DIR",
            help="Make NAME-pub.png and NAME-priv.png here for every FACE.",
        ),
    ] = None,
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase",
            help="Give the private key a passphrase, asked for on the terminal: without it nobody can use the file.",
        ),
    ] = False,
    passphrase_fd: PassphraseFd = None,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing public key.")
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Make a key pair from a face and a flower: pub.png to hand out, priv.png to keep."""
    terminal.quiet = quiet
    from egan.commands import inputs
    from egan.commands.batches import Failures, target
    from egan.crypto.keys import grouped
    from egan.pictures import compose, files
    from egan.pictures.output import reporting
    from egan.pictures.sizes import parse_size
    from egan.verbs import keys
    from egan.verbs.keygen import key_pair

    files.one_standard_input(face, flower)
    if directory is not None and (pub, priv) != ("pub.png", "priv.png"):
        raise EganError("-d and --pub or --priv exclude each other", status=2)
    found = inputs.find([face], folder=directory, several=True, writes=False)
    inputs.alone()
    inputs.check_partner(flower, found.sources)
    side = parse_size(str(size), "--size")
    weights_file = inputs.open_weights(weights, device, keys_needed=True)
    words = None
    if passphrase_fd is not None:
        words = inputs.passphrases(passphrase_fd)("passphrase")
    elif passphrase:
        words = terminal.ask_passphrase("passphrase of the private key", twice=True)
    failures = Failures(alone=directory is None)
    told = False
    for error in found.skipped:
        failures.add(error, str(error))
    for source in terminal.progress(found.sources, len(found.sources), "making keys"):
        try:
            if directory is not None:
                pub = target(directory, source.stem, "-pub")
                priv = target(directory, source.stem, "-priv")
                with reporting(pub):
                    Path(pub).parent.mkdir(parents=True, exist_ok=True)
            keys.check_key_files(pub, priv, force)
            x, y = (
                compose.fit_cover(files.read_picture(path), side, "--size")
                for path in (source.path, inputs.partner(flower, source))
            )
            private, public = key_pair(weights_file, x, y)
            if weights_file.note is not None and not told:
                terminal.tell([weights_file.note])
                told = True
            keys.write_keys(private, public, pub, priv, force, words)
        except EganError as error:
            failures.add(error, source.path)
            continue
        if directory is not None:
            terminal.note(f"{pub}: {grouped(public.fingerprint)}")
        else:
            terminal.note(
                f"public key: {pub}\nprivate key: {priv}\nfingerprint: {grouped(public.fingerprint)}"
            )
    failures.finish(len(found.sources) + len(found.skipped))
