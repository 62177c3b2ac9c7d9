"""The measurements of a bench run: one table a method, its figures, and one report of
all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from egan import terminal
from egan.bench.ablation import run_ablation
from egan.bench.attacks.run import check_controls
from egan.bench.attacks.verdict import AttackVerdict
from egan.bench.capsules import lay_capsules
from egan.bench.compare import (
    train_all,
    training_figures,
    write_comparison,
)
from egan.bench.data import PictureSets, load_pictures, load_smoke
from egan.bench.extras import add_extras, extra_lines, scene_of
from egan.bench.features import (
    Features,
    PictureDistance,
    load_efficientnet_features,
    load_inception_features,
    load_lpips,
)
from egan.bench.figures.pictures import methods as side_by_side
from egan.bench.figures.run import Files, draw_figures, write_figures
from egan.bench.frechet import realism
from egan.bench.html_report import page
from egan.bench.options import COMPARE_SIDE, SMOKE_LIMIT, BenchOptions
from egan.bench.protocol import LPIPS_WRONG_KEYS, Row, make_pairs, measure
from egan.bench.speed import measure_gmac, measure_speed, speed_lines
from egan.bench.summary import FIGURES, detail_lines, paper_table, summarise, tables_csv
from egan.core.device import pick_device
from egan.core.load import load_model
from egan.core.model import Pictures
from egan.core.torch_model import TorchModel
from egan.errors import EganError
from egan.pictures.output import png_bytes, write_output
from egan.terminal import printable

T = TypeVar("T")


def run(options: BenchOptions, paths: Mapping[str, Path]) -> dict[str, Any]:
    """Measure weights files by name, or train and measure those of a comparison.

    Prints the table, or with `options.json` one object, and writes what files are asked
    for. Returns the object of DESIGN 7, {method: figures}. Raises EganError after all
    of it, with everything printed, where an attack did not find its planted leak.
    """
    device = pick_device(options.device)
    if options.ablation:
        return run_ablation(options, device)
    held_out = None
    if options.compare is not None:
        sets = load_sets(options, options.size or COMPARE_SIDE)
        paths, held_out = train_all(options, sets, options.compare, device)
    models = {name: load_model(path, device) for name, path in paths.items()}
    if options.robust:
        for model in models.values():
            lay_capsules(model)
    methods, tables, verdicts, drawn = bench_models(models, options, device, held_out)
    if held_out is not None and options.compare is not None:
        for name, model in models.items():
            found = training_figures(options.compare, name, model)
            methods[name]["training"] = found
        scenes = {n: scene_of(m, held_out, options) for n, m in models.items()}
        figure_3 = png_bytes(side_by_side(scenes))
        write_comparison(options.compare, methods, tables, figure_3)
    if options.csv is not None:
        write_output(tables_csv(tables).encode(), str(options.csv), options.force)
    if options.figures is not None:
        write_figures(drawn, options.figures, options.force)
    if options.report is not None:
        write_output(page(methods, drawn).encode(), str(options.report), options.force)
    if options.json:
        print(json.dumps(methods, indent=2, allow_nan=False))
    else:
        print_report(methods)
    check_controls(verdicts)
    return methods


def bench_models(
    models: Mapping[str, TorchModel],
    options: BenchOptions,
    device: torch.device,
    given: PictureSets | None = None,
) -> tuple[
    dict[str, Any], dict[str, Sequence[Row]], dict[str, list[AttackVerdict]], Files
]:
    """Figures, per-image tables and verdicts by method, and figure files. Methods of
    one picture size see the same pairs.
    """
    methods: dict[str, Any] = {}
    tables: dict[str, Sequence[Row]] = {}
    verdicts: dict[str, list[AttackVerdict]] = {}
    lpips, why = attempt(lambda: wanted_lpips(options, device))
    sides = {
        name: options.size or model.options.image_size for name, model in models.items()
    }
    if given is not None:
        sets = {given.covers.shape[1]: given}
    else:
        sets = wanted_sets(options, sides.values())
    for name, model in models.items():
        side = sides[name]
        figures: dict[str, Any] = {"family": model.options.family}
        if options.metrics:
            found, tables[name] = bench_model(
                model, sets[side], options, device, lpips, why
            )
            figures |= found
        figures["gmac"] = measure_gmac(model, side)
        if options.speed:
            figures["speed"] = measure_speed(model, side)
        if side in sets:
            verdicts[name] = add_extras(figures, model, sets[side], options)
        methods[name] = figures
    drawn: Files = {}
    if options.figures is not None or options.report is not None:
        scenes = {
            name: scene_of(model, sets[sides[name]], options)
            for name, model in models.items()
        }
        drawn, missing = draw_figures(scenes)
        for line in missing:
            terminal.note(f"not drawn: {line}")
    return methods, tables, verdicts, drawn


def wanted_lpips(options: BenchOptions, device: torch.device) -> PictureDistance | None:
    """The LPIPS network where a figure needs one. Raises EganError as `load_lpips`."""
    if not options.wants_lpips:
        return None
    return load_lpips(options.lpips_net, options.lpips_backbone, device)


def wanted_sets(options: BenchOptions, sides: Iterable[int]) -> dict[int, PictureSets]:
    """The pictures by side; none where nothing that was asked for looks at pictures."""
    seen = (options.metrics, options.attacks, options.payloads)
    if not any((*seen, options.figures, options.report)):
        return {}
    return {side: load_sets(options, side) for side in dict.fromkeys(sides)}


def bench_model(
    model: TorchModel,
    sets: PictureSets,
    options: BenchOptions,
    device: torch.device,
    lpips: PictureDistance | None,
    why: str,
) -> tuple[dict[str, Any], Sequence[Row]]:
    """One method's figures and table. `why` is the reason where `lpips` is None."""
    pairs = make_pairs(sets, options.seed)
    with_security = "security" in options.metrics and model.keyed
    rows, disguises = measure(
        model,
        pairs,
        seed=options.seed,
        batch=options.batch,
        wrong_limit=options.wrong_limit,
        lpips=lpips,
        with_ssim="ssim" in options.metrics,
        with_security=with_security,
    )
    figures = summarise(rows, options.metrics, options.seed)
    notes = figures["notes"]
    for figure, (column, metric, _) in FIGURES.items():
        if metric in options.metrics and "lpips" in column and lpips is None:
            notes[figure] = why
        if metric == "security" and with_security and len(rows) < 2:
            notes[figure] = "one pair has no wrong keys"
        if metric == "security" and not model.keyed:
            notes[figure] = (
                "this method has no keys: whoever has the weights reads every disguise"
            )
    if sets.skipped:
        notes["skipped"] = sets.skipped
    figures["preprocessing"] = preprocessing(
        sets, options, pairs.composites.shape[1], rows
    )
    add_realism(figures, disguises, pairs.flowers, options, device)
    return figures, rows


