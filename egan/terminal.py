"""The rules of the terminal, for every command.

Pictures go to standard output, words to standard error. An error is one line `egan:
error: ...`, lower case, without a full stop; what to do about it is a line `egan: hint:
...`. Exit 0 done, 1 failed or not verified, 2 wrong usage, 128 + n ended by signal n. A
closed pipe ends a command quietly. Progress is drawn only on a terminal and never with
--quiet. NO_COLOR is respected (rich does that by itself). File names come from
strangers: nothing that a terminal would obey is printed.
"""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from egan import signals
from egan.errors import EganError, Note, out_of_memory

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

# Set by --quiet of a command.
quiet = False


def say(kind: str, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"egan: {kind}: {printable(text)}", file=sys.stderr)


def note(text: str) -> None:
    """Lines for a person, to standard error; nothing with --quiet."""
    if not quiet:
        with contextlib.suppress(OSError, ValueError):
            print(
                "\n".join(printable(line) for line in text.split("\n")), file=sys.stderr
            )


def printable(text: str) -> str:
    """Text with everything that is not printable (escape sequences, line ends, bytes of
    no encoding) as backslash codes.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def warn(text: str) -> None:
    if not quiet:
        say("warning", text)


def tell(notes: Iterable[Note]) -> None:
    """Print notes of the middle layers; with --quiet only the urgent ones."""
    for one in notes:
        if one.warning and (one.urgent or not quiet):
            say("warning", one.text)
        elif not one.warning:
            note(one.text)


def report(error: EganError) -> int:
    """Print an error and its hint; returns the exit status."""
    say("error", str(error))
    if error.hint:
        say("hint", error.hint)
    return error.status


def ask_passphrase(words: str, twice: bool = False) -> str:
    """A passphrase that is typed on the terminal, unseen; a second time where it is
    new.

    Raises EganError where there is no terminal, and where the two differ.
    """
    import getpass

    if os.name == "posix":
        try:
            os.close(os.open("/dev/tty", os.O_RDWR))
        except OSError as error:
            raise EganError(
                f"no terminal to ask for the {printable(words)}",
                "give it with --passphrase-fd N, as in: --passphrase-fd 3 3< FILE",
            ) from error
    try:
        typed = getpass.getpass(f"{printable(words)}: ")
        if twice and getpass.getpass("once more: ") != typed:
            raise EganError("the two passphrases differ")
    except EOFError as error:
        raise EganError(f"the {printable(words)} was not given") from error
    if not typed:
        raise EganError("the passphrase is empty")
    return typed


def console() -> Console:
    from rich.console import Console

    return Console(stderr=True, force_terminal=sys.stderr.isatty())


def shows_progress() -> bool:
    return not quiet and sys.stderr.isatty()


def progress(items: Iterable[T], total: int, words: str) -> Iterator[T]:
    """The items again, with a progress bar where standard error is a terminal and there
    is more than one.
    """
    if total < 2 or not shows_progress():
        yield from items
        return
    from rich.progress import track

    yield from track(
        items, description=words, total=total, console=console(), transient=True
    )


def parts(wanted: bool) -> Callable[[int, int], None] | None:
    """What is told how many parts of a large picture are done, of how many: it draws a
    bar where standard error is a terminal. None where nothing is wanted or drawn.
    """
    if not wanted or not shows_progress():
        return None
    from rich.progress import Progress

    bar = Progress(console=console(), transient=True)
    task = bar.add_task("parts of the picture")
    # It hides the cursor, which is to come back whatever happens.
    atexit.register(bar.stop)

    def tell(done: int, total: int) -> None:
        if total > 1 and done == 0:
            bar.start()
        bar.update(task, completed=done, total=total)
        if done == total:
            bar.stop()

    return tell


def run(main: Callable[[], object]) -> int:
    """Run a command to its exit status, turning exceptions into lines."""
    signals.listen()
    if not sys.warnoptions:
        # Warnings are for whoever wrote the libraries; python -W shows them.
        warnings.simplefilter("ignore")
    if sys.stderr is None:
        # It was closed by the caller, and print() would write into the picture.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown in codes.
        if isinstance(stream, io.TextIOWrapper):
            with contextlib.suppress(OSError):
                stream.reconfigure(errors="backslashreplace")
    try:
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
        status = 0
    # All exceptions end here.
    except BaseException as error:  # noqa: BLE001
        status = status_of(error)
    signals.let_go()
    if status:
        drop_stdout()
    return status


def status_of(error: BaseException) -> int:
    """Print the last words of a command, if any; returns the exit status."""
    if isinstance(error, SystemExit):
        raise error
    if signals.stopped_by:
        # Whatever a library made of the interruption.
        say("error", "interrupted")
        return 128 + signals.stopped_by
    if isinstance(error, EganError):
        return report(error)
    if isinstance(error, BrokenPipeError):
        # The exit status of a `cat` that SIGPIPE ends.
        return 141
    if isinstance(error, KeyboardInterrupt):
        say("error", "interrupted")
        return 130
    if out_of_memory(error):
        return report(
            EganError("not enough memory", "use smaller pictures or fewer at once")
        )
    if isinstance(error, ImportError):
        return report(
            EganError(
                f"cannot load a library: {first_cause(error)}",
                "install egan again, or give the process more memory",
            )
        )
    if isinstance(error, OSError):
        # Flushing standard output is the last thing that can fail.
        where = f" with {error.filename}" if error.filename else ""
        return report(
            EganError(f"cannot go on{where}: {(error.strerror or str(error)).lower()}")
        )
    raise error


def first_cause(error: BaseException) -> BaseException:
    """What began it: libraries wrap it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def drop_stdout() -> None:
    """Drop the output that a failed command could not write, so that Python neither
    tries it again nor complains at its exit.
    """
    with (
        contextlib.suppress(OSError, ValueError, AttributeError),
        open(os.devnull, "w") as nowhere,
    ):
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
