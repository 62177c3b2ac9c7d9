"""The rules of the terminal, for every command.

Pictures go to standard output, words to standard error. An error is one line `egan: error: ...`, lower case, without a
full stop; what to do about it is a line `egan: hint: ...`. Exit 0 done, 1 failed or not verified, 2 wrong usage. A
closed pipe ends a command quietly. Progress is drawn only on a terminal and never with --quiet. NO_COLOR is respected
(rich does that by itself).
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from egan.errors import EganError

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

quiet = False  # set by the commands' --quiet


def say(kind: str, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        print(f"egan: {kind}: {' '.join(text.split())}", file=sys.stderr)


def note(text: str) -> None:
    """A line for a person, to standard error; nothing with --quiet."""
    if not quiet:
        with contextlib.suppress(OSError, ValueError):
            print(text, file=sys.stderr)


def warn(text: str) -> None:
    if not quiet:
        say("warning", text)


def report(error: EganError) -> int:
    """Print an error and its hint; returns the exit status."""
    say("error", str(error))
    if error.hint:
        say("hint", error.hint)
    return error.status


def console() -> Console:
    from rich.console import Console

    return Console(stderr=True, force_terminal=sys.stderr.isatty())


def progress(items: Iterable[T], total: int, words: str) -> Iterator[T]:
    """The items again, with a progress bar where standard error is a terminal and there is more than one."""
    if quiet or total < 2 or not sys.stderr.isatty():
        yield from items
        return
    from rich.progress import track

    yield from track(items, description=words, total=total, console=console(), transient=True)


def run(main: Callable[[], object]) -> int:
    """Run a command to its exit status, turning exceptions into lines."""
    signal.signal(signal.SIGTERM, interrupted)
    if sys.stderr is None:  # closed by the caller; print() would then write into the picture
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
        return 0
    except EganError as error:
        status = report(error)
    except BrokenPipeError:
        status = 141  # what a killed cat has
    except KeyboardInterrupt:
        say("error", "interrupted")
        status = 130
    except MemoryError:
        status = report(EganError("not enough memory", "use smaller pictures or fewer at once"))
    except OSError as error:
        # Flushing standard output is the last thing that can fail.
        status = report(EganError(f"cannot go on: {(error.strerror or str(error)).lower()}"))
    drop_stdout()
    return status


def interrupted(_signal: int, _frame: object) -> None:
    raise KeyboardInterrupt


def drop_stdout() -> None:
    """What a failed command could not write is not tried again, and not complained about, when Python exits."""
    with contextlib.suppress(OSError, ValueError, AttributeError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
