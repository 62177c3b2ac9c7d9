"""The commands. Each is a few lines over `egan.pipeline`; whatever takes time to import is imported inside."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from egan import cli_models, terminal
from egan.arguments import Device, Folder, Force, Json, Out, Quiet, Weights
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
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hide pictures inside pictures of another kind.

    You paste a message on a face, a network turns the composite into a flower, and only the holder of the private key
    turns the flower back. Start with: egan demo
    """


@app.command()
def keygen(
    face: Annotated[str, typer.Argument(metavar="FACE", help="Picture of the domain of covers, or -.")],
    flower: Annotated[
        str, typer.Argument(metavar="FLOWER", help="Picture of the domain of disguises, or -.")
    ],
    pub: Annotated[str, typer.Option("--pub", metavar="FILE", help="Where the public key goes.")] = "pub.png",
    priv: Annotated[
        str, typer.Option("--priv", metavar="FILE", help="Where the private key goes; never overwritten.")
    ] = "priv.png",
    size: Annotated[
        int, typer.Option("--size", metavar="N", help="Side of the key pictures in pixels.")
    ] = 256,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing public key.")] = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Make a key pair from a face and a flower: pub.png to hand out, priv.png to keep."""
    terminal.quiet = quiet
    from egan import pipeline

    fingerprint = pipeline.make_keys(face, flower, pub, priv, size, force, weights, device)
    terminal.note(f"public key: {pub}\nprivate key: {priv}\nfingerprint: {fingerprint}")


@app.command()
def compose(
    cover: Annotated[str, typer.Argument(metavar="COVER", help="The picture to paste on, or -.")],
    message: Annotated[
        str, typer.Argument(metavar="MESSAGE", help="The picture to hide, or -; alpha is respected.")
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
        typer.Option("--size", metavar="N|WxH", help="Resize the message: longer side, or width and height."),
    ] = None,
    random: Annotated[bool, typer.Option("--random", help="Paste at a random place.")] = False,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Make --random repeatable.")] = None,
    cover_size: Annotated[
        str | None,
        typer.Option(
            "--cover-size",
            metavar="N|WxH|keep",
            help="Crop the cover around its centre and resize it [default: 256].",
        ),
    ] = None,
    output: Out = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Paste a message on a cover, and note its box for `egan encrypt`. Repeat it in a pipe for several messages."""
    terminal.quiet = quiet
    from egan import compose as composing
    from egan import files, pipeline

    if at is not None and random:
        raise EganError("--at and --random exclude each other", status=2)
    if seed is not None and not random:
        raise EganError("--seed is for --random", status=2)
    pipeline.one_standard_input(cover, message)
    files.check_output(output, force)
    place = composing.parse_place(at) if at is not None else None
    wanted = None if cover_size == "keep" else composing.parse_size(cover_size or "256", "--cover-size")
    under, over = files.read_picture(cover), files.read_picture(message)
    boxes = composing.noted_boxes(under)
    if boxes:  # already composed: cutting it again would move the boxes
        if cover_size not in (None, "keep"):
            raise EganError(
                f"{under.name} is composed already", "give --cover-size where it is composed first", 2
            )
        wanted = None
    canvas = composing.fit_cover(under, wanted)
    pasted = composing.fit_message(over, size)
    if place is None:
        place = composing.Place(0, 0)
        if random:
            place = composing.random_place((canvas.shape[1], canvas.shape[0]), pasted.size, seed)
        elif pasted.width <= canvas.shape[1] and pasted.height <= canvas.shape[0]:
            place = composing.Place(
                (canvas.shape[1] - pasted.width) // 2, (canvas.shape[0] - pasted.height) // 2
            )
    result, box = composing.paste(canvas, pasted, place)
    if len(boxes) + 1 > composing.MOST_BOXES:
        raise EganError(f"{under.name} holds {len(boxes)} messages already", "that is the most")
    files.write_output(files.png_bytes(result, composing.boxes_text((*boxes, box))), output, force)


@app.command()
def encrypt(
    pub: Annotated[str, typer.Option("--pub", metavar="FILE", help="The receiver's public key.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMPOSITE]...", help="Composites; standard input when none is named."),
    ] = None,
    output: Out = None,
    directory: Folder = None,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Turn composites into disguises that only the holder of the private key turns back."""
    terminal.quiet = quiet
    from egan import files, keys, pipeline

    sources = start_many(inputs, directory, output, pub, force)
    public = keys.read_public(files.read_picture(pub).pixels, files.shown(pub))
    if directory is None:
        job = pipeline.read_composite(sources[0])
        model = pipeline.load_model(weights, device)
        (disguise,) = pipeline.encrypt_batch(model, public, [job])
        files.write_output(files.png_bytes(disguise), output, force)
        return
    pipeline.check_folder(directory, sources)
    model = pipeline.load_model(weights, device)

    def work(jobs: Any) -> Any:
        disguises = pipeline.encrypt_batch(model, public, jobs)
        return [(job, "", disguise, {}) for job, disguise in zip(jobs, disguises, strict=True)]

    finish(
        pipeline.many(
            sources, directory, force, pipeline.read_composite, work, batch_size(model), "encrypting"
        ),
        sources,
    )


@app.command()
def decrypt(
    priv: Annotated[str, typer.Option("--priv", metavar="FILE", help="Your private key.")],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DISGUISE]...", help="Disguises; standard input when none is named."),
    ] = None,
    message: Annotated[bool, typer.Option("--message", help="Write the cut-out message alone.")] = False,
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
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Overwrite an existing file, and decode even with a wrong key or an altered picture.",
        ),
    ] = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Turn disguises back into composites, or with --message into the messages."""
    terminal.quiet = quiet
    from egan import compose as composing
    from egan import files, keys, pipeline

    if number != 1 and (not message or directory is not None):
        raise EganError("--number is for --message and one picture", status=2)
    sources = start_many(inputs, directory, output, priv, force)
    private = keys.read_private(files.read_picture(priv).pixels, files.shown(priv))
    if directory is not None:
        pipeline.check_folder(directory, sources)
    loaded = files.read_picture(sources[0]) if directory is None else None  # refused before torch is imported
    model = pipeline.load_model(weights, device)

    def read(source: str) -> pipeline.Job:
        job = pipeline.open_disguise(loaded or files.read_picture(source), source, private, model, force)
        if message:
            pipeline.need_boxes(job)
        return job

    def work(jobs: Any) -> Any:
        recovered = pipeline.decrypt_batch(model, private, jobs)
        return [piece for job, picture in zip(jobs, recovered, strict=True) for piece in pieces(job, picture)]

    def pieces(job: pipeline.Job, picture: Any) -> list[Any]:
        if not message:
            return [(job, "", picture, composing.boxes_text(job.boxes) if job.boxes else {})]
        cut = pipeline.cut_messages(job, picture)
        return [(job, f"-{i}" if len(cut) > 1 else "", part, {}) for i, part in enumerate(cut, 1)]

    if directory is not None:
        finish(pipeline.many(sources, directory, force, read, work, batch_size(model), "decrypting"), sources)
        return
    found = work([read(sources[0])])
    if message and not 1 <= number <= len(found):
        raise EganError(f"there is no message {number}: the picture holds {len(found)}", status=2)
    _, _, result, text = found[number - 1 if message else 0]
    files.write_output(files.png_bytes(result, text), output, force)


@app.command()
def inspect(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A picture or a safetensors file; - reads a picture.")
    ] = "-",
    json: Json = False,
) -> None:
    """Say what a file is: a key, a disguise, a composite, or weights."""
    from egan.inspect import describe, show

    facts = describe(file)
    if json:
        import json as codec

        print(codec.dumps(facts))
    else:
        show(facts)


for command in (cli_models.train, cli_models.bench, cli_models.demo):
    app.command()(command)


def start_many(
    inputs: list[str] | None, directory: str | None, output: str | None, key: str, force: bool
) -> list[str]:
    """The inputs of encrypt and decrypt, after the checks that need no reading."""
    from egan import files, pipeline

    sources = inputs or [files.STDIN]
    pipeline.one_standard_input(key, *sources)
    if directory is None:
        if len(sources) > 1:
            raise EganError(f"{len(sources)} inputs and one output", "name a folder with -d", 2)
        files.check_output(output, force)
    elif output is not None:
        raise EganError("-o and -d exclude each other", status=2)
    return sources


def batch_size(model: Any) -> int:
    from egan.core import BATCH

    return BATCH if model.device.type == "cpu" else 8 * BATCH


def finish(failed: int, sources: list[str]) -> None:
    if failed:
        raise EganError(f"{failed} of {len(sources)} files failed")


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
        raise EganError(text[:1].lower() + text[1:], hint_for_usage(error), 2) from error
    if status == 130:
        raise KeyboardInterrupt  # typer makes it an exit status
    if isinstance(status, int) and status:
        sys.exit(status)


def hint_for_usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context else "see egan --help"
