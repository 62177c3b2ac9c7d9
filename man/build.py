"""Writes the man pages of the commands and the completion files: python man/build.py

Prose comes from man/text, options come from the commands. `tests/test_docs.py` fails where
a committed page differs from the one made here, so pages and --help always agree.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import typer

from egan import __version__
from egan.commands.app import build

ROOT = Path(__file__).resolve().parent.parent
SHELLS = {"bash": "egan.bash", "zsh": "_egan", "fish": "egan.fish"}

# The order of the pages in SEE ALSO; "" is egan's own.
NAMES = (
    "",
    "keygen",
    "compose",
    "encrypt",
    "decrypt",
    "sign",
    "verify",
    "calibrate",
    "passphrase",
    "inspect",
    "demo",
    "train",
    "bench",
)


def texts(name: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Paragraphs of DESCRIPTION and EXAMPLES, as (words, command line), of a page.

    They stand in man/text: paragraphs, a line EXAMPLES, and then a line of words and an
    indented command for each example. {many} stands for the paragraph in many.txt.
    """
    folder = ROOT / "man/text"
    text = (folder / f"{name or 'egan'}.txt").read_text()
    text = text.replace("{many}", (folder / "many.txt").read_text().strip())
    prose, _, examples = text.partition("\nEXAMPLES\n")
    paragraphs = [" ".join(part.split()) for part in prose.strip().split("\n\n")]
    lines = [line.strip() for line in examples.splitlines() if line]
    return paragraphs, list(zip(lines[::2], lines[1::2], strict=True))


# The sections that all pages have in common, as roff.
ENDING = [
    ".SH EXIT STATUS",
    (
        "0 done; 1 failed or not verified; 2 wrong usage; 3 decoded by egan decrypt "
        "\\-\\-damaged, and nobody vouches for it; 130, 143 or 129 interrupted by SIGINT, "
        "SIGTERM or SIGHUP; 141 closed pipe."
    ),
    ".SH ENVIRONMENT",
    ".TP",
    "\\fBEGAN_WEIGHTS\\fR",
    "A weights file to use where \\-\\-weights names none.",
    ".TP",
    "\\fBEGAN_PUB\\fR, \\fBEGAN_PRIV\\fR",
    "Keys to use where \\-\\-pub or \\-\\-priv names none.",
    ".TP",
    "\\fBNO_COLOR\\fR",
    "If set, nothing is coloured.",
    ".SH SEE ALSO",
]


def roff(text: str) -> str:
    """Text as roff: backslashes and hyphens escaped, no control character first."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[:1] in (".", "'") else text


def options(command: Any) -> list[str]:
    lines = []
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            head = f"\\fI{roff(parameter.metavar)}\\fR"
        else:
            head = ", ".join(f"\\fB{roff(name)}\\fR" for name in parameter.opts)
            if parameter.metavar:
                head += f" \\fI{roff(parameter.metavar)}\\fR"
        words = parameter.help or ""
        default = parameter.default
        if (
            isinstance(default, str | int)
            and not isinstance(default, bool)
            and "[default" not in words
        ):
            words += f" [default: {default}]"
        lines += [".TP", head, roff(words)]
    lines += [".TP", "\\fB\\-h\\fR, \\fB\\-\\-help\\fR", "Show help and exit."]
    return lines


def synopsis(name: str, command: Any) -> str:
    """The line of SYNOPSIS as roff; an empty name is egan itself."""
    if not name:
        return "\\fBegan\\fR \\fICOMMAND\\fR [\\fIARGUMENT\\fR]..."
    arguments = [p.metavar for p in command.params if p.param_type_name == "argument"]
    needed = [
        f"{p.opts[-1]} {p.metavar}"
        for p in command.params
        if p.required and p.opts[-1].startswith("--")
    ]
    parts = ["[OPTION]...", *needed, *arguments]
    return f"\\fBegan {name}\\fR {roff(' '.join(parts))}"


def page(name: str, command: Any) -> str:
    """The man page of one command, or of egan itself for an empty name."""
    title = f"egan-{name}" if name else "egan"
    prose, examples = texts(name)
    summary = (command.help or "").split("\n\n")[0].replace("\n", " ").rstrip(".")
    out = [
        f'.TH {title.upper()} 1 "" "egan {__version__}" "User Commands"',
        ".SH NAME",
        f"{roff(title)} \\- {roff(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
    ]
    out.append(synopsis(name, command))
    out.append(".SH DESCRIPTION")
    for number, paragraph in enumerate(prose):
        out += [".PP"] * bool(number) + [roff(paragraph)]
    if not name:
        out.append(".SH COMMANDS")
        for sub, child in command.commands.items():
            out += [
                ".TP",
                f"\\fBegan\\-{sub}\\fR(1)",
                roff((child.help or "").split("\n")[0]),
            ]
    out += [".SH OPTIONS", *options(command), ".SH EXAMPLES"]
    for words, line in examples:
        out += [".TP", roff(words), f"\\fB{roff(line)}\\fR"]
    out += ENDING
    others = ["egan", *(f"egan-{sub}" for sub in NAMES if sub)]
    listed = [f"\\fB{roff(other)}\\fR(1)" for other in others if other != title]
    out.append(", ".join([*listed, "\\fBegan\\-security\\fR(7)"]))
    return "\n".join(out) + "\n"


def pages() -> dict[str, str]:
    """Every page by file name. A command without prose is an error."""
    root: Any = typer.main.get_command(build())
    made = {"egan.1": page("", root)}
    for name, command in root.commands.items():
        made[f"egan-{name}.1"] = page(name, command)
    return made


def completion(shell: str) -> str:
    """The completion script that typer makes for a shell."""
    done = subprocess.run(
        [sys.executable, "-m", "egan"],
        env=os.environ | {"_EGAN_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return re.sub(r"\n+\Z", "\n", done.stdout)


def main() -> None:
    for name, text in pages().items():
        (ROOT / "man" / name).write_text(text)
    for shell, name in SHELLS.items():
        (ROOT / "egan/commands/completion" / name).write_text(completion(shell))


if __name__ == "__main__":
    main()
