"""Command-line options that several commands share, with one wording each."""

from __future__ import annotations

from typing import Annotated, Any

import typer

SHIPPED = ("egan", "paper")
DEVICES = ("auto", "cpu", "cuda")


def values(*names: str) -> Any:
    """Completion of a value from a list of names; files are completed by the shell."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


Out = Annotated[
    str | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write here instead of to standard output.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")]
Quiet = Annotated[
    bool,
    typer.Option(
        "-q",
        "--quiet",
        help="No notes or progress, and no warnings but those about secrecy and authenticity.",
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        autocompletion=values(*SHIPPED),
        help="A weights file, or one of those that ship: egan, paper (no secrecy) [default: $EGAN_WEIGHTS, else egan].",
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        autocompletion=values(*DEVICES),
        help="auto, cpu or cuda.",
    ),
]
Folder = Annotated[
    str | None,
    typer.Option(
        "-d",
        "--directory",
        metavar="DIR",
        help="Write one PNG per input into this folder, which is made where it is missing.",
    ),
]
Listed = Annotated[
    str | None,
    typer.Option(
        "--files0-from",
        metavar="FILE",
        help="Read the inputs' names, each ended by NUL, from FILE or -.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Status = Annotated[
    bool,
    typer.Option("--status", help="Print nothing: the exit status is the answer."),
]

# Required in one command and not in another, or of another type: these go into an
# Annotated[...] of the command's own.
PRIV = typer.Option(
    "--priv",
    metavar="FILE",
    envvar="EGAN_PRIV",
    show_envvar=False,
    help="Your private key [default: $EGAN_PRIV].",
)
PassphraseFd = Annotated[
    int | None,
    typer.Option(
        "--passphrase-fd",
        metavar="N",
        min=0,
        help="Read the passphrase of your private key from this file descriptor, up to the end of a line.",
    ),
]
X = typer.Option(
    "--x",
    metavar="SOURCE",
    help="Covers: a folder, read recursively, or a data set's name.",
)
Y = typer.Option(
    "--y", metavar="SOURCE", help="Pictures of the disguise's kind: the same."
)
MESSAGES = typer.Option(
    "--messages", metavar="SOURCE", help="Messages: the same; may be repeated."
)
LIMIT = typer.Option(
    "--limit", metavar="N", min=1, help="Use at most N pictures of each source."
)
SEED = typer.Option("--seed", metavar="N", help="Seed of the random choices.")


def public(words: str) -> Any:
    """`--pub` of a command that reads a public key; `words` say whose."""
    return typer.Option(
        "--pub",
        metavar="FILE",
        envvar="EGAN_PUB",
        show_envvar=False,
        help=f"{words} public key [default: $EGAN_PUB].",
    )


def several(metavar: str, words: str) -> Any:
    """The inputs of a command that takes many of them into a folder; `words` say what."""
    return typer.Argument(
        metavar=f"[{metavar}]...",
        help=f"{words}, with -d also folders; standard input when none is named.",
    )
