"""`egan bench --report FILE.html`: everything measured, on one page that needs no other file, to read or to print."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Mapping
from typing import Any

from egan import __version__
from egan.bench.speed import speed_lines
from egan.bench.summary import detail_lines, paper_rows, shown

STYLE = """
:root { --ink: #1d1d22; --soft: #5d5d68; --line: #d9d9df; --accent: #2563a8; }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); max-width: 1060px; margin: 2.5rem auto; padding: 0 1.2rem }
h1 { font-size: 1.7rem; margin: 0 } h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 2px solid var(--accent) }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem } p.lead, figcaption, small { color: var(--soft) }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem }
th, td { padding: .3rem .55rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top }
th:first-child, td:first-child, td.words { text-align: left } thead th { border-bottom: 2px solid var(--ink) }
tr.paper td { color: var(--soft) } .scroll { overflow-x: auto }
.held, .sound { color: #236b2c; font-weight: 600 } .broken, .leaks { color: #a3241b; font-weight: 600 }
.lost, .survives { font-weight: 600 }
ul { padding-left: 1.1rem } li { margin: .1rem 0 } figure { margin: 1rem 0 } img { max-width: 100%; border: 1px solid var(--line) }
@media print { body { margin: 0; max-width: none; font-size: 11px } figure, tr { break-inside: avoid } h2 { break-after: avoid } }
"""

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
    """The page. `pictures`: PNG files by name, in the order in which they are shown; other files are left out."""
    measured = {name: figures for name, figures in methods.items() if "n" in figures}
    parts = [head(measured or methods)]
    if measured:
        parts.append(section("The paper's table", main_table(measured)))
    for name, figures in methods.items():
        if figures.get("attacks"):
            parts.append(
                section(f"Attacks on {name}", attack_table(figures["attacks"]))
            )
        if figures.get("payloads"):
            parts.append(
                section(
                    f"QR codes and text through {name}",
                    payload_tables(figures["payloads"]),
                )
            )
        lines = detail_lines(figures) if name in measured else []
        lines += speed_lines(figures["speed"]) if "speed" in figures else []
        if lines:
            parts.append(
                section(f"Details of {name} ({figures['family']})", bullets(lines))
            )
    shown_pictures = [
        figure(name, data) for name, data in pictures.items() if name.endswith(".png")
    ]
    if shown_pictures:
        parts.append(section("Figures", "".join(shown_pictures)))
    parts.append(
        section(
            "All figures as JSON",
            f"<details><summary>show</summary><pre>{text(json.dumps(methods, indent=2))}</pre></details>",
        )
    )
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>egan bench</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>\n{body}\n</body></html>\n'
    )


def text(words: object) -> str:
    return html.escape(str(words))


def section(title: str, body: str) -> str:
    return f"<section><h2>{text(title)}</h2>\n{body}</section>"


def bullets(lines: list[str]) -> str:
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>"


def head(methods: Mapping[str, dict[str, Any]]) -> str:
    first = next(iter(methods.values()), {})
    data = first.get("preprocessing", {}).get("data", "")
    count = f"{first['n']} pictures; " if "n" in first else ""
    return f'<h1>egan bench</h1><p class="lead">egan {__version__}. {text(count)}{text(data)}</p>'


def table(headings: list[str], rows: list[str]) -> str:
    top = "".join(f"<th>{text(h)}</th>" for h in headings)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'


def main_table(methods: Mapping[str, dict[str, Any]]) -> str:
    rows = []
    paper = paper_rows(methods)
    for name, figures in {**paper, **methods}.items():
        cells = "".join(
            f"<td>{text(with_interval(figures, f, digits))}</td>"
            for _, f, digits in COLUMNS
        )
        rows.append(
            f'<tr class="{"paper" if name in paper else "ours"}"><td>{text(name)}</td>{cells}</tr>'
        )
    note = "<p><small>Brackets: 95 % bootstrap intervals over pictures. A dash has its reason under the details.</small></p>"
    return table(["", *(h for h, _, _ in COLUMNS)], rows) + note


def with_interval(figures: Mapping[str, Any], name: str, digits: int) -> str:
    value = shown(dict(figures), name, digits)
    group, _, key = name.partition(".")
    ci = figures.get("ci", {}).get(group, {}).get(key)
    return (
        value
        if ci is None or value == "-"
        else f"{value} ({ci[0]:.{digits}f} to {ci[1]:.{digits}f})"
    )


def attack_table(verdicts: list[dict[str, Any]]) -> str:
    rows = []
    for v in verdicts:
        score, control = v["score"], v["control"]
        digits = 2 if v["unit"] == "dB" else 3
        interval = f"{score['value']:.{digits}f} ({score['ci'][0]:.{digits}f} to {score['ci'][1]:.{digits}f})"
        found = "found" if control["finding"] != "held" else "NOT FOUND"
        rows.append(
            f"<tr><td>{v['number']} {text(v['name'])}<br><small>{text(v['budget'])}</small></td>"
            f'<td class="{score["finding"]}">{score["finding"]}</td><td>{interval} {v["unit"]}</td>'
            f"<td>{score['floor']:.{digits}f}</td><td>{v['ceiling']:.{digits}f}</td>"
            f'<td class="words">{control["value"]:.{digits}f}, {found}<br><small>{text(v["planted"])}</small></td></tr>'
        )
    return table(
        ["attack", "verdict", "score (95 %)", "floor", "right key", "control"], rows
    )


def payload_tables(found: dict[str, Any]) -> str:
    qr = [
        f"<tr><td>{r['characters']} characters</td><td>{r['side']}</td><td>{100 * r['read']:.0f} % "
        f"({100 * r['ci'][0]:.0f} to {100 * r['ci'][1]:.0f})</td><td>{100 * r['read_before']:.0f} %</td>"
        f"<td>{100 * r['bit_error']:.2f} %</td><td>{r['n']}</td></tr>"
        for r in found["qr"]
    ]
    words = [
        f"<tr><td>{r['font_size']} pixels</td><td>{100 * r['read']:.0f} % ({100 * r['ci'][0]:.0f} to "
        f"{100 * r['ci'][1]:.0f})</td><td>{100 * r['character_error']:.2f} %</td>"
        f"<td>{100 * r['character_error_before']:.2f} %</td><td>{r['n']}</td></tr>"
        for r in found["text"]
    ]
    out = (
        table(
            [
                "QR code",
                "side, pixels",
                "read",
                "read before hiding",
                "modules wrong",
                "n",
            ],
            qr,
        )
        if qr
        else ""
    )
    out += table(
        [
            "text, font of",
            "whole text read",
            "characters wrong",
            "wrong before hiding",
            "n",
        ],
        words,
    )
    return out + bullets([f"{name}: {why}" for name, why in found["notes"].items()])


def figure(name: str, data: bytes) -> str:
    encoded = base64.b64encode(data).decode()
    return (
        f'<figure><img alt="{text(name)}" src="data:image/png;base64,{encoded}">'
        f"<figcaption>{text(name)}</figcaption></figure>"
    )
