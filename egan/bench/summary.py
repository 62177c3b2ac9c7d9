"""The table of rows made into figures: means, bootstrap intervals, the JSON object, the
table for people, the CSV.

Every number printed is computed here from `Row`s, so columns cannot disagree. A figure
that cannot be had is None, and `notes` has its reason under the figure's name.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from egan.bench.intervals import mean_interval
from egan.bench.protocol import Row
from egan.terminal import printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

# Spreadsheets compute a cell that begins with one of these.
FORMULA = ("=", "+", "-", "@")

# figure: (column of Row, metric that asks for it, how the rows become one number)
FIGURES: dict[str, tuple[str, str, str]] = {
    "encryption.lpips": ("encryption_lpips", "encryption", "mean"),
    "encryption.mse": ("encryption_mse", "encryption", "mean"),
    "message.mse": ("message_mse", "mse", "mean"),
    "message.rmse": ("message_rmse", "rmse", "mean"),
    "message.psnr": ("message_psnr", "psnr", "mean"),
    "message.ssim": ("message_ssim", "ssim", "mean"),
    "message.lpips": ("message_lpips", "lpips", "mean"),
    "security.lpips": ("security_lpips", "security", "mean"),
    "security.lpips_min": ("security_lpips_min", "security", "min"),
    "security.mse": ("security_mse", "security", "mean"),
    "security.mse_min": ("security_mse_min", "security", "min"),
    "security.psnr_mean": ("security_psnr_mean", "security", "mean"),
    "security.psnr_max": ("security_psnr_max", "security", "max"),
    "blind.psnr": ("blind_psnr", "blind", "mean"),
    "blind.mse": ("blind_mse", "blind", "mean"),
    "excess.mean": ("excess", "security", "mean"),
    "excess.max": ("excess", "security", "max"),
}

STATISTICS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": lambda values: float(np.mean(values)),
    "min": min,
    "max": max,
}

# Table 1 of arXiv 1905.11582, on its own data, by our families; the paper's EncryptGAN
# stands for both of ours.
PAPER_COLUMNS = (
    "fid",
    "encryption.lpips",
    "encryption.mse",
    "message.mse",
    "message.rmse",
    "message.psnr",
    "message.ssim",
    "message.lpips",
)
PAPER_ROWS = {
    "paper": (
        "EncryptGAN",
        (107.92, 0.4141, 0.0765, 0.0139, 0.1156, 17.60, 0.9825, 0.2414),
    ),
    "cyclegan": (
        "CycleGAN",
        (160.96, 0.4510, 0.1039, 0.0332, 0.1769, 14.32, 0.9654, 0.3115),
    ),
    "munit": ("MUNIT", (218.60, 0.3937, 0.1308, 0.0464, 0.2122, 12.62, 0.9437, 0.4341)),
    "drit": ("DRIT", (165.06, 0.4707, 0.0916, 0.0492, 0.2111, 12.95, 0.9206, 0.3174)),
    "baluja": (
        "Deep steganography",
        (238.67, 0.3583, 0.1020, 0.0225, 0.1426, 16.19, 0.9473, 0.2429),
    ),
}
# Of EncryptGAN; the other methods have no keys.
PAPER_SECURITY = {
    "lpips": 0.5191,
    "mse": 0.1379,
}


def paper_figures(family: str) -> dict[str, Any]:
    """A row of the paper's table in the shape of ours."""
    out: dict[str, Any] = {"security": PAPER_SECURITY} if family == "paper" else {}
    for figure, value in zip(PAPER_COLUMNS, PAPER_ROWS[family][1], strict=True):
        group, _, name = figure.partition(".")
        if name:
            out.setdefault(group, {})[name] = value
        else:
            out[group] = value
    return out


def summarise(rows: Sequence[Row], metrics: Sequence[str], seed: int) -> dict[str, Any]:
    """One method's figures as DESIGN 7's object: means over images, "ci" with 95 %
    intervals of the means, "notes".
    """
    out: dict[str, Any] = {"n": len(rows), "ci": {}, "notes": {}}
    for figure, (column, metric, how) in FIGURES.items():
        group, name = figure.split(".")
        values = [getattr(row, column) for row in rows]
        finite = [v for v in values if v is not None and math.isfinite(v)]
        value = None
        if metric not in metrics:
            out["notes"][figure] = f"not asked for: add --metrics {metric}"
        elif not finite:
            missing = any(v is None for v in values)
            out["notes"][figure] = (
                "not measured" if missing else "infinite: no picture has any error"
            )
        else:
            value = STATISTICS[how](finite)
            if len(finite) < len(values):
                out["notes"][figure] = (
                    f"without {len(values) - len(finite)} pictures where it is infinite"
                )
            if how == "mean":
                out["ci"].setdefault(group, {})[name] = mean_interval(finite, seed)
        out.setdefault(group, {})[name] = value
    out["seconds"] = float(np.mean([row.seconds for row in rows]))
    return out


