"""`egan bench --compare DIR`: every method of the paper trained and measured alike.

All methods get the same pictures, the same size, about half of their published widths
and the same processor time; what is measured was held out of training. DIR keeps it
all: a folder of a run for each method, its weights and its curve, and at the end the
table, the curves and Figure 3. The same command goes on where it was interrupted.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from egan import terminal
from egan.bench.data import PictureSets, split
from egan.bench.features import Features, load_efficientnet_features
from egan.bench.figures.plot import Lines, plot_lines
from egan.bench.frechet import LEAST, every, parts
from egan.bench.html_report import page
from egan.bench.metrics import Floats, kernel_distance
from egan.bench.options import COMPARE_BUDGET, BenchOptions, parse_budget
from egan.bench.protocol import Row, make_pairs, measure
from egan.bench.summary import tables_csv
from egan.core.torch_model import TorchModel
from egan.errors import EganError
from egan.pictures import atomic
from egan.pictures.output import write_output
from egan.train.perceptual import lpips_network
from egan.train.presets import parse_options
from egan.train.recipes import make_method
from egan.train.run_folder import CHECKPOINT, LOG, WEIGHTS, held
from egan.train.sampler import Sampler
from egan.train.trainer import Trainer

# The most pairs that are held out; a quarter of all where that is less.
HELD_OUT = 200
# Points of a curve.
POINTS = 6
# A point is measured on this many pairs.
POINT_PAIRS = 32
CURVE = "curve.jsonl"
# Columns of a log that are no losses.
AXES = ("step", "pairs", "minutes", "psnr", "gradient")

# Published rates are for days on a GPU, and short runs chose higher ones. DRIT and deep
# steganography keep theirs (weights/README.md). All run in bfloat16.
FAST = ("learning_rate=4e-4", "bf16=true")
HALF = ("width=32", "discriminator_width=32", "bf16=true")
# With the losses of the paper alone, at its weights of 10, the face stays in the
# disguise for as long as a CPU lasts (weights/README.md).
PAPER = (
    *("cycle=2", "information=3", "key_matching=5", "disguise=10"),
    *("public_layers=1,2,3", "backward_every=3", "average=0.99"),
    "discriminator_rate=4e-4",
    *FAST,
)

# By row of the table: method, preset, and what differs from it.
CONTENDERS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "egan": ("egan", "egan", ("width=32", "key_width=16")),
    "paper": ("egan", "paper", ("resnet_width=32", "discriminator_width=32", *PAPER)),
    "cyclegan": ("cyclegan", "published", (*HALF, *FAST)),
    "munit": ("munit", "published", (*HALF, *FAST)),
    "drit": ("drit", "published", HALF),
    "baluja": ("baluja", "published", ("width=25", "bf16=true")),
}


@dataclasses.dataclass
class Comparison:
    """The folder, the pictures and the budget of one comparison."""

    folder: Path
    options: BenchOptions
    training: PictureSets
    held_out: PictureSets
    device: torch.device
    minutes: float
    steps: int | None = None

    def settings(self, name: str) -> list[str]:
        """What differs from the preset of a method, for `parse_options`."""
        side = self.training.covers.shape[1]
        budget = f"steps={self.steps}" if self.steps else f"minutes={self.minutes}"
        return [
            *CONTENDERS[name][2],
            f"image_size={side}",
            f"seed={self.options.seed}",
            budget,
        ]


@dataclasses.dataclass(frozen=True, eq=False)
class Judge:
    """What measures looks on the way, and the features (n, 1280) of real disguises."""

    features: Features
    real: Floats


def train_all(
    options: BenchOptions, sets: PictureSets, folder: Path, device: torch.device
) -> tuple[dict[str, Path], PictureSets]:
    """Train what is not trained yet. Returns weights files by method, and held-out
    sets.

    Raises EganError for too few pairs, and as training does.
    """
    count = min(HELD_OUT, len(sets.covers) // 4)
    if count < LEAST:
        raise EganError(
            f"{len(sets.covers)} pairs are too few to train on",
            f"give {4 * LEAST} or more with --limit",
        )
    training, held_out = split(sets, count)
    steps, seconds = parse_budget(options.budget or COMPARE_BUDGET)
    minutes = (seconds or 0) / 60
    comparison = Comparison(folder, options, training, held_out, device, minutes, steps)
    features = load_efficientnet_features(device)
    names = [name for name in CONTENDERS if name in (options.methods or CONTENDERS)]
    others = training.flowers[: 4 * POINT_PAIRS]
    judge = Judge(features, every(features, parts(others, options.batch)))
    for number, name in enumerate(names):
        later = minutes * (len(names) - number - 1)
        with held(folder / name):
            train_one(comparison, name, judge, later)
    return {name: folder / name / WEIGHTS for name in names}, held_out


def train_one(comparison: Comparison, name: str, judge: Judge, later: float) -> None:
    """Train one method to the end of its budget, or go on with it."""
    method, preset, _ = CONTENDERS[name]
    model_options, options = parse_options(preset, comparison.settings(name), method)
    training, device = comparison.training, comparison.device
    messages = [list(group) for group in training.messages]
    sampler = Sampler(training.covers, training.flowers, messages, options.seed, device)
    folder = comparison.folder / name
    watch = Watch(comparison, name, judge, folder, later)
    trainer = Trainer(
        make_method(model_options, options, sampler, watch.perceptual(options)),
        folder,
        log=lambda line: None,
        show=watch,
        clock=time.process_time if device.type == "cpu" else time.perf_counter,
    )
    watch.trainer = trainer
    if (folder / CHECKPOINT).is_file():
        trainer.resume(folder / CHECKPOINT)
    else:
        begin = trainer.clock()
        trainer.prepare()
        trainer.elapsed = trainer.seconds = trainer.clock() - begin
    if trainer.progress() < 1:
        trainer.run()
    watch(1.0, "")


class Watch:
    """Measures a run at a few points, for its curve, and says how long is left."""

    trainer: Trainer

    def __init__(
        self,
        comparison: Comparison,
        name: str,
        judge: Judge,
        folder: Path,
        later: float,
    ) -> None:
        self.comparison, self.name, self.judge = comparison, name, judge
        self.file, self.later = folder / CURVE, later
        count = min(POINT_PAIRS, len(comparison.held_out.covers))
        self.pairs = make_pairs(comparison.held_out, comparison.options.seed)
        self.pairs = self.pairs.first(count)
        self.done = len(rows_of(self.file))
        self.begin = time.monotonic()
        # Share of the work that was done when this process began.
        self.first: float | None = None
        self.said = 0.0

    def perceptual(self, options: object) -> torch.nn.Module | None:
        """The LPIPS network of a method that has such a loss, where it can be had."""
        if not getattr(options, "perceptual", 0):
            return None
        bench = self.comparison.options
        backbone = bench.lpips_backbone if bench.lpips_net == "squeeze" else None
        try:
            return lpips_network("squeeze", backbone, self.comparison.device)
        except EganError as error:
            terminal.warn(f"{self.name} without its perceptual loss: {error}")
            return None

    def __call__(self, share: float, words: str) -> None:
        """After each step: a point of the curve where one is due, and a line a minute."""
        if self.first is None:
            # Before this, K was trained or a checkpoint read.
            self.first, self.begin = share, time.monotonic()
            self.said = self.begin
        if share >= (self.done + 1) / POINTS - 1e-9 and self.done < POINTS:
            self.point()
        if time.monotonic() - self.said > 60 and share > self.first:
            self.said = time.monotonic()
            # Seconds for all of the work.
            rate = (self.said - self.begin) / (share - self.first)
            left = rate * (1 - share)
            if self.comparison.minutes:
                left += rate * self.later / self.comparison.minutes
            terminal.note(
                f"{self.name}: {100 * share:.0f} %, {words}; "
                f"{left / 60:.0f} min left for all methods"
            )

    def point(self) -> None:
        """Measure the moving average on a few held-out pairs and append a row."""
        trainer, options = self.trainer, self.comparison.options
        model: Any = trainer.average
        self.done += 1
        rows, disguises = measure(
            model,
            self.pairs,
            seed=options.seed,
            batch=options.batch,
            wrong_limit=2,
            with_ssim=False,
            with_security=model.keyed,
        )
        fake = every(self.judge.features, parts(disguises, options.batch))
        row = {
            "pairs": trainer.pairs,
            "minutes": round(trainer.seconds / 60, 2),
            "psnr": float(np.mean([r.message_psnr for r in rows])),
            "kid": kernel_distance(fake, self.judge.real),
        }
        if model.keyed:
            wrong = [r.security_psnr_mean or 0.0 for r in rows]
            row["wrong_psnr"] = float(np.mean(wrong))
        self.file.parent.mkdir(parents=True, exist_ok=True)
        atomic.refuse_protected(self.file)
        with self.file.open("a") as file:
            file.write(json.dumps(row) + "\n")
        terminal.note(
            f"{self.name} after {row['pairs']} pairs, {row['minutes']:.1f} min: "
            f"{row['psnr']:.1f} dB, KID {row['kid']:.3f}"
        )


def points(folder: Path, name: str) -> list[dict[str, float]]:
    """What was measured on the way of one method, in the order of training."""
    return rows_of(folder / name / CURVE)


def rows_of(file: Path) -> list[dict[str, float]]:
    """The rows of a file of JSON lines. Raises EganError where it is damaged."""
    try:
        lines = file.read_text().splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]
    except (OSError, ValueError) as error:
        hint = "delete it: what it says of the run so far is lost, and nothing else"
        raise EganError(f"{file} is damaged", hint) from error


def curves_csv(folder: Path, names: Sequence[str]) -> str:
    """Held-out figures and losses of every method against pairs seen, one a line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", "of", "pairs", "minutes", "figure", "value"])
    for name in names:
        for kind, file in (("held out", CURVE), ("training", LOG)):
            for row in rows_of(folder / name / file):
                at = [row.pop("pairs"), row.pop("minutes")]
                row.pop("step", None)
                writer.writerows([name, kind, *at, k, v] for k, v in row.items())
    return buffer.getvalue()


