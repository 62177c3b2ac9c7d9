"""`egan bench --report FILE.html`: everything measured, on one page to read or print.

The page needs no other file. `report.html.jinja` has the layout, this module the
content.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from egan import __version__
from egan.bench.speed import speed_lines
from egan.bench.summary import detail_lines, paper_rows, shown
from egan.terminal import printable

# Heading, figure, digits.
COLUMNS = (
    ("FID", "fid", 2),
    ("Fréchet", "frechet.comparable", 1),
    ("KID", "kid.comparable", 4),
    ("Enc. LPIPS", "encryption.lpips", 4),
    ("Enc. MSE", "encryption.mse", 4),
    ("MSE", "message.mse", 4),
    ("RMSE", "message.rmse", 4),
    ("PSNR", "message.psnr", 2),
    ("SSIM", "message.ssim", 4),
    ("LPIPS", "message.lpips", 4),
    ("Sec. LPIPS", "security.lpips", 4),
    ("Sec. MSE", "security.mse", 4),
)


def page(methods: Mapping[str, dict[str, Any]], pictures: Mapping[str, bytes]) -> str:
    """The page as HTML.

    pictures: PNG files by name, in the order in which they are shown; other files are
    left out.
    """
    measured = {name: figures for name, figures in methods.items() if "n" in figures}
    environment = Environment(
        loader=PackageLoader("egan.bench", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=as_shown,
        trim_blocks=True,
    )
    details = {
        name: (detail_lines(figures) if name in measured else [])
        + (speed_lines(figures["speed"]) if "speed" in figures else [])
        for name, figures in methods.items()
    }
    return environment.get_template("report.html.jinja").render(
        version=__version__,
        lead=lead(measured or methods),
        table_headings=["", *(heading for heading, _, _ in COLUMNS)],
        table_rows=table_rows(measured) if measured else [],
        methods={n: {"attacks": [], "payloads": {}} | f for n, f in methods.items()},
        details=details,
        pictures={
            name: base64.b64encode(data).decode()
            for name, data in pictures.items()
            if name.endswith(".png")
        },
        json=Markup(escape(json.dumps(methods, indent=2))),
    )


def as_shown(value: object) -> object:
    """Text without control characters; markup of the template's own stays."""
    plain = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value) if plain else value  # type: ignore[arg-type]


def lead(methods: Mapping[str, dict[str, Any]]) -> str:
    """The pictures of the run, in a few words."""
    first = next(iter(methods.values()), {})
    data = str(first.get("preprocessing", {}).get("data", ""))
    return f"{first['n']} pictures; {data}" if "n" in first else data


def table_rows(
    methods: Mapping[str, dict[str, Any]],
) -> list[tuple[str, str, list[str]]]:
    """Name, kind (paper or ours) and cells of each row."""
    paper = paper_rows(methods)
    return [
        (
            name,
            "paper" if name in paper else "ours",
            [with_interval(figures, figure, digits) for _, figure, digits in COLUMNS],
        )
        for name, figures in {**paper, **methods}.items()
    ]


def with_interval(figures: Mapping[str, Any], name: str, digits: int) -> str:
    """A figure by its dotted name, with its interval where there is one."""
    value = shown(dict(figures), name, digits)
    group, _, key = name.partition(".")
    ci = figures.get("ci", {}).get(group, {})
    found = ci.get(key) if isinstance(ci, dict) else None
    if found is None or value == "-":
        return value
    return f"{value} ({found[0]:.{digits}f} to {found[1]:.{digits}f})"
