"""The rules of the terminal, for every command.

Pictures go to standard output, words to standard error. An error is one line `egan: error: ...`, lower case, without a
full stop; what to do about it is a line `egan: hint: ...`. Exit 0 done, 1 failed or not verified, 2 wrong usage, 128 + n
ended by signal n. A closed pipe ends a command quietly. Progress is drawn only on a terminal and never with --quiet.
NO_COLOR is respected (rich does that by itself). File names come from strangers: nothing that a terminal would obey
is printed.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from egan.errors import EganError, Note, out_of_memory

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")

quiet = False  # set by the commands' --quiet


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
    """Text with what is no printable character (escape sequences, line ends, bytes of no encoding) as backslash codes."""
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


def console() -> Console:
    from rich.console import Console

    return Console(stderr=True, force_terminal=sys.stderr.isatty())


def shows_progress() -> bool:
    return not quiet and sys.stderr.isatty()


def progress(items: Iterable[T], total: int, words: str) -> Iterator[T]:
    """The items again, with a progress bar where standard error is a terminal and there is more than one."""
    if total < 2 or not shows_progress():
        yield from items
        return
    from rich.progress import track

    yield from track(
        items, description=words, total=total, console=console(), transient=True
    )


def run(main: Callable[[], object]) -> int:
    """Run a command to its exit status, turning exceptions into lines."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            signal.signal(number, interrupt)
    sys.unraisablehook = unraisable
    if not sys.warnoptions:
        warnings.simplefilter(
            "ignore"
        )  # of libraries, to whoever wrote them; python -W shows them
    if (
        sys.stderr is None
    ):  # closed by the caller; print() would then write into the picture
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        main()
        if sys.stdout is not None:
            sys.stdout.flush()
        status = 0
    except BaseException as error:  # noqa: BLE001  (all of them end here)
        status = status_of(error)
    for number in SIGNALS:  # the work is done or given up; what ends the process from here on needs no words
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if status:
        drop_stdout()
    return status


def status_of(error: BaseException) -> int:
    """Print what there is to say about the end of a command; returns the exit status."""
    if isinstance(error, SystemExit):
        raise error
    if stopped_by:  # whatever a library made of the interruption
        say("error", "interrupted")
        return 128 + stopped_by
    if isinstance(error, EganError):
        return report(error)
    if isinstance(error, BrokenPipeError):
        return 141  # what a killed cat has
    if isinstance(error, KeyboardInterrupt):
        say("error", "interrupted")
        return 130
    if out_of_memory(error):
        return report(
            EganError("not enough memory", "use smaller pictures or fewer at once")
        )
    if isinstance(error, OSError):
        # Flushing standard output is the last thing that can fail.
        where = f" with {error.filename}" if error.filename else ""
        return report(
            EganError(f"cannot go on{where}: {(error.strerror or str(error)).lower()}")
        )
    raise error


SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()),
)
stopped_by = 0  # the signal that ended the command


class Interrupted(KeyboardInterrupt):
    """An interruption that Python does not count as its own.

    After a plain KeyboardInterrupt in code run from a string (`exec` in every dataclass), though it is caught in the end,
    `python -m` kills itself with SIGINT and the exit status is lost: CPython's run_eval_code_obj() compares the exact type.
    """


def interrupt(number: int, _frame: object) -> None:
    global stopped_by
    stopped_by = number
    raise Interrupted


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """What has to be done whole: a signal that ends the command waits for the end of the block."""
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # where Python lets signals strike
        yield
        return
    waiting: list[int] = []
    handlers = {n: handler for n in SIGNALS if callable(handler := signal.getsignal(n))}
    for number in handlers:
        signal.signal(number, lambda struck, _frame: waiting.append(struck))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for number in waiting[:1]:
        handlers[signal.Signals(number)](number, None)


def unraisable(found: sys.UnraisableHookArgs) -> None:
    """An interruption that Python cannot raise where it struck, as in a destructor, ends the command all the same."""
    if not isinstance(found.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(found)
    elif stopped_by:
        _thread.start_new_thread(interrupt_again, (stopped_by, _thread.get_ident()))


def interrupt_again(number: int, thread: int) -> None:
    """Send the signal to a thread once more, when that has left the hook, in which it would be lost as well.

    In a bare thread: to start one of `threading` takes locks that may be held where the signal struck.
    """
    time.sleep(0.01)
    if signal.getsignal(number) is not interrupt:
        return  # the command has ended by itself
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, number)  # which wakes it from a read or a wait
    else:
        signal.raise_signal(number)


def drop_stdout() -> None:
    """What a failed command could not write is not tried again, and not complained about, when Python exits."""
    with (
        contextlib.suppress(OSError, ValueError, AttributeError),
        open(os.devnull, "w") as nowhere,
    ):
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
