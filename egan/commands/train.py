"""`egan train`: make a model from your own folders of pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from egan import terminal
from egan.commands.options import (
    LIMIT,
    MESSAGES,
    SEED,
    Device,
    Force,
    Quiet,
    X,
    Y,
    values,
)

EXAMPLES = (
    "egan train --x faces/ --y flowers/ --messages digits/ --out my.safetensors",
    "egan train --preset tiny --minutes 10 --x faces/ --y flowers/ --messages digits/ --out my.safetensors",
    "egan train --resume runs/my/checkpoint.safetensors",
)


def train(
    x: Annotated[str | None, X] = None,
    y: Annotated[str | None, Y] = None,
    messages: Annotated[list[str] | None, MESSAGES] = None,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", help="Where the weights go.")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            autocompletion=values("egan", "cyclegan", "munit", "drit", "baluja"),
            metavar="NAME",
            help="egan, or cyclegan, munit, drit, baluja to compare [default: egan].",
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--preset",
            autocompletion=values("egan", "tiny", "paper", "published"),
            metavar="NAME",
            help="egan, tiny or paper; for the methods to compare, published or tiny.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Change one option of the preset; may be repeated.",
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", metavar="N", help="Train for N steps.")
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option("--minutes", metavar="M", help="Train for M minutes instead."),
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="N", help="Pictures a step.")
    ] = None,
    seed: Annotated[int | None, SEED] = None,
    limit: Annotated[int | None, LIMIT] = None,
    lpips_backbone: Annotated[
        str | None,
        typer.Option(
            "--lpips-backbone",
            metavar="FILE",
            help="SqueezeNet 1.1 (safetensors) for the perceptual loss, for a machine offline.",
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="FILE",
            help="Go on from a checkpoint, which keeps all other options of its run.",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Start with the networks of a weights file, K included: train it further, or on other pictures.",
        ),
    ] = None,
    new_keys: Annotated[
        bool,
        typer.Option(
            "--new-keys",
            help="With --from: train a new K first, for which F and G learn to paint.",
        ),
    ] = False,
    runs: Annotated[
        str | None,
        typer.Option(
            "--runs",
            metavar="DIR",
            help="Where checkpoints, log and sample sheets go [default: runs/ and the name of --out].",
        ),
    ] = None,
    cache: Annotated[
        str | None,
        typer.Option(
            "--cache",
            metavar="DIR",
            help="Where decoded pictures and data sets are kept [default: ~/.cache/egan].",
        ),
    ] = None,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Train a model on your own two domains and messages.

    A run is resumed by its checkpoint alone: --resume runs/NAME/checkpoint.safetensors.
    """
    terminal.quiet = quiet
    from egan.core.runtime import need_torch

    need_torch("egan train")
    from egan.train.request import Request, check

    named = {
        "steps": steps,
        "minutes": minutes,
        "batch": batch,
        "seed": seed,
    }
    changed = [f"{k}={v}" for k, v in named.items() if v is not None]
    request = Request(
        x=x,
        y=y,
        messages=tuple(messages or ()),
        out=out,
        method=method,
        preset=preset,
        settings=(*(settings or ()), *changed),
        limit=limit,
        lpips_backbone=lpips_backbone,
        resume=resume,
        start=start,
        new_keys=new_keys,
        runs=runs,
        cache=cache,
        device=device,
        force=force,
    )
    plan = check(request)
    from egan.train.run import run_train

    run_train(plan)
