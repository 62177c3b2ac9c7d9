"""`egan bench`: measure a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from egan import terminal
from egan.commands.options import (
    LIMIT,
    MESSAGES,
    SEED,
    Device,
    Force,
    Json,
    Quiet,
    X,
    Y,
)

EXAMPLES = (
    "egan bench",
    "egan bench --x faces/ --y flowers/ --messages digits/ --metrics psnr,ssim",
    "egan bench --attacks --budget 60s --x faces/ --y flowers/ --messages digits/",
    "egan bench --speed",
)


def metric_names(incomplete: str) -> list[str]:
    from egan.bench.options import METRICS

    return [name for name in ("all", *METRICS) if name.startswith(incomplete)]


def bench(
    x: Annotated[Path | None, X] = None,
    y: Annotated[Path | None, Y] = None,
    messages: Annotated[list[Path] | None, MESSAGES] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metrics",
            autocompletion=metric_names,
            rich_help_panel="Figures of quality",
            metavar="LIST",
            help="Names with commas between them, or all.",
        ),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            "--weights",
            rich_help_panel="Pictures and weights",
            metavar="PATH",
            help="A weights file, or a folder of them; may be repeated.",
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--methods",
            rich_help_panel="Pictures and weights",
            metavar="LIST",
            help="Only these of the weights: egan, paper, cyclegan, munit, drit, baluja, or all.",
        ),
    ] = None,
    limit: Annotated[int | None, LIMIT] = None,
    wrong_limit: Annotated[
        int | None,
        typer.Option(
            "--wrong-limit",
            rich_help_panel="Figures of quality",
            metavar="N",
            help="Wrong keys per picture [default: all the others].",
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            "--size",
            rich_help_panel="Pictures and weights",
            metavar="N",
            help="Side of the pictures [default: the weights' own].",
        ),
    ] = None,
    seed: Annotated[int, SEED] = 0,
    batch: Annotated[
        int,
        typer.Option(
            "--batch",
            rich_help_panel="Pictures and weights",
            metavar="N",
            help="Pictures a pass; changes no figure.",
        ),
    ] = 8,
    lpips_net: Annotated[
        str,
        typer.Option(
            "--lpips-net",
            rich_help_panel="Figures of quality",
            metavar="NAME",
            help="alex, squeeze or vgg.",
        ),
    ] = "alex",
    lpips_backbone: Annotated[
        Path | None,
        typer.Option(
            "--lpips-backbone",
            rich_help_panel="Figures of quality",
            metavar="FILE",
            help="The backbone's weights, for a machine offline.",
        ),
    ] = None,
    inception: Annotated[
        Path | None,
        typer.Option(
            "--inception",
            rich_help_panel="Figures of quality",
            metavar="FILE",
            help="Inception weights for FID.",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(
            "--reference",
            rich_help_panel="Pictures and weights",
            metavar="DIR",
            help="Real pictures for FID [default: those of --y].",
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            rich_help_panel="Figures of quality",
            metavar="FILE",
            help="Write the per-image table here.",
        ),
    ] = None,
    json: Json = False,
    attacks: Annotated[
        bool,
        typer.Option(
            "--attacks",
            rich_help_panel="Attacks",
            help="Try to break the scheme, nine ways, each with a control.",
        ),
    ] = False,
    attack: Annotated[
        list[int] | None,
        typer.Option(
            "--attack",
            rich_help_panel="Attacks",
            metavar="N",
            help="Only this one of the nine attacks; repeatable.",
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            rich_help_panel="Attacks",
            metavar="N",
            help="Of each attack that trains, 60s or 300steps, which repeats "
            "[default: 300steps]; of each method of --compare [default: 1800s].",
        ),
    ] = None,
    keys: Annotated[
        int,
        typer.Option(
            "--keys",
            rich_help_panel="Attacks",
            metavar="N",
            help="Wrong keys that are tried on each disguise.",
        ),
    ] = 1000,
    robust: Annotated[
        bool,
        typer.Option(
            "--robust",
            rich_help_panel="Pictures and weights",
            help="Disguises carry a capsule, as from `egan encrypt --robust`.",
        ),
    ] = False,
    payloads: Annotated[
        bool,
        typer.Option(
            "--payloads",
            rich_help_panel="Other measurements",
            help="Hide QR codes and small text, and count what can be read.",
        ),
    ] = False,
    figures: Annotated[
        Path | None,
        typer.Option(
            "--figures",
            rich_help_panel="Other measurements",
            metavar="DIR",
            help="Draw the paper's figures into this folder.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            rich_help_panel="Figures of quality",
            metavar="FILE",
            help="Write everything measured as one HTML page.",
        ),
    ] = None,
    compare: Annotated[
        Path | None,
        typer.Option(
            "--compare",
            rich_help_panel="Other measurements",
            metavar="DIR",
            help="Train all methods alike in this folder, or go on, and measure them.",
        ),
    ] = None,
    ablation: Annotated[
        str | None,
        typer.Option(
            "--ablation",
            rich_help_panel="Other measurements",
            metavar="NAME",
            help="key-layers: train and compare six sets of layers of K.",
        ),
    ] = None,
    speed: Annotated[
        bool,
        typer.Option(
            "--speed",
            rich_help_panel="Other measurements",
            help="Measure speed and cost.",
        ),
    ] = False,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model: decoding, disguise and security, beside the paper's own figures.

    Without --x, --y and --messages a small built-in set is measured, as a smoke test.
    """
    terminal.quiet = quiet
    from egan.core.runtime import need_torch

    need_torch("egan bench")
    from egan.bench.options import NINE, BenchOptions
    from egan.bench.run import run_bench

    numbers = tuple(sorted(set(attack or (NINE if attacks else ()))))
    others = speed or numbers or payloads or figures is not None or ablation is not None
    run_bench(
        BenchOptions(
            weights=tuple(weights or ()),
            methods=tuple(methods or ()),
            x=x,
            y=y,
            messages=tuple(messages or ()),
            metrics=tuple(metrics or (() if others and report is None else ("all",))),
            limit=limit,
            wrong_limit=wrong_limit,
            size=size,
            seed=seed,
            batch=batch,
            lpips_net=lpips_net,
            lpips_backbone=lpips_backbone,
            inception=inception,
            reference=reference,
            csv=csv,
            json=json,
            speed=speed,
            attacks=numbers,
            budget=budget,
            keys=keys,
            robust=robust,
            payloads=payloads,
            figures=figures,
            report=report,
            ablation=ablation,
            compare=compare,
            device=device,
            force=force,
        )
    )
