"""Command-line options that several commands share, with one wording each."""

from __future__ import annotations

from typing import Annotated

import typer

Out = Annotated[
    str | None,
    typer.Option("-o", "--output", metavar="FILE", help="Write here instead of to standard output."),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No notes, warnings or progress.")]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="A weights file, or paper for the paper's own networks [default: $EGAN_WEIGHTS, else egan's].",
    ),
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="auto, cpu or cuda.")]
Folder = Annotated[
    str | None,
    typer.Option("-d", "--directory", metavar="DIR", help="Write one PNG per input into this folder."),
]
Listed = Annotated[
    str | None,
    typer.Option(
        "--files0-from", metavar="FILE", help="Read the inputs' names, each ended by NUL, from FILE or -."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
