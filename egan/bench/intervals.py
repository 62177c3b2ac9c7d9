"""95 % intervals: of means by the bootstrap, of rates by Wilson's formula.

Both are scipy's; everything in a report that has an interval gets it here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

RESAMPLES = 1000
LEVEL = 0.95


def mean_interval(values: Sequence[float], seed: int) -> list[float]:
    """The percentile interval of the mean under resampling of images (Efron 1979)."""
    return paired_interval(np.mean, [values], seed, vectorized=True)


def paired_interval(
    statistic: Callable[..., Any],
    samples: Sequence[ArrayLike],
    seed: int,
    vectorized: bool = False,
) -> list[float]:
    """The same of any statistic of samples whose rows belong together."""
    arrays = tuple(np.asarray(sample, np.float64) for sample in samples)
    if len(arrays[0]) < 2:
        return [
            float(statistic(*arrays, axis=0) if vectorized else statistic(*arrays))
        ] * 2
    found = stats.bootstrap(
        arrays,
        statistic,
        n_resamples=RESAMPLES,
        batch=100,
        vectorized=vectorized,
        paired=True,
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return [float(found.low), float(found.high)]


def rate_interval(hits: int, count: int) -> list[float]:
    """Wilson's interval of a rate: above 0 where nothing hit, too."""
    interval = stats.binomtest(hits, count).proportion_ci(LEVEL, method="wilson")
    return [float(interval.low), float(interval.high)]
