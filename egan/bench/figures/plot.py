"""Sweeps as CSV, and as line plots by matplotlib, which comes with the extra `plots`."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from egan.errors import EganError

# Told apart in print and by colour-blind readers.
COLOURS = ("#2563a8", "#c2410c", "#3f7d3a", "#7c3a8c", "#8a6d1d", "#4b4b55", "#b0417b")
MARKERS = ("o", "s", "^", "D")


@dataclass(frozen=True)
class Sweep:
    """Curves over one axis: per curve the mean and the ends of its 95 % interval at
    every x. `floor` is a level to compare.
    """

    title: str
    x_label: str
    y_label: str
    x: list[float]
    curves: dict[str, list[tuple[float, float, float]]]
    floor: float | None = None

    def csv(self) -> str:
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(
            ["curve", self.x_label, f"{self.y_label}", "95% low", "95% high"]
        )
        for name, points in self.curves.items():
            writer.writerows(
                [name, x, *point] for x, point in zip(self.x, points, strict=True)
            )
        if self.floor is not None:
            writer.writerow(["blind floor", "", self.floor, "", ""])
        return buffer.getvalue()


@dataclass(frozen=True)
class Lines:
    """Curves of points (x, y) over one axis, each with x of its own."""

    title: str
    x_label: str
    y_label: str
    curves: dict[str, list[tuple[float, float]]]


def canvas(panels: int, columns: int) -> tuple[Any, list[Any]]:
    """A figure with panels in rows. Raises EganError where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EganError(
            "plots need matplotlib", "pip install '.[plots]' in the checkout of egan"
        ) from error
    rows = -(-panels // columns)
    size = (5.2 * columns, 3.8 * rows)
    figure = Figure(figsize=size, dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for empty in axes[panels:]:
        empty.set_axis_off()
    return figure, axes[:panels]


def dressed(axes: Any, panel: Sweep | Lines, legend: bool) -> None:
    axes.set_title(panel.title, fontsize=10, loc="left")
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#ddd", linewidth=0.6)
    if legend:
        axes.legend(frameon=False, fontsize=8)


def written(figure: Any) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def plot(sweeps: Sequence[Sweep]) -> bytes:
    """One PNG with a panel per sweep. Raises EganError where matplotlib is missing."""
    figure, panels = canvas(len(sweeps), len(sweeps))
    for axes, sweep in zip(panels, sweeps, strict=True):
        for (name, points), colour, marker in zip(
            sweep.curves.items(), COLOURS, MARKERS, strict=False
        ):
            middle, low, high = zip(*points, strict=True)
            style = {"color": colour, "marker": marker, "markersize": 4}
            axes.plot(sweep.x, middle, label=name, **style)
            axes.fill_between(sweep.x, low, high, color=colour, alpha=0.15, linewidth=0)
        if sweep.floor is not None:
            style = {"color": "#777", "linestyle": ":", "linewidth": 1}
            axes.axhline(sweep.floor, label="blind floor", **style)
        axes.set_xscale("symlog", base=2, linthresh=1)
        axes.set_xticks(sweep.x, [f"{x:g}" for x in sweep.x])
        dressed(axes, sweep, len(sweep.curves) > 1 or sweep.floor is not None)
    return written(figure)


def plot_lines(groups: Sequence[Lines], columns: int = 3) -> bytes:
    """One PNG with a panel per group. Raises EganError where matplotlib is missing."""
    figure, panels = canvas(len(groups), columns)
    for axes, group in zip(panels, groups, strict=True):
        for number, (name, points) in enumerate(group.curves.items()):
            x, y = zip(*points, strict=True)
            colour = COLOURS[number % len(COLOURS)]
            marker = MARKERS[number % len(MARKERS)] if len(x) < 20 else None
            style = {"color": colour, "marker": marker, "markersize": 4}
            axes.plot(x, y, label=name, linewidth=1.2, **style)
        dressed(axes, group, True)
    return written(figure)
