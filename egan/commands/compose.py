"""`egan compose`: paste messages on covers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from egan import terminal
from egan.commands.options import Folder, Force, Listed, Out, Quiet
from egan.errors import EganError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egan.commands.batches import Result
    from egan.pictures.sources import Source
    from egan.verbs.job import Job

EXAMPLES = (
    "egan compose cover.jpg note.png --at 40,80 -o composite.png",
    "egan compose cover.jpg one.png --at 8,8 | egan compose - two.png --at -8,-8 > both.png",
    "egan compose covers/ note.png --random --size 96 -d composites",
)


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
            metavar="N|WxH|fit|keep",
            help="Crop the cover around its centre and resize it; fit only crops it to multiples of 16 [default: 256].",
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
    from egan.commands import batches
    from egan.commands import inputs as finding
    from egan.pictures import compose as composing
    from egan.pictures import files
    from egan.verbs.job import Job

    if at is not None and random:
        raise EganError("--at and --random exclude each other", status=2)
    if seed is not None and not random:
        raise EganError("--seed is for --random", status=2)
    *covers, message = inputs
    if not covers and listed is None:
        raise EganError("missing argument 'MESSAGE'", "see egan compose --help", 2)
    found = finding.find(covers, listed, directory, output, force, (message,))
    finding.check_partner(message, found.sources)
    place = composing.parse_place(at) if at is not None else None
    recipe = composing.Recipe(place, size, random, seed, cover_size)
    texts: dict[str, dict[str, str]] = {}

    def read(source: Source) -> Job:
        cover = files.read_picture(source.path)
        pasted = files.read_picture(finding.partner(message, source))
        pixels, texts[source.path], notes = recipe.apply(cover, pasted)
        return Job(source.path, pixels, notes=notes)

    def work(jobs: Sequence[Job]) -> list[Result]:
        return [
            batches.Result(job, job.pixels, "", texts.pop(job.source)) for job in jobs
        ]

    batches.run(found, batches.Verb(read, work, "composing"))
