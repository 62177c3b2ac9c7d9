"""Recipes of the compared methods: losses at known values, published schedules, and
each overfits two pictures.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from egan.core.baseline_options import (
    BalujaOptions,
    CycleGANOptions,
    DRITOptions,
    MUNITOptions,
)
from egan.core.options import BaselineOptions
from egan.train.options import BASELINE_TRAINING
from egan.train.recipes import baluja, cyclegan, drit, munit, recipe
from egan.train.recipes.unkeyed import UnkeyedMethod
from egan.train.sampler import Sampler

SIDE = 64
TINY: dict[str, BaselineOptions] = {
    "cyclegan": CycleGANOptions(image_size=SIDE, width=6, blocks=1),
    "munit": MUNITOptions(image_size=SIDE, width=6, blocks=1, mlp=16),
    "drit": DRITOptions(image_size=SIDE, width=6, blocks=1),
    "baluja": BalujaOptions(image_size=SIDE, width=5, depth=2),
}


class FourPictures(Sampler):
    """Always the same four covers, all of each a message, and the same four flowers."""

    def __init__(self) -> None:
        super().__init__(
            smooth(1), smooth(2), [list(smooth(3))], 0, torch.device("cpu")
        )

    def pictures(self, source: np.ndarray, count: int) -> Tensor:
        return torch.from_numpy(source).permute(0, 3, 1, 2).float()[:count] / 127.5 - 1

    def composite(self, covers: Tensor, most: int = 2) -> tuple[Tensor, Tensor]:
        return covers, torch.ones_like(covers[:, :1])


def smooth(seed: int) -> np.ndarray:
    coarse = torch.from_numpy(np.random.default_rng(seed).random((4, 3, 4, 4))).float()
    fine = nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return (fine * 255).byte().permute(0, 2, 3, 1).numpy()


def make(family: str, **settings: object) -> UnkeyedMethod:
    torch.manual_seed(0)
    values = {"batch": 4, "discriminator_width": 4, **settings}
    # Has no discriminator.
    if family == "baluja":
        del values["discriminator_width"]
    options = BASELINE_TRAINING[family](**values)
    made = recipe(family)(TINY[family], options, FourPictures())
    made.start_optimisers()
    return made


def test_munit_losses() -> None:
    half = [torch.full((2, 1, n, n), 0.5) for n in (4, 2, 1)]
    ones, zeros = (
        [torch.ones_like(s) for s in half],
        [torch.zeros_like(s) for s in half],
    )
    assert munit.generator_loss(half).item() == 0.75
    assert munit.generator_loss(ones).item() == 0
    assert munit.discriminator_loss(half, half).item() == 1.5
    assert munit.discriminator_loss(ones, zeros).item() == 0


def test_drit_losses() -> None:
    undecided = torch.zeros(2, 1, 3, 3)
    assert drit.cross_entropy(undecided, 1).item() == pytest.approx(math.log(2))
    assert drit.cross_entropy([undecided] * 3, 0.5).item() == pytest.approx(
        3 * math.log(2)
    )
    assert drit.cross_entropy(undecided + 2, 1).item() == pytest.approx(
        math.log(1 + math.exp(-2))
    )
    zero = torch.zeros(2, 8)
    assert drit.kl_loss(zero, zero).item() == 0
    # 8 numbers, 1/2 each.
    assert drit.kl_loss(zero + 1, zero).item() == 4
    assert drit.kl_loss(zero, zero + math.log(4)).item() == pytest.approx(
        4 * (3 - math.log(4))
    )


def test_baluja_loss() -> None:
    zero = torch.zeros(2, 3, 4, 4)
    assert baluja.hiding_loss(zero, zero + 1, zero, zero + 2, 0.75).item() == 4
    assert baluja.hiding_loss(zero, zero, zero, zero, 0.75).item() == 0


class Scale(nn.Module):
    """x times a weight that starts at 1, or a constant score of 0."""

    def __init__(self, start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(start))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def test_cyclegan_losses_of_networks_that_change_nothing() -> None:
    """With F = G = identity and D = 0: cycle and identity 0, each generator (0 - 1)^2,
    each discriminator (1 + 0) / 2.
    """
    method = make("cyclegan")
    method.model.F, method.model.G = Scale(1.0), Scale(1.0)
    method.critics["x"], method.critics["y"] = Scale(0.0), Scale(0.0)
    method.start_optimisers()
    terms = {name: value.item() for name, value in method.step(0).items()}
    assert terms == {
        "adversarial": 2,
        "cycle": 0,
        "identity": 0,
        "discriminators": 1,
        "box_mse": 0,
    }


def test_cyclegan_weights_are_the_published_ones() -> None:
    """F doubles and G changes nothing: both cycles are off by |x|, F's identity by |y|,
    G's by 0; weights 10 and 5.
    """
    method = make("cyclegan")
    method.model.F, method.model.G = Scale(2.0), Scale(1.0)
    x, y, _ = method.batch()
    terms = method.step(0)
    assert terms["cycle"].item() == pytest.approx(
        10 * (x.abs().mean() + y.abs().mean()).item(), rel=1e-5
    )
    assert terms["identity"].item() == pytest.approx(
        5 * y.abs().mean().item(), rel=1e-5
    )


def test_the_image_pool_keeps_fifty_and_hands_out_older_ones() -> None:
    torch.manual_seed(0)
    pool = cyclegan.ImagePool(50, 2)
    numbered = torch.arange(400.0).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    assert (pool(numbered[:50]) == numbered[:50]).all()
    assert int(pool.count) == 50
    out = pool(numbered[50:])[:, 0, 0, 0]
    older = (out < torch.arange(50.0, 400.0)).float()
    assert 0.4 < older.mean() < 0.6
    # Nothing comes out twice.
    assert len(set(out.tolist())) == 350
    assert (cyclegan.ImagePool(0, 2)(numbered) == numbered).all()


def test_published_learning_rates() -> None:
    for family, full, at in (
        ("cyclegan", 2e-4, {0: 1, 0.5: 1, 0.75: 0.5, 1: 0}),
        ("munit", 1e-4, {0: 1, 0.15: 0.5, 0.25: 0.25, 1: 2**-9}),
        ("drit", 1e-4, {0: 1, 0.5: 1, 0.75: 0.5, 1: 0}),
        ("baluja", 1e-3, {0: 1, 1: 1}),
    ):
        method = make(family)
        group = next(iter(method.optimisers.values())).param_groups[0]
        assert group["base"] == full
        assert group["betas"] == ((0.9, 0.999) if family == "baluja" else (0.5, 0.999))
        assert {p: method.rate(p, 0) for p in at} == pytest.approx(at)
    assert make("munit").optimisers["generator"].param_groups[0]["weight_decay"] == 1e-4
    assert make("drit").optimisers["content"].param_groups[0]["base"] == pytest.approx(
        4e-5
    )


# Steps, and what differs from the recipe
OVERFIT: dict[str, tuple[int, dict[str, float]]] = {
    "cyclegan": (14, {"learning_rate": 6e-3, "identity": 0.0}),
    "munit": (10, {"learning_rate": 6e-3, "adversarial": 0.1}),
    "drit": (
        28,
        {"learning_rate": 5e-3, "adversarial": 0.05, "content_updates": 1},
    ),
    "baluja": (28, {"learning_rate": 1e-2}),
}


@pytest.mark.parametrize("family", OVERFIT)
def test_each_overfits_two_pictures(family: str) -> None:
    """After a few steps on the same two pictures, composites come back through 8 bits
    better than as their mean colour.
    """
    steps, settings = OVERFIT[family]
    method = make(family, discriminator_width=2, batch=2, **settings)
    composite, flowers = method.sampler.covers[:2], method.sampler.disguises[:2]
    for number in range(steps):
        assert all(torch.isfinite(v) for v in method.step(number).values())
    model = method.model.eval()
    found = model.decrypt(model.encrypt(composite, flowers), composite)
    mean = composite.mean((1, 2), keepdims=True)
    assert np.square(composite - found.astype(float)).mean() < 0.95 * (
        np.square(composite - mean).mean()
    )
