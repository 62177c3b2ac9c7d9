"""Empty names and options given twice, for every option and argument of every command."""

from __future__ import annotations

from typing import Any

import pytest
import typer
from conftest import Run

from egan.commands.app import build

GROUP: Any = typer.main.get_command(build())
VALUES = [
    pytest.param(name, option, id=f"{name} {option.opts[0]}")
    for name, command in GROUP.commands.items()
    for option in command.params
    if option.param_type_name == "option" and not option.is_flag
]


@pytest.mark.parametrize(("command", "option"), VALUES)
def test_an_empty_value_is_an_error(command: str, option: Any, run: Run) -> None:
    for name in option.opts:
        words = [(command, name, "")]
        if name.startswith("--"):
            words.append((command, f"{name}="))
        for line in words:
            done = run(*line)
            assert (done.status, done.out) == (2, b"")
            assert done.err.startswith(f"egan: error: the value of {name} is empty\n")


@pytest.mark.parametrize(("command", "option"), VALUES)
def test_what_takes_one_value_takes_it_once(
    command: str, option: Any, run: Run
) -> None:
    done = run(command, option.opts[0], "a", option.opts[-1], "b")
    twice = "is given twice and takes one value" in done.err
    assert done.status == 2 or option.multiple
    assert twice != option.multiple


@pytest.mark.parametrize("command", GROUP.commands)
def test_an_empty_argument_is_an_error(command: str, run: Run) -> None:
    for line in ((command, ""), (command, "a.png", ""), (command, "--", "")):
        done = run(*line)
        assert (done.status, done.out) == (2, b"")
        assert done.err.startswith("egan: error: one of the arguments is an empty name")
