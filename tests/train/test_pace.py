"""The time that is left, on a clock that the test turns."""

import pytest

from egan.train.pace import SLOW_STEPS, Pace, duration


def test_the_time_left_does_not_count_the_slow_first_steps() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    told = []
    for step in range(1, 101):
        now += 60.0 if step <= SLOW_STEPS else 2.0
        told.append(pace.left(step / 100))
    assert told[:SLOW_STEPS] == [None] * SLOW_STEPS
    assert told[SLOW_STEPS:] == pytest.approx(
        [2.0 * (100 - step) for step in range(SLOW_STEPS + 1, 101)]
    )


def test_a_run_that_goes_on_counts_its_own_steps_only() -> None:
    now = 1000.0
    pace = Pace(lambda: now)
    for step in range(51, 61):
        now += 1.0
        left = pace.left(step / 100)
    assert left == pytest.approx(40.0)


def test_a_run_that_stands_still_has_no_time_left_to_tell() -> None:
    pace = Pace(lambda: 0.0)
    assert [pace.left(0.5) for _ in range(9)] == [None] * 9


def test_durations_have_one_unit() -> None:
    assert duration(40.4) == "40 s"
    assert duration(7 * 60) == "7 min"
    assert duration(2.5 * 3600) == "2.5 h"
