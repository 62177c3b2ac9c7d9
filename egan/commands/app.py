"""The commands. Each is a few lines over `egan.verbs.pipeline`; whatever takes time to import is imported inside."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from egan import terminal
from egan.commands import models as cli_models
from egan.commands import signing as cli_signing
from egan.commands.options import (
    Device,
    Folder,
    Force,
    Json,
    Listed,
    Out,
    Quiet,
    Weights,
    several,
)
from egan.errors import EganError

app = typer.Typer(
    name="egan",
    help="Hide pictures inside pictures of another kind.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(value: bool) -> None:
    if value:
        from egan import __version__

        print(f"egan {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=print_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Hide pictures inside pictures of another kind.

    You paste a message on a face, a network turns the composite into a flower, and only the holder of the private key
    turns the flower back. Start with: egan demo
    """


@app.command()
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
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite an existing public key.")
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Make a key pair from a face and a flower: pub.png to hand out, priv.png to keep."""
    terminal.quiet = quiet
    from egan.commands import batch
    from egan.verbs import keygen as keyfiles

    if directory is not None:
        if (pub, priv) != ("pub.png", "priv.png"):
            raise EganError("-d and --pub or --priv exclude each other", status=2)
        batch.keygen(face, flower, directory, size, force, weights, device)
        return
    fingerprint = keyfiles.make_keys(
        face, flower, pub, priv, size, force, weights, device
    )
    terminal.note(f"public key: {pub}\nprivate key: {priv}\nfingerprint: {fingerprint}")


@app.command()
def compose(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="COVER... MESSAGE",
            help="The pictures to paste on, then the one to hide, of which alpha is respected; - is standard input.",
        ),
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            metavar="X,Y",
            help="Margins from the left and top; with a minus sign, -0 too, from the right or bottom.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="N|WxH",
            help="Resize the message: longer side, or width and height.",
        ),
    ] = None,
    random: Annotated[
        bool, typer.Option("--random", help="Paste at a random place.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="Make --random repeatable."),
    ] = None,
    cover_size: Annotated[
        str | None,
        typer.Option(
            "--cover-size",
            metavar="N|WxH|keep",
            help="Crop the cover around its centre and resize it [default: 256].",
        ),
    ] = None,
    output: Out = None,
    directory: Folder = None,
    listed: Listed = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Paste a message on a cover, and note its box for `egan encrypt`. Repeat it in a pipe for several messages."""
    terminal.quiet = quiet
    from egan.commands import batch
    from egan.pictures import compose as composing
    from egan.pictures import files

    if at is not None and random:
        raise EganError("--at and --random exclude each other", status=2)
    if seed is not None and not random:
        raise EganError("--seed is for --random", status=2)
    *covers, message = inputs
    if not covers and listed is None:
        raise EganError("missing argument 'MESSAGE'", "see egan compose --help", 2)
    sources = batch.start(covers, directory, output, (message,), force, listed)
    place = composing.parse_place(at) if at is not None else None
    recipe = composing.Recipe(place, size, random, seed, cover_size)
    if directory is not None:
        batch.compose(sources, message, recipe, directory, force)
        return
    result, text = recipe.apply(
        files.read_picture(sources[0].path), files.read_picture(message)
    )
    files.write_output(files.png_bytes(result, text), output, force)


