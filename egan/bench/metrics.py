"""Pixel metrics and distances of sets: functions of arrays that know no network and no
file.

Pictures are uint8 RGB (H, W, 3); every figure is on their values divided by 255, so in
[0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from egan.core.model import Pictures
from egan.pictures.metrics import mse

Floats = NDArray[np.float64]


def ssim(a: Pictures, b: Pictures) -> float:
    """Structural similarity of scikit-image: 7x7 uniform window, mean of the three
    channels, data range 1.
    """
    from skimage.metrics import structural_similarity

    return float(structural_similarity(a / 255, b / 255, channel_axis=2, data_range=1))


def blind_mse(message: Pictures) -> float:
    """MSE of the best guess without any information: the box filled with its own mean
    colour.
    """
    return mse(message, message.mean((0, 1), keepdims=True))


def frechet_distance(
    a: Floats,
    b: Floats,
    a_weights: Floats | None = None,
    b_weights: Floats | None = None,
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)) of features (n, d) and (m, d).

    Means and covariances are the sets' own (Dowson and Landau 1982; Heusel et al.
    2017). weights: how often each row counts. The trace of the root is the sum of the
    singular values of A B^T, A and B the centred rows divided by the roots of n - 1 and
    m - 1, so sets of fewer pictures than features (singular covariances) need no
    epsilon.
    """
    (m1, rows1), (m2, rows2) = centred(a, a_weights), centred(b, b_weights)
    cross = np.linalg.svd(rows1 @ rows2.T, compute_uv=False).sum()
    spread = np.square(rows1).sum() + np.square(rows2).sum()
    return max(0.0, float(np.square(m1 - m2).sum() + spread - 2 * cross))


def centred(features: Floats, weights: Floats | None) -> tuple[Floats, Floats]:
    """The mean (d,) and rows (at most d, d) whose sum of squares is the covariance."""
    w = np.ones(len(features)) if weights is None else weights
    mean = w @ features / w.sum()
    rows = (features - mean)[w > 0] * np.sqrt(w[w > 0, None] / (w.sum() - 1))
    if len(rows) > rows.shape[1]:
        rows = np.asarray(np.linalg.qr(rows, mode="r"))
    return mean, rows


def kernel_distance(
    a: Floats,
    b: Floats,
    a_weights: Floats | None = None,
    b_weights: Floats | None = None,
) -> float:
    """KID (Binkowski et al. 2018): the unbiased MMD^2 of features (n, d) and (m, d).

    The kernel is (x.y / d + 1)^3. weights: how often each row counts; a row is never
    compared with itself. The expectation for two sets of one kind is 0, so a figure may
    be negative.
    """
    v, w = (
        np.ones(len(f)) if g is None else g for f, g in ((a, a_weights), (b, b_weights))
    )

    def within(x: Floats, weight: Floats) -> float:
        pairs = np.outer(weight, weight)
        np.fill_diagonal(pairs, 0)
        return float((pairs * kernel(x, x)).sum() / pairs.sum())

    between = float(v @ kernel(a, b) @ w / (v.sum() * w.sum()))
    return within(a, v) + within(b, w) - 2 * between


def kernel(x: Floats, y: Floats) -> Floats:
    return (x @ y.T / x.shape[1] + 1) ** 3
