"""The Typer app, and the rules of usage that hold for every command.

Each command is a few lines over `egan.verbs`, in a file of its own. Anything that takes
time to import is imported inside of it.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from egan.errors import EganError
from egan.pictures import atomic

# Columns of the help text, at most.
WIDEST = 100


class Command(TyperCommand):
    """A command that refuses a single-valued option given twice, and groups its
    options.

    An option's `rich_help_panel` is the heading of its group.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        seen: set[str] = set()
        for parameter in order:
            single = parameter.nargs == 1 and not getattr(parameter, "multiple", False)
            if parameter.param_type_name != "option" or not single:
                continue
            if parameter.name in seen and not getattr(parameter, "is_flag", False):
                raise EganError(
                    f"{parameter.opts[-1]} is given twice and takes one value",
                    f"see {ctx.command_path} --help",
                    2,
                )
            seen.add(str(parameter.name))
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                default = "Options" if parameter.param_type_name == "option" else ""
                heading = getattr(parameter, "rich_help_panel", None) or default
                groups.setdefault(heading or "Arguments", []).append(record)
        for heading, records in groups.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class Group(TyperGroup):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        refuse_empty(args)
        return super().parse_args(ctx, args)


def refuse_empty(args: Sequence[str]) -> None:
    """An empty argument is an unset variable of a script: no file has that name."""
    for at, argument in enumerate(args):
        before = args[at - 1] if at else ""
        if argument == "" and before.startswith("-") and before != "--":
            raise EganError(f"the value of {before} is empty", EMPTY, 2)
        if argument == "":
            raise EganError("one of the arguments is an empty name", EMPTY, 2)
        if argument.startswith("--") and argument.endswith("="):
            raise EganError(f"the value of {argument[:-1]} is empty", EMPTY, 2)


EMPTY = "is a variable of your script unset?"


def print_version(value: bool) -> None:
    if value:
        from egan import __version__

        print(f"egan {__version__}")
        raise typer.Exit


def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=print_version,
            is_eager=True,
            help="Print the version.",
        ),
    ] = False,
) -> None:
    """Hide pictures inside pictures of another kind.

    You paste a message on a face, a network turns the composite into a flower, and only
    the holder of the private key turns the flower back. Start with: egan demo
    """


# Every command is the function of its name in the module of its name.
COMMANDS = (
    "keygen",
    "compose",
    "encrypt",
    "decrypt",
    "sign",
    "verify",
    "passphrase",
    "inspect",
    "demo",
    "calibrate",
    "train",
    "bench",
)


def build(names: Sequence[str] = COMMANDS) -> typer.Typer:
    """The app with some commands. One alone is built in a fifth of the time that all
    take.
    """
    app = typer.Typer(
        name="egan",
        help="Hide pictures inside pictures of another kind.",
        cls=Group,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={
            "help_option_names": ["-h", "--help"],
            "max_content_width": min(WIDEST, shutil.get_terminal_size().columns),
        },
    )
    app.callback()(root)
    for name in names:
        module = importlib.import_module(f"egan.commands.{name}")
        examples = "\n".join(f"  {example}" for example in module.EXAMPLES)
        epilog = f"\b\nExamples:\n{examples}"
        app.command(cls=Command, epilog=epilog)(getattr(module, name))
    return app


def private_key(path: Path) -> bool:
    from egan.verbs.keys import holds_private_key

    return holds_private_key(path)


def start() -> None:
    """Run the command line. Usage errors become EganError with status 2."""
    atomic.protected = private_key
    try:
        status = build(asked_for())(prog_name="egan", standalone_mode=False)
    except typer.Abort as error:
        raise KeyboardInterrupt from error
    except SystemExit as error:
        # typer makes a closed pipe exit 1.
        if isinstance(error.__context__, BrokenPipeError):
            raise error.__context__ from None
        raise
    except Exception as error:
        # typer brings its own copy of click, whose exceptions have no public name.
        words = getattr(error, "format_message", None)
        if words is None:
            raise
        if not sys.argv[1:]:
            # Without arguments the words are the help text.
            print(words(), file=sys.stderr)
            sys.exit(2)
        text = words().rstrip(".")
        hint = hint_for_dashes() or hint_for_usage(error)
        raise EganError(text[:1].lower() + text[1:], hint, 2) from error
    if status == 130:
        # Typer turns an interruption into an exit status.
        raise KeyboardInterrupt
    if isinstance(status, int) and status:
        sys.exit(status)


def asked_for() -> Sequence[str]:
    """The command that is named first, or all of them: for the help, completion and
    errors.
    """
    return [name for name in sys.argv[1:2] if name in COMMANDS] or COMMANDS


def hint_for_dashes() -> str:
    """The hint for a file whose name begins with a dash; empty where none is named."""
    named = (a for a in sys.argv[1:] if len(a) > 1 and a.startswith("-"))
    found = next((name for name in named if os.path.lexists(name)), "")
    return f"if you mean the file, write ./{found}" if found else ""


def hint_for_usage(error: Any) -> str:
    context = getattr(error, "ctx", None)
    return f"see {context.command_path} --help" if context else "see egan --help"
