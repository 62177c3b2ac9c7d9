"""`egan passphrase`: set, change or remove the passphrase of a private key."""

from __future__ import annotations

from typing import Annotated

import typer

from egan import terminal
from egan.commands.options import PassphraseFd, Quiet
from egan.errors import EganError

EXAMPLES = (
    "egan passphrase priv.png -o locked-priv.png",
    "egan passphrase locked-priv.png --remove -o open-priv.png",
)


def passphrase(
    priv: Annotated[
        str, typer.Argument(metavar="PRIV", help="A private key, with or without one.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where the same key goes with its new passphrase; never overwrites a file.",
        ),
    ],
    remove: Annotated[
        bool, typer.Option("--remove", help="Leave it without a passphrase.")
    ] = False,
    passphrase_fd: PassphraseFd = None,
    quiet: Quiet = False,
) -> None:
    """Give a private key a passphrase, another one, or none.

    The new file holds the same key: what was encrypted for it opens with both. With
    --passphrase-fd the first line is the old passphrase, if there is one, and the next the
    new one.
    """
    terminal.quiet = quiet
    from egan.commands import inputs
    from egan.verbs import keys

    if output == "-":
        raise EganError(
            "a private key is written to a file only", "name one with -o", 2
        )
    keys.check_new_private(output, "-o")
    ask = inputs.passphrases(passphrase_fd)
    private, notes = keys.read_private(priv, ask)
    terminal.tell(notes)
    words = None
    if not remove:
        prompt = "new passphrase"
        words = (
            ask(prompt)
            if passphrase_fd is not None
            else terminal.ask_passphrase(prompt, twice=True)
        )
    keys.write_private(private, output, words)
    terminal.note(
        f"{output} holds the key {'without a' if remove else 'with the new'} passphrase; "
        f"{priv} is as it was: keep one of them"
    )
