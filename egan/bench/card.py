"""The block of figures that `egan calibrate --card` keeps in a model card, between two
markers.

Everything outside of the markers belongs to whoever writes the card and is never
touched.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from egan.errors import EganError, reason_of

BEGIN = "<!-- signing figures: written by egan calibrate -->"
END = "<!-- end of signing figures -->"


def read_card(path: str) -> str:
    """The text of a model card that has the two markers, once each and in order. Raises
    EganError.
    """
    try:
        text = Path(path).read_text("utf-8")
    except OSError as error:
        raise EganError(f"cannot read {path}: {reason_of(error)}") from error
    except UnicodeDecodeError as error:
        raise EganError(f"{path} is no text in UTF-8") from error
    if (text.count(BEGIN), text.count(END)) != (1, 1) or text.index(END) < text.index(
        BEGIN
    ):
        raise EganError(
            f"{path} has no place for the figures",
            f"put a line `{BEGIN}` and below it a line `{END}` where they belong",
            2,
        )
    return text


def with_block(text: str, block: str) -> str:
    """The card with this block between its markers, instead of the block that was
    there.
    """
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def signing_block(figures: dict[str, Any], weights: str, command: str) -> str:
    """The figures of `egan calibrate` as Markdown; `figures` has the shape of its
    --json.
    """
    genuine, impostor = figures["genuine"], figures["impostor"]
    copies = "; ".join(
        f"{name} {100 * share:.0f} %" for name, share in figures["near_copies"].items()
    )
    side, count = figures["image_size"], figures["secrets"]
    lines = [
        f"Weights `{weights}`, {count} held-out secrets of {side}×{side} pixels:",
        "",
        "| figure | value |",
        "|---|---|",
        f"| threshold, RMSE on RGB in [0, 1] | {figures['threshold']:.4f} |",
        f"| false rejects | {rate_words(figures['false_reject'])} |",
        f"| false accepts | {rate_words(figures['false_accept'])} |",
        f"| score of the secret itself | {spread_words(genuine)} |",
        f"| score of other secrets | {spread_words(impostor)} |",
        f"| copies that the match takes for the secret, and `--exact` does not | {copies} |",
        "",
        "| attempt | passes the match | passes verify |",
        "|---|---|---|",
    ]
    for name, found in figures["forgeries"].items():
        match, full = (
            "-" if found[key] is None else f"{found[key]:,} of {found['of']:,}"
            for key in ("match", "verify")
        )
        lines.append(f"| {name} | {match} | {full} |")
    return "\n".join([*lines, "", f"    {command}"])


def rate_words(rate: dict[str, float]) -> str:
    """A rate with its count and the upper end of its 95 % interval."""
    return (
        f"{rate['count']:,} of {rate['of']:,} ({100 * rate['rate']:.2f} %, "
        f"at most {100 * rate['at_most']:.2f} %)"
    )


def spread_words(scores: dict[str, float]) -> str:
    """The mean of scores with the smallest and the largest."""
    return (
        f"{scores['mean']:.4f} on average ({scores['min']:.4f} to {scores['max']:.4f})"
    )
