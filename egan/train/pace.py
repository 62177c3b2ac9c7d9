"""How long a run will take, from the share that is done and the clock on the wall."""

from __future__ import annotations

import time
from collections.abc import Callable

# The first steps load and compile what the others find ready.
SLOW_STEPS = 3


class Pace:
    """Predicts the rest of a run from all its steps but the first few.

    The prediction counts sample sheets and checkpoints too, because it goes by the
    wall.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.steps = 0
        self.begin = (0.0, 0.0)

    def left(self, share: float) -> float | None:
        """Seconds until the end, told after each step; None while it cannot be known.

        share: of the run that is done, in [0, 1].
        """
        self.steps += 1
        now = self.clock()
        if self.steps <= SLOW_STEPS:
            self.begin = (now, share)
            return None
        seconds, done = now - self.begin[0], share - self.begin[1]
        return seconds / done * (1 - share) if done > 0 else None


def duration(seconds: float) -> str:
    """A length of time in one unit: `40 s`, `7 min`, `2.5 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