def add_realism(
    figures: dict[str, Any],
    disguises: Pictures,
    flowers: Pictures,
    options: BenchOptions,
    device: torch.device,
) -> None:
    """Put `fid`, `frechet` and `kid` into the figures, or None and why into the notes."""
    kinds: tuple[tuple[Callable[[], Features], dict[str, str], str], ...] = (
        (
            lambda: load_inception_features(options.inception, device),
            {"fid": "frechet"},
            "Inception pool features (2048), TF1 bilinear resize to 299",
        ),
        (
            lambda: load_efficientnet_features(device),
            {"frechet": "frechet", "kid": "kid"},
            "EfficientNet-Lite0, mean of 1280 features, bicubic to 224; no loss here",
        ),
    )
    for load, names, words in kinds:
        wanted = {name: way for name, way in names.items() if name in options.metrics}
        for name in names:
            figures[name] = None
            if name not in wanted:
                figures["notes"][name] = f"not asked for: add --metrics {name}"
        if not wanted:
            continue
        found, why = attempt(
            partial(
                realism,
                load,
                disguises,
                flowers,
                options.reference,
                options.batch,
                options.seed,
                tuple(wanted.values()),
            )
        )
        for name, way in wanted.items():
            if found is None:
                figures["notes"][name] = why
            else:
                add_distance(figures, name, found[way], words)


def add_distance(
    figures: dict[str, Any], name: str, distances: dict[str, Any], words: str
) -> None:
    """Put one distance into the figures, with its interval and what it was made of."""
    interval = distances.pop("ci")
    figures["preprocessing"][name] = f"{distances['sets']}; {words}"
    if name == "fid":
        figures["fid_comparable"] = distances["comparable"]
        figures["fid_real"] = distances["real"]
    figures["ci"][name] = interval.get("distance") if name == "fid" else interval
    figures[name] = distances["distance"] if name == "fid" else distances


def attempt(load: Callable[[], T]) -> tuple[T | None, str]:
    """A result, or None and the reason. Wrong usage (status 2) is still an error."""
    try:
        return load(), ""
    except EganError as error:
        if error.status == 2:
            raise
        return None, f"{error}; {error.hint}" if error.hint else str(error)


def load_sets(options: BenchOptions, side: int) -> PictureSets:
    if options.x is None or options.y is None:
        return load_smoke(side, options.limit or SMOKE_LIMIT, options.seed)
    return load_pictures(
        options.x, options.y, options.messages, side, options.limit, options.seed
    )


def preprocessing(
    sets: PictureSets, options: BenchOptions, side: int, rows: Sequence[Row]
) -> dict[str, str]:
    """Everything a reader must know about the figures: colour space, range, crop,
    filter, backbone, counts.
    """
    tries = max(row.wrong_keys for row in rows)
    wrong = f"{tries} of {len(rows) - 1} per picture, LPIPS on {min(tries, LPIPS_WRONG_KEYS)} of them"
    return {
        "data": sets.label,
        "pictures": f"centre square, Lanczos to {side}x{side}, RGB, through 8 bits",
        "pixel figures": "RGB in [0, 1], cut to the message box, mean over images",
        "messages": f"one per picture, {side // 8} to {side // 2} pixels, bicubic, random place",
        "ssim": "scikit-image, 7x7 uniform window, per channel",
        "lpips": f"LPIPS-{options.lpips_net} v0.1, boxes below 64 pixels resized to 64x64 (bilinear)",
        "wrong keys": wrong if tries else "none",
        "seed": str(options.seed),
    }


def print_report(methods: dict[str, Any]) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    measured = {name: figures for name, figures in methods.items() if "n" in figures}
    if measured:
        data = next(iter(measured.values()))["preprocessing"]["data"]
        if not console.is_terminal:
            console = Console(highlight=False, soft_wrap=True, width=140)
        console.print(paper_table(measured, data), markup=False, crop=False)
    for name, figures in methods.items():
        lines = detail_lines(figures) if name in measured else []
        lines += speed_lines(figures["speed"]) if "speed" in figures else []
        lines += extra_lines(figures)
        console.print(f"\n{printable(name)} ({figures['family']})", markup=False)
        for line in lines:
            console.print(f"  {printable(line)}", markup=False)
