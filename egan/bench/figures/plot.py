"""Sweeps as CSV, and as line plots by matplotlib, which is an optional dependency (`pip install 'egan[plots]'`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from egan.errors import EganError

COLOURS = (
    "#2563a8",
    "#c2410c",
    "#3f7d3a",
    "#7c3a8c",
)  # told apart in print and by colour-blind readers
MARKERS = ("o", "s", "^", "D")


@dataclass(frozen=True)
class Sweep:
    """Curves over one axis: per curve the mean and the ends of its 95 % interval at every x. `floor` is a level to compare."""

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


def plot(sweeps: Sequence[Sweep]) -> bytes:
    """One PNG with a panel per sweep. Raises EganError where matplotlib is not installed."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EganError("plots need matplotlib", "pip install 'egan[plots]'") from error
    figure = Figure(figsize=(5.2 * len(sweeps), 3.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, sweep in zip(
        figure.subplots(1, len(sweeps), squeeze=False)[0], sweeps, strict=True
    ):
        for (name, points), colour, marker in zip(
            sweep.curves.items(), COLOURS, MARKERS, strict=False
        ):
            middle, low, high = zip(*points, strict=True)
            axes.plot(
                sweep.x, middle, color=colour, marker=marker, markersize=4, label=name
            )
            axes.fill_between(sweep.x, low, high, color=colour, alpha=0.15, linewidth=0)
        if sweep.floor is not None:
            axes.axhline(
                sweep.floor,
                color="#777",
                linestyle=":",
                linewidth=1,
                label="blind floor",
            )
        axes.set_title(sweep.title, fontsize=10, loc="left")
        axes.set_xscale("symlog", base=2, linthresh=1)
        axes.set_xticks(sweep.x, [f"{x:g}" for x in sweep.x])
        axes.set_xlabel(sweep.x_label)
        axes.set_ylabel(sweep.y_label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#ddd", linewidth=0.6)
        if len(sweep.curves) > 1 or sweep.floor is not None:
            axes.legend(frameon=False, fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
