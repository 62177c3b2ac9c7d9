"""`egan bench --ablation key-layers`: train one small model per set of key layers, all
else equal, and compare (Table 2).

Half of the pairs train, the other half are measured. As in the paper one set serves
both keys. The sets here are ours: the first is the paper's choice and the default of
the private key, the second our default of the public key, the others go from shallow to
deep and mix. The paper's own six are not known to us, so rows cannot be matched with
its table, only the trend.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from egan.bench.data import PictureSets, load_pictures, load_smoke, split
from egan.bench.intervals import mean_interval
from egan.bench.options import BUDGET, SMOKE_LIMIT, BenchOptions, parse_budget
from egan.bench.protocol import Channel, make_pairs, measure
from egan.bench.summary import plain, summarise
from egan.errors import EganError
from egan.pictures.metrics import mse
from egan.terminal import note
from egan.train.presets import parse_options
from egan.train.recipes import make_method
from egan.train.sampler import Sampler
from egan.train.trainer import Trainer

SETS = ((3, 5, 6), (1, 2, 3), (1, 2, 4), (2, 3, 4), (1, 3, 5), (4, 5, 6))
PRESET = "tiny"
# The smallest number of pairs; half of them train.
LEAST_PAIRS = 16


def run_ablation(options: BenchOptions, device: torch.device) -> dict[str, Any]:
    """{"key-layers 3,5,6": figures, ...}, printed as a table or as JSON. Raises
    EganError for too few pairs.
    """
    side = options.size or 64
    if options.x is None or options.y is None:
        sets = load_smoke(side, options.limit or SMOKE_LIMIT, options.seed)
    else:
        sets = load_pictures(
            options.x, options.y, options.messages, side, options.limit, options.seed
        )
    if len(sets.covers) < LEAST_PAIRS:
        raise EganError(
            f"{len(sets.covers)} pairs are too few to train on",
            f"give {LEAST_PAIRS} or more with --limit",
        )
    found: dict[str, Any] = {}
    for layers in SETS:
        name = ",".join(map(str, layers))
        found[name] = one_set(layers, sets, options, device, side)
        note(line(name, found[name]))
    if options.json:
        print(json.dumps({"key-layers": found}, indent=2, allow_nan=False))
    else:
        print_table(found, sets.label, options)
    return found


def one_set(
    layers: Sequence[int],
    sets: PictureSets,
    options: BenchOptions,
    device: torch.device,
    side: int,
) -> dict[str, Any]:
    """Train the preset with these layers for both keys, from the same seed, and measure
    the held-out half.
    """
    mine, held_out = split(sets, len(sets.covers) // 2)
    sampler = Sampler(mine.covers, mine.flowers, mine.messages, options.seed, device)
    trainer = trained(layers, sampler, options, side)
    model: Any = trainer.average
    pairs = make_pairs(held_out, options.seed)
    rows, disguises = measure(
        model,
        pairs,
        seed=options.seed,
        batch=options.batch,
        wrong_limit=options.wrong_limit,
    )
    names = ("psnr", "mse", "ssim", "encryption", "security", "blind")
    figures = summarise(rows, names, options.seed)
    near = [mse(d, f) for d, f in zip(disguises, pairs.flowers, strict=True)]
    public = Channel(model, pairs, options.seed, options.batch).public
    painted = model.key_images(disguises, layers)
    matched = [mse(k, p) for k, p in zip(painted, public, strict=True)]
    took = f"{trainer.step} steps of {trainer.options.batch}, {trainer.seconds:.0f} s"
    return {
        "n": len(rows),
        "training": took,
        **{name: figures[name] for name in ("message", "security", "blind")},
        "flower_mse": float(np.mean(near)),
        "key_mse": float(np.mean(matched)),
        "ci": {
            **figures["ci"],
            "flower_mse": mean_interval(near, options.seed),
            "key_mse": mean_interval(matched, options.seed),
        },
    }


def trained(
    layers: Sequence[int], sampler: Sampler, options: BenchOptions, side: int
) -> Trainer:
    """A finished run of the preset with these key layers."""
    steps, seconds = parse_budget(options.budget or BUDGET)
    words = ",".join(map(str, layers))
    settings = [
        f"public_layers={words}",
        f"private_layers={words}",
        f"image_size={side}",
        f"seed={options.seed}",
        f"minutes={seconds / 60}" if seconds else f"steps={steps}",
    ]
    model_options, train_options = parse_options(PRESET, settings)
    method = make_method(model_options, train_options, sampler)
    with tempfile.TemporaryDirectory(prefix="egan-ablation-") as place:
        trainer = Trainer(method, Path(place), log=lambda _: None)
        trainer.prepare()
        trainer.run()
    return trainer


def line(name: str, f: dict[str, Any]) -> str:
    return f"key layers {name}: {f['message']['psnr']:.2f} dB, disguise to flower MSE {f['flower_mse']:.4f} ({f['training']})"


def print_table(found: dict[str, Any], label: str, options: BenchOptions) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=plain(f"Key layers, preset {PRESET}, {label}"), title_justify="left"
    )
    for heading in (
        "layers",
        "message PSNR",
        "SSIM",
        "wrong keys, dB",
        "disguise to\nflower MSE",
        "key of disguise\nto K(y) MSE",
        "n",
        "training",
    ):
        table.add_column(heading, no_wrap=True)
    for name, f in found.items():
        table.add_row(
            name,
            f"{f['message']['psnr']:.2f}",
            f"{f['message']['ssim']:.4f}",
            f"{f['security']['psnr_mean']:.2f}",
            f"{f['flower_mse']:.4f}",
            f"{f['key_mse']:.4f}",
            str(f["n"]),
            f["training"],
        )
    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console = Console(highlight=False, soft_wrap=True, width=140)
    console.print(table, markup=False, crop=False)
    print(
        "one set for both keys; the first is the paper's choice; the others are ours, not those of its Table 2"
    )
