"""Man pages, completion files and the README against the commands themselves."""

import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer

from egan.commands.app import build

ROOT = Path(__file__).resolve().parent.parent
BUILD = runpy.run_path(str(ROOT / "man/build.py"))
SHELLS, completion, pages = (BUILD[name] for name in ("SHELLS", "completion", "pages"))
SECURITY = "egan-security.7"
GROUP: Any = typer.main.get_command(build())


@pytest.mark.parametrize("name", sorted(pages()))
def test_page_is_what_the_command_says(name: str) -> None:
    assert (ROOT / "man" / name).read_text() == pages()[name], (
        "run: python man/build.py"
    )


def test_there_is_a_page_for_each_command_and_one_on_security() -> None:
    expected = {"egan.1", *(f"egan-{name}.1" for name in GROUP.commands), SECURITY}
    assert {path.name for path in (ROOT / "man").glob("*.[0-9]")} == expected


@pytest.mark.parametrize("command", sorted(GROUP.commands))
def test_every_option_of_help_is_in_the_page(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "egan", command, "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"},
    )
    page = (ROOT / "man" / f"egan-{command}.1").read_text().replace("\\-", "-")
    listed = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", done.stdout))
    assert listed
    assert {option for option in listed if f"\\fB{option}\\fR" not in page} == set()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
@pytest.mark.parametrize("name", [*sorted(pages()), SECURITY])
def test_groff_has_nothing_to_say(name: str) -> None:
    done = subprocess.run(
        ["groff", "-man", "-ww", "-Tutf8", str(ROOT / "man" / name)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_completion_is_what_typer_makes(shell: str) -> None:
    text = (ROOT / "egan/commands/completion" / SHELLS[shell]).read_text()
    assert text == completion(shell), "run: python man/build.py"
    assert "_EGAN_COMPLETE" in text


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    command = tmp_path / "egan"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m egan "$@"\n')
    command.chmod(0o755)
    script = f"""
        source {shlex.quote(str(ROOT / "egan/commands/completion/egan.bash"))}
        ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _egan_completion egan; echo "${{COMPREPLY[@]}}"; }}
        ask egan enc; ask egan decrypt --pr
    """
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": path},
    )
    assert done.stdout.split() == ["encrypt", "--priv"], done.stderr


def test_every_page_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    installed = {k: v for k, v in wheel["shared-data"].items() if k.startswith("man/")}
    made = {path.name for path in (ROOT / "man").glob("*.[0-9]")}
    expected = {f"man/{name}": f"share/man/man{name[-1]}/{name}" for name in made}
    assert installed == expected


def command_lines(path: Path) -> list[tuple[str, str]]:
    """Every `egan COMMAND ...` in a text, as the command and the rest of its line.

    Of a man page the examples alone are read, which are bold lines.
    """
    text = path.read_text()
    if path.suffix in (".1", ".7"):
        examples = re.findall(r"^\\fB(.*)\\fR$", text, re.MULTILINE)
        text = "\n".join(examples).replace("\\-", "-")
    text = text.replace("\\\n", " ")
    return re.findall(r"(?<![\w.-])egan ([a-z]+)\b([^|`\n#]*)", text)


def test_commands_in_the_readme_exist() -> None:
    used = {name for name, _ in command_lines(ROOT / "README.md")}
    assert used >= {"keygen", "compose", "encrypt", "decrypt", "demo", "train"}


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "weights/README.md",
        f"man/{SECURITY}",
        *(f"man/{p}" for p in pages()),
    ],
)
def test_options_in_the_texts_exist(name: str) -> None:
    for command, rest in command_lines(ROOT / name):
        if command not in GROUP.commands:
            continue
        known = {
            option
            for parameter in GROUP.commands[command].params
            for option in parameter.opts
        }
        for option in re.findall(r"(?<!\S)--[a-z][a-z0-9-]+", rest):
            assert option in known | {"--help"}, f"egan {command} {option}"