def cell(value: object) -> object:
    """A cell of a CSV without control characters, and no formula for a spreadsheet."""
    if not isinstance(value, str):
        return value
    words = printable(value)
    return f"'{words}" if words.startswith(FORMULA) else words


def tables_csv(tables: dict[str, Sequence[Row]]) -> str:
    """Per-image tables of several methods in one CSV: the first column names the
    method.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", *(f.name for f in dataclasses.fields(Row))])
    for method, rows in tables.items():
        for row in rows:
            cells = (method, *dataclasses.astuple(row))
            writer.writerow([cell(value) for value in cells])
    return buffer.getvalue()


def shown(figures: dict[str, Any], figure: str, digits: int = 4) -> str:
    """A figure by its dotted name, rounded; a dash where there is none."""
    value: Any = figures
    for part in figure.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return "-" if value is None else f"{value:.{digits}f}"


def paper_rows(methods: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The paper's own figures for its method and for those that were measured here, by
    the name of the row.
    """
    compared = [
        f
        for f in PAPER_ROWS
        if f == "paper" or any(m.get("family") == f for m in methods.values())
    ]
    return {f"{PAPER_ROWS[f][0]}, paper's data": paper_figures(f) for f in compared}


def plain(words: str) -> Text:
    """Words for a table as they are: no markup, and no control characters."""
    from rich.text import Text

    return Text(printable(words))


def paper_table(methods: dict[str, dict[str, Any]], title: str) -> Table:
    """The columns of the paper: its own rows for EncryptGAN and the compared methods,
    and one row per method measured here.
    """
    from rich.table import Table

    table = Table(title=plain(title), title_justify="left", caption_justify="left")
    for heading in (
        "",
        "FID",
        "KID",
        "Encryption\nLPIPS/MSE",
        "MSE",
        "RMSE",
        "PSNR",
        "SSIM",
        "LPIPS",
        "Security\nLPIPS/MSE",
    ):
        table.add_column(
            heading, justify="left" if not heading else "right", no_wrap=True
        )
    paper = paper_rows(methods)
    for name, figures in {**paper, **methods}.items():
        table.add_row(
            plain(name),
            shown(figures, "fid", 2),
            shown(figures, "kid.comparable"),
            shown(figures, "encryption.lpips") + "/" + shown(figures, "encryption.mse"),
            *(
                shown(figures, f"message.{m}", 2 if m == "psnr" else 4)
                for m in ("mse", "rmse", "psnr", "ssim", "lpips")
            ),
            shown(figures, "security.lpips") + "/" + shown(figures, "security.mse"),
        )
    return table


def distance_line(
    name: str, digits: int, found: dict[str, Any], ci: dict[str, list[float]]
) -> str:
    """Distances between sets of pictures, with the distances to compare them with."""
    interval = ""
    if "comparable" in ci:
        low, high = ci["comparable"]
        interval = f" (95% {low:.{digits}f} to {high:.{digits}f})"
    jpeg = ", ".join(f"{q}: {v:.{digits}f}" for q, v in found["jpeg"].items())
    return (
        f"{name}: like for like {found['comparable']:.{digits}f}{interval}, "
        f"real against real {found['real']:.{digits}f}; "
        f"all with their own flowers {found['distance']:.{digits}f}; "
        f"photographs after JPEG of quality {jpeg}"
    )


def detail_lines(figures: dict[str, Any]) -> list[str]:
    """The figures that have no column in the paper's table, one a line, with intervals
    and counts.
    """
    ci = figures["ci"]

    def interval(group: str, name: str) -> str:
        low, high = ci.get(group, {}).get(name, (None, None))
        return "" if low is None else f" (95% {low:.2f} to {high:.2f})"

    lines = []
    for words, group, name in (
        ("right key", "message", "psnr"),
        ("wrong keys", "security", "psnr_mean"),
        ("best wrong key", "security", "psnr_max"),
        ("blind floor", "blind", "psnr"),
        ("best wrong key over its floor, mean", "excess", "mean"),
        ("best wrong key over its floor, most", "excess", "max"),
    ):
        value = shown(figures, f"{group}.{name}", 2)
        if value != "-":
            lines.append(f"{words}: {value} dB{interval(group, name)}")
    for name, digits in (("frechet", 1), ("kid", 4)):
        if figures.get(name):
            lines.append(distance_line(name, digits, figures[name], ci.get(name, {})))
    lines.append(f"seconds per picture, encrypt and decrypt: {figures['seconds']:.4f}")
    if figures.get("gmac") is not None:
        lines.append(f"GMAC per picture, encrypt and decrypt: {figures['gmac']:.2f}")
    lines += [f"{name}: {words}" for name, words in figures["preprocessing"].items()]
    reasons: dict[str, list[str]] = {}
    for name, reason in figures["notes"].items():
        if not reason.startswith("not asked for"):
            reasons.setdefault(reason, []).append(name)
    return lines + [
        f"{', '.join(names)}: {reason}" for reason, names in reasons.items()
    ]
