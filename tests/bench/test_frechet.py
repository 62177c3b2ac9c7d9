"""Distances between sets of pictures: closed forms, and floors and ceilings in order."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from egan.bench import frechet
from egan.bench.features import load_efficientnet_features
from egan.bench.frechet import as_jpeg, realism
from egan.bench.metrics import Floats, frechet_distance, kernel_distance
from egan.errors import EganError


def normal(count: int, width: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(size=(count, width))


def flowers(count: int, side: int, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    pictures = (Image.fromarray(c) for c in coarse)
    return np.stack(
        [np.asarray(p.resize((side, side), Image.Resampling.BICUBIC)) for p in pictures]
    )


# Fewer and more than the 12 features.
@pytest.mark.parametrize("count", [7, 40])
def test_frechet_of_equal_covariances_is_the_squared_distance_of_the_means(
    count: int,
) -> None:
    features = normal(count, 12)
    shift = normal(1, 12, 1)[0]
    found = frechet_distance(features, features + shift)
    assert found == pytest.approx(shift @ shift)
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-8)


def test_frechet_of_one_direction_is_that_of_two_normal_curves() -> None:
    direction = normal(1, 5)[0] / np.linalg.norm(normal(1, 5)[0])
    a = normal(50, 1, 1)
    b = 3 * normal(60, 1, 2) + 2
    wanted = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(a * direction, b * direction) == pytest.approx(wanted)


def test_a_weight_counts_like_a_picture_that_is_there_so_often() -> None:
    a, b = normal(9, 6), normal(8, 6, 1)
    weights = np.array([2, 1, 0, 3, 1, 1, 0, 1, 0], float)
    repeated = np.repeat(a, weights.astype(int), 0)
    assert frechet_distance(a, b, weights) == pytest.approx(
        frechet_distance(repeated, b)
    )


def test_kid_of_two_points_is_their_kernels() -> None:
    a, b = np.tile([1.0, 2.0], (4, 1)), np.tile([3.0, -1.0], (5, 1))

    def kernel(x: Floats, y: Floats) -> float:
        return float((x @ y / 2 + 1) ** 3)

    wanted = kernel(a[0], a[0]) + kernel(b[0], b[0]) - 2 * kernel(a[0], b[0])
    assert kernel_distance(a, b) == pytest.approx(wanted)
    weights = np.array([3.0, 0, 1, 0])
    assert kernel_distance(a, b, weights) == pytest.approx(wanted)


def test_kid_of_two_halves_of_one_kind_is_zero_on_average() -> None:
    found = [
        kernel_distance(normal(20, 8, 2 * i), normal(20, 8, 2 * i + 1))
        for i in range(200)
    ]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found)) < 4 * error and min(found) < 0 < max(found)


def test_looks_of_flowers_lie_between_real_ones_and_noise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frechet, "RESAMPLES", 20)
    real = flowers(16, 64, 0)
    noise = np.random.default_rng(1).integers(0, 256, real.shape, np.uint8)
    network = load_efficientnet_features(torch.device("cpu"))
    assert network(real[:2]).shape == (2, 1280)
    assert np.allclose(network(real)[3], network(real[3:4])[0], atol=1e-4)
    same = realism(lambda: network, real, real, None, 4, 0)
    far = realism(lambda: network, noise, real, None, 4, 0)
    for name in ("frechet", "kid"):
        near = same[name]
        assert near["comparable"] == pytest.approx(near["real"])
        assert far[name]["comparable"] > 2 * near["real"]
        assert set(near["jpeg"]) == {"75", "30"}
        low, high = far[name]["ci"]["comparable"]
        assert low < far[name]["comparable"] < high
    assert same["frechet"]["jpeg"]["75"] > 1 > same["frechet"]["distance"]
    assert same["frechet"]["distance"] == pytest.approx(0, abs=1e-6)
    again = realism(lambda: network, real, real, None, 3, 0, ("kid",))
    assert list(again) == ["kid"]
    assert again["kid"]["ci"]["real"] == pytest.approx(same["kid"]["ci"]["real"])


def test_so_few_pictures_have_no_interval() -> None:
    def network(pictures: np.ndarray) -> Floats:
        return pictures[:, ::20, ::20].reshape(len(pictures), -1) / 255

    real = flowers(6, 64, 0)
    found = realism(lambda: network, real, real, None, 4, 0)
    assert found["kid"]["ci"] == {} and found["kid"]["n"] == 6


def test_too_few_pictures_are_refused_before_a_network_is_made() -> None:
    def network() -> None:
        raise AssertionError

    with pytest.raises(EganError, match="too few"):
        realism(network, flowers(3, 64, 0), flowers(3, 64, 0), None, 2, 0)  # type: ignore[arg-type]


def test_a_missing_network_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(EganError, match="not installed") as caught:
        load_efficientnet_features(torch.device("cpu"))
    assert caught.value.hint == "pip install '.[bench]' in the checkout of egan"


def test_jpeg_keeps_shape_and_changes_pixels() -> None:
    real = flowers(2, 64, 0)
    assert as_jpeg(real, 30).shape == real.shape
    assert not np.array_equal(as_jpeg(real, 30), real)