@app.command()
def encrypt(
    inputs: Annotated[list[str] | None, several("COMPOSITE", "Composites")] = None,
    pub: Annotated[
        str | None,
        typer.Option(
            "--pub", metavar="FILE", help="The receiver's public key; required."
        ),
    ] = None,
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
    from egan.commands import batch
    from egan.pictures import files
    from egan.verbs import intake, pipeline
    from egan.verbs import keygen as keyfiles
    from egan.verbs import look as keyless

    sources = batch.start(inputs, directory, output, (pub, sign, flower), force, listed)
    public = keyless.sender(pub, flower, weights)
    signer = keyfiles.read_private(sign) if sign is not None else None
    if directory is not None:
        batch.encrypt(sources, directory, public, signer, force, weights, device)
        return
    job = intake.read_composite(sources[0].path)
    model = keyless.load_model(public, weights, device)
    pipeline.can_sign(model, signer)
    (disguise,) = pipeline.encrypt_batch(model, public, [job], signer)
    files.write_output(files.png_bytes(disguise), output, force)


@app.command()
def decrypt(
    inputs: Annotated[list[str] | None, several("DISGUISE", "Disguises")] = None,
    priv: Annotated[
        str | None,
        typer.Option("--priv", metavar="FILE", help="Your private key; required."),
    ] = None,
    cover: Annotated[
        str | None,
        typer.Option(
            "--cover",
            metavar="FILE",
            help="For munit and drit: a picture that looks like the cover.",
        ),
    ] = None,
    sender: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The sender's public key: refuse what this key did not sign.",
        ),
    ] = None,
    message: Annotated[
        bool, typer.Option("--message", help="Write the cut-out message alone.")
    ] = False,
    number: Annotated[
        int,
        typer.Option(
            "--number",
            metavar="N",
            help="Which message, where there are several: 1 is the first that was pasted.",
        ),
    ] = 1,
    output: Out = None,
    directory: Folder = None,
    listed: Listed = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Overwrite an existing file, and without --from decode even with a wrong key or an altered picture.",
        ),
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Turn disguises back into composites, or with --message into the messages."""
    terminal.quiet = quiet
    from egan.commands import batch
    from egan.pictures import files
    from egan.verbs import intake, pipeline
    from egan.verbs import keygen as keyfiles
    from egan.verbs import look as keyless

    if number != 1 and (not message or directory is not None):
        raise EganError("--number is for --message and one picture", status=2)
    sources = batch.start(
        inputs, directory, output, (priv, sender, cover), force, listed
    )
    private = keyless.receiver(priv, cover, weights)
    known = keyfiles.read_public(sender) if sender is not None else None
    if directory is not None:
        batch.decrypt(
            sources, directory, private, known, message, force, weights, device
        )
        return
    loaded = files.read_picture(sources[0].path)  # refused before torch is imported
    model = keyless.load_model(private, weights, device)
    job = intake.open_disguise(loaded, sources[0].path, private, model, force, known)
    found = batch.pieces(job, pipeline.decrypt_batch(model, private, [job])[0], message)
    if message and not 1 <= number <= len(found):
        raise EganError(
            f"there is no message {number}: the picture holds {len(found)}", status=2
        )
    result = found[number - 1 if message else 0]
    files.write_output(files.png_bytes(result.pixels, result.text), output, force)
    batch.tell_sender(job, known)


@app.command()
def inspect(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[FILE]...",
            help="Pictures or safetensors files; standard input when none is named.",
        ),
    ] = None,
    listed: Listed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say what files are: keys, disguises, signed pictures, composites, or weights."""
    terminal.quiet = quiet
    from egan.commands import batch

    batch.inspect(
        batch.start(inputs, None, None, (), False, listed, several=True), json
    )


COMMANDS: tuple[Any, ...] = (
    cli_signing.sign,
    cli_signing.verify,
    cli_signing.calibrate,
    cli_models.train,
    cli_models.bench,
    cli_models.demo,
)
for command in COMMANDS:
    app.command()(command)


def start() -> None:
    """Run the command line. Usage errors become EganError with status 2."""
    try:
        status = app(prog_name="egan", standalone_mode=False)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # typer makes it exit 1
            raise error.__context__ from None
        raise
    except Exception as error:
        # typer brings its own copy of click, whose exceptions have no public name
        words = getattr(error, "format_message", None)
        if words is None:
            raise
        if not sys.argv[1:]:
            print(words(), file=sys.stderr)  # the help
            sys.exit(2)
        text = words().rstrip(".")
        raise EganError(
            text[:1].lower() + text[1:], hint_for_usage(error), 2
        ) from error
    if status == 130:
        raise KeyboardInterrupt  # typer makes it an exit status
    if isinstance(status, int) and status:
        sys.exit(status)


def hint_for_usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context else "see egan --help"
