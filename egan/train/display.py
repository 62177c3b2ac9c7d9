"""Progress of a run: a bar with a time left on a terminal, lines alone elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from egan import terminal
from egan.train.pace import Pace, duration

# Seconds between lines about K's learning, where no bar can be drawn
BETWEEN_LINES = 10


@dataclass
class Display:
    """log takes lines; keys and steps take a share done, in [0, 1], and a few words."""

    log: Callable[[str], None]
    keys: Callable[[float, str], None]
    steps: Callable[[float, str], None]


@contextlib.contextmanager
def display() -> Iterator[Display]:
    """A bar under the lines on a terminal, lines alone elsewhere, nothing if quiet."""
    if terminal.quiet:
        yield Display(lambda line: None, ignore, ignore)
    elif not terminal.shows_progress():
        yield Display(terminal.note, Lines(), ignore)
    else:
        with bar() as shown:
            yield shown


def ignore(share: float, words: str) -> None:
    """Show nothing."""


class Lines:
    """Progress as a line now and then."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.said = time.monotonic()

    def __call__(self, share: float, words: str) -> None:
        left = self.pace.left(share)
        if time.monotonic() - self.said < BETWEEN_LINES or left is None:
            return
        self.said = time.monotonic()
        terminal.note(f"{words}, {duration(left)} left")


@contextlib.contextmanager
def bar() -> Iterator[Display]:
    from rich.progress import BarColumn, Progress, TextColumn

    console = terminal.console()
    columns = (
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=1.0)

        def shown_by(pace: Pace) -> Callable[[float, str], None]:
            def show(share: float, words: str) -> None:
                left = pace.left(share)
                if left is not None:
                    words = f"{duration(left)} left, {words}".rstrip(", ")
                progress.update(task, completed=share, description=words)

            return show

        def log(line: str) -> None:
            words = terminal.printable(line)
            console.print(words, markup=False, highlight=False, soft_wrap=True)

        yield Display(log, shown_by(Pace()), shown_by(Pace()))
