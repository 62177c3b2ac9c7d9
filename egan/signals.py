"""Interruptions: a signal ends a command at once, but never in the middle of work that
must be whole.
"""

from __future__ import annotations

import _thread
import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator

SIGNALS = (
    signal.SIGINT,
    signal.SIGTERM,
    *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()),
)
# The number of the signal that ended the command; 0 while it runs.
stopped_by = 0


class Interrupted(KeyboardInterrupt):
    """An interruption that Python does not count as its own.

    After a plain KeyboardInterrupt in code run from a string (`exec` in every
    dataclass), though it is caught in the end, `python -m` kills itself with SIGINT and
    the exit status is lost: CPython's run_eval_code_obj() compares the exact type.
    """


def interrupt(number: int, _frame: object) -> None:
    global stopped_by
    stopped_by = number
    raise Interrupted


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """A block that is done whole: a signal that ends the command waits for the end of
    the block.
    """
    # Python lets signals strike in the main thread alone.
    if threading.current_thread() is not threading.main_thread():
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
    """An interruption that Python cannot raise where it struck, as in a destructor,
    ends the command all the same.
    """
    if not isinstance(found.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(found)
    elif stopped_by:
        _thread.start_new_thread(interrupt_again, (stopped_by, _thread.get_ident()))


def interrupt_again(number: int, thread: int) -> None:
    """Send the signal to a thread once more, when that has left the hook, in which it
    would be lost as well.

    In a bare thread: to start one of `threading` takes locks that may be held where the
    signal struck.
    """
    time.sleep(0.01)
    if signal.getsignal(number) is not interrupt:
        # The command has ended by itself.
        return
    if hasattr(signal, "pthread_kill"):
        # This wakes the thread from a read or a wait.
        signal.pthread_kill(thread, number)
    else:
        signal.raise_signal(number)


def listen() -> None:
    """Let signals end the command in words, but those that the caller ignores, as nohup
    does.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)
    sys.unraisablehook = unraisable


def let_go() -> None:
    """Give the signals back to the system: the end of the process needs no words any
    more.
    """
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