def curves_png(folder: Path, names: Sequence[str]) -> bytes:
    """Message PSNR, KID and the gap to wrong keys of all, and the losses of each."""
    measured = {name: points(folder, name) for name in names}

    def line(rows: list[dict[str, float]], figure: str) -> list[tuple[float, float]]:
        return [(row["pairs"], row[figure]) for row in rows if figure in row]

    groups = []
    for title, y_label, figure in (
        ("message, right key, held out", "PSNR, dB", "psnr"),
        ("disguises against real ones", "KID", "kid"),
        ("message, wrong keys, held out", "PSNR, dB", "wrong_psnr"),
    ):
        lines = {n: line(rows, figure) for n, rows in measured.items()}
        curves = {n: found for n, found in lines.items() if found}
        if curves:
            groups.append(Lines(title, "pairs seen", y_label, curves))
    for name in names:
        rows = rows_of(folder / name / LOG)
        terms = [t for t in (rows[-1] if rows else {}) if t not in AXES]
        if terms:
            curves = {term: line(rows, term) for term in terms}
            groups.append(Lines(f"{name}: losses", "pairs seen", "loss", curves))
    return plot_lines(groups)


def write_comparison(
    folder: Path,
    methods: Mapping[str, Any],
    tables: dict[str, Sequence[Row]],
    figure_3: bytes,
) -> None:
    """Table, per-image table, curves, Figure 3 and the page into the folder."""
    names = list(methods)
    files = {
        "figures.json": json.dumps(methods, indent=2, allow_nan=False).encode(),
        "table.csv": tables_csv(tables).encode(),
        "curves.csv": curves_csv(folder, names).encode(),
        "figure-3-methods.png": figure_3,
    }
    try:
        files["curves.png"] = curves_png(folder, names)
    except EganError as error:
        terminal.note(f"not drawn: {error} ({error.hint})")
    files["report.html"] = page(methods, files).encode()
    for name, data in files.items():
        write_output(data, str(folder / name), force=True)
    terminal.note(f"{len(files)} files in {folder}")


def training_figures(folder: Path, name: str, model: TorchModel) -> dict[str, Any]:
    """What a method's training cost: pairs, minutes, parameters and its curve."""
    found = points(folder, name)
    last = found[-1] if found else {"pairs": 0, "minutes": 0.0}
    return {
        "pairs": last["pairs"],
        "minutes": last["minutes"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "curve": found,
    }
