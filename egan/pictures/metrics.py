"""Distances between pictures, on RGB in [0, 1]: the one MSE, RMSE and PSNR of the
project.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Levels, 0 to 255.
Pixels = NDArray[np.uint8] | NDArray[np.floating]


def mse(one: Pixels, two: Pixels) -> float:
    """Mean squared difference of two arrays of one shape, or that broadcast to one."""
    return float(np.mean((one.astype(np.float64) - two) ** 2)) / 255**2


def rmse(one: Pixels, two: Pixels) -> float:
    """Root of `mse`."""
    return math.sqrt(mse(one, two))


def psnr(one: Pixels, two: Pixels) -> float:
    """Peak signal-to-noise ratio in dB, -10 log10(MSE); infinite for equal pictures."""
    return decibels(mse(one, two))


def decibels(error: float) -> float:
    """-10 log10(MSE) in dB; infinite for no error."""
    return math.inf if error == 0 else -10 * math.log10(error)
