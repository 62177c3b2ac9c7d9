"""Pixel metrics and the Frechet distance: functions of arrays that know no network and no file.

Pictures are uint8 RGB (H, W, 3); every figure is on their values divided by 255, so in [0, 1].
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from egan.core.encryptgan import Pictures

Floats = NDArray[np.float64]


def mean_squared_error(a: Pictures | Floats, b: Pictures | Floats) -> float:
    """Mean over pixels and channels of the squared difference; both on the scale 0..255, the result on [0, 1]."""
    return (
        float(np.mean(np.square(np.asarray(a, np.float64) - np.asarray(b, np.float64))))
        / 255**2
    )


def psnr(mse: float) -> float:
    """-10 log10(MSE) in dB; infinite for equal pictures."""
    return -10 * math.log10(mse) if mse > 0 else math.inf


def ssim(a: Pictures, b: Pictures) -> float:
    """Structural similarity of scikit-image: 7x7 uniform window, mean of the three channels, data range 1."""
    from skimage.metrics import structural_similarity

    return float(structural_similarity(a / 255, b / 255, channel_axis=2, data_range=1))


def blind_mse(message: Pictures) -> float:
    """MSE of the best guess without any information: the box filled with its own mean colour."""
    return mean_squared_error(message, message.mean((0, 1), keepdims=True))


def gaussian(features: Floats) -> tuple[Floats, Floats]:
    """Mean (d,) and covariance (d, d) of features (n, d), n >= 2."""
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))


def frechet_distance(a: tuple[Floats, Floats], b: tuple[Floats, Floats]) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of two Gaussians (mean, covariance) (Dowson and Landau 1982).

    The trace of the root is the sum of the roots of the eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric, so
    covariances of too few pictures (singular) need no epsilon.
    """
    from scipy.linalg import eigh

    (m1, c1), (m2, c2) = a, b
    values, vectors = eigh(c1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    middle = root @ c2 @ root
    cross = np.sqrt(eigh((middle + middle.T) / 2, eigvals_only=True).clip(0)).sum()
    return max(
        0.0, float(np.square(m1 - m2).sum() + np.trace(c1) + np.trace(c2) - 2 * cross)
    )
