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
    """Print facts for a person, one a line; of weights a summary."""
    from egan.crypto.keys import grouped

    for name, value in flat(summary(facts) if facts["kind"] == "weights" else facts):
        if name == "fingerprint":
            value = grouped(value)
        print(terminal.printable(f"{name}: {value}"))


def summary(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts about weights for a person; --json tells all of them."""
    options, training = facts["options"], facts["training"]
    kept = ("kind", "file", "name", "bytes", "id", "key network", "family")
    out = {name: facts[name] for name in kept if name in facts}
    out["image size"] = options.get("image_size")
    if "domains" in options:
        out["domains"] = " to ".join(options["domains"])
    out["parameters"] = sum(facts["parameters"].values())
    for name in ("steps", "pairs", "minutes"):
        if name in training:
            out[name] = training[name]
    figures = training.get("figures")
    message = figures.get("message") if isinstance(figures, dict) else None
    if isinstance(message, dict):
        out["decoded messages"] = {
            name: round(message[name], 4)
            for name in ("psnr", "ssim", "lpips")
            if isinstance(message.get(name), int | float)
        }
    signing = training.get("signing")
    if isinstance(signing, dict) and "threshold" in signing:
        out["threshold of verify"] = signing["threshold"]
    out["more"] = "egan inspect --json"
    return out


def flat(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            out += flat(value, f"{prefix}{name}.")
        else:
            out.append((prefix + name, value))
    return out
