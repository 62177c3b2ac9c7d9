"""`egan inspect`: say what files are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from egan import terminal
from egan.commands.options import Json, Listed, Quiet
from egan.errors import EganError

EXAMPLES = (
    "egan inspect disguise.png",
    "egan inspect --json pub.png my.safetensors",
)


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
    import json as codec

    from egan.commands import inputs as finding
    from egan.commands.batches import Failures
    from egan.verbs.inspect import describe

    found = finding.find(inputs, listed, several=True, writes=False)
    failures = Failures(found.alone)
    shown = 0
    for source in found.sources:
        try:
            facts = describe(source.path)
        except EganError as error:
            failures.add(error, source.path)
            continue
        if json:
            print(codec.dumps(facts))
        else:
            print(end="\n" if shown else "")
            show(facts)
        shown += 1
    failures.finish(len(found.sources))


def show(facts: dict[str, Any]) -> None:
    """Print facts for a person, one a line; nested ones with a dotted name."""
    for name, value in flat(facts):
        print(terminal.printable(f"{name}: {value}"))


def flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            out += flat(value, f"{prefix}{name}.")
        else:
            out.append((prefix + name, value))
    return out
