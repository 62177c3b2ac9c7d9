"""The linter, the formatter, the type checker and the layers, in the tests' command."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINT_IMPORTS = "from importlinter.cli import lint_imports_command as c; c()"
# What a command may import before it is called, so that `egan --help` is quick
LIGHT = ("typer", "egan.terminal", "egan.errors", "egan.commands.options")


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "ruff", "check", "."),
        ("-m", "ruff", "format", "--check", "."),
        ("-m", "mypy"),
        ("-c", LINT_IMPORTS, "--no-cache"),
    ],
    ids=["ruff check", "ruff format", "mypy", "import-linter"],
)
@pytest.mark.long
def test_style(words: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_commands_import_nothing_heavy_before_they_are_called() -> None:
    """app.py gathers them; inputs.py and batches.py are imported when one is called."""
    shared = {"app", "inputs", "batches", "__init__"}
    for path in sorted((ROOT / "egan" / "commands").glob("*.py")):
        if path.stem in shared:
            continue
        imported = set(imported_modules(ast.parse(path.read_text())))
        heavy = {
            name
            for name in imported
            if name.split(".")[0] not in sys.stdlib_module_names and name not in LIGHT
        }
        assert not heavy, f"{path.name} imports {', '.join(sorted(heavy))}"


def imported_modules(tree: ast.Module) -> list[str]:
    """Modules that a file imports when it is imported itself."""
    found = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "egan":
            found += [f"egan.{name.name}" for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            found.append(str(node.module))
    return found
