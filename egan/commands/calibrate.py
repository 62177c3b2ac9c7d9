"""`egan calibrate`: measure how well verify tells secrets apart, and choose its threshold."""

from __future__ import annotations

from typing import Annotated

import typer

from egan import terminal
from egan.commands.options import LIMIT, SEED, Device, Force, Json, Quiet, Weights

EXAMPLES = (
    "egan calibrate --x faces/ --y flowers/",
    "egan calibrate --x faces/ --y flowers/ --weights my.safetensors -o my-signing.safetensors",
)


def calibrate(
    x: Annotated[
        str,
        typer.Option(
            "--x", metavar="DIR", help="Folder of covers: keys are made from them."
        ),
    ],
    y: Annotated[
        str,
        typer.Option(
            "--y",
            metavar="DIR",
            help="Folder of pictures of the disguise's kind: the secrets.",
        ),
    ],
    limit: Annotated[int, LIMIT] = 400,
    seed: Annotated[int, SEED] = 0,
    forgeries: Annotated[
        int,
        typer.Option(
            "--forgeries",
            metavar="N",
            help="Attacks by gradient search to try; each takes seconds.",
        ),
    ] = 8,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write weights that carry the threshold here.",
        ),
    ] = None,
    card: Annotated[
        str | None,
        typer.Option(
            "--card",
            metavar="FILE",
            help="Rewrite the block of signing figures in this model card.",
        ),
    ] = None,
    json: Json = False,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Measure how well verify tells secrets apart, choose its threshold, and with -o write it into the weights."""
    terminal.quiet = quiet
    from egan.core.runtime import need_torch

    need_torch("egan calibrate")
    from egan.bench.signing import Calibration, run_calibrate
    from egan.commands import inputs

    weights_file = inputs.open_weights(weights, device, keys_needed=True)
    asked = Calibration(x, y, limit, seed, forgeries, output, card, json, force)
    run_calibrate(asked, weights_file)
