"""The compared methods: published sizes, losses at known values, published schedules, and each overfits four pictures."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from egan.baselines import baluja, cyclegan, drit, method_classes, munit
from egan.baselines.base import BaselineMethod
from egan.baselines.layers import MultiScaleCritic
from egan.core.options import (
    BASELINE_OPTIONS,
    BalujaOptions,
    BaselineOptions,
    CycleGANOptions,
    DRITOptions,
    MUNITOptions,
)
from egan.errors import EganError
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


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


def make(family: str, **settings: object) -> BaselineMethod:
    torch.manual_seed(0)
    method, training = method_classes(family)
    values = {"batch": 4, "discriminator_width": 4, **settings}
    if family == "baluja":  # has no discriminator
        del values["discriminator_width"]
    made = method(TINY[family], training(**values), FourPictures())
    made.start_optimisers()
    return made


def test_cyclegan_has_the_published_sizes() -> None:
    with torch.device("meta"):
        model = cyclegan.CycleGAN(CycleGANOptions())
        assert parameters(model.F) == parameters(model.G) == 11_378_179
        assert model.hide(torch.empty(1, 3, 256, 256), torch.empty(0)).shape == (
            1,
            3,
            256,
            256,
        )


def test_munit_has_the_published_sizes() -> None:
    # Content: 7x7 9,472, 4x4 131,200 and 524,544, eight 3x3 of 590,080. Style: the same three, two 4x4 of 1,048,832,
    # 1x1 2,056. Decoder: eight 3x3, 5x5 819,328 and 204,864, layer norms 256 and 128, 7x7 9,411; MLP 1,120,768.
    content = 9_472 + 131_200 + 524_544 + 8 * 590_080
    style = 9_472 + 131_200 + 524_544 + 2 * 1_048_832 + 2_056
    decoder = 8 * 590_080 + 819_328 + 204_864 + 256 + 128 + 9_411
    mlp = (8 * 256 + 256) + (256 * 256 + 256) + (256 * 4096 + 4096)
    with torch.device("meta"):
        model = munit.MUNIT(MUNITOptions())
        assert parameters(model.X.content) == content
        assert parameters(model.X.style) == style
        assert parameters(model.X.decode.mlp) == mlp == 1_120_768
        assert parameters(model.X) == content + style + decoder + mlp == 15_026_187
        picture = torch.empty(1, 3, 256, 256)
        assert model.X.content(picture).shape == (1, 256, 64, 64)
        assert model.X.style(picture).shape == (1, 8)
        assert model.hide(picture, picture).shape == picture.shape


def test_drit_has_the_published_sizes() -> None:
    # Content, own: 7x7 9,472, 3x3 73,856 and 295,168, six of 590,080; shared: two. Attribute: 4x4 3,136, pooling
    # blocks 119,104, 393,728 and 824,000, two linear of 2,056. Generator, own: six 3x3 of 264 channels, transposed
    # 272 to 136 and 144 to 72, layer norms, 1x1 of 80; shared: two 3x3 of 256.
    content = 2 * (9_472 + 73_856 + 295_168 + 6 * 590_080) + 2 * 590_080
    attribute = 2 * (3_136 + 119_104 + 393_728 + 824_000 + 2 * 2_056)
    own = (
        6 * (9 * 264 * 264 + 264)
        + (9 * 272 * 136 + 136)
        + (9 * 144 * 72 + 72)
        + 2 * 136
        + 2 * 72
        + 243
    )
    with torch.device("meta"):
        model = drit.DRIT(DRITOptions())
        assert parameters(model.content, model.share_in) == content
        assert parameters(model.attribute) == attribute
        assert parameters(model.generator, model.share_out) == 2 * own + 2 * 590_080
        assert parameters(model) == 21_270_982
        picture = torch.empty(1, 3, 256, 256)
        assert model.encode("x", picture).shape == (1, 256, 64, 64)
        assert [v.shape for v in model.attribute["y"](picture)] == [(1, 8), (1, 8)]
        assert model.hide(picture, picture).shape == picture.shape
        critic = drit.ContentCritic(
            64, 54
        )  # 216 pixels, the published size: three 7x7, one 4x4, one 1x1
        assert parameters(critic) == 3 * (49 * 256**2 + 256) + (16 * 256**2 + 256) + 257
        assert critic(torch.empty(1, 256, 54, 54)).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("side", [64, 80, 128, 256])
def test_drits_content_critic_fits_every_size(side: int) -> None:
    with torch.device("meta"):
        content = torch.empty(1, 8, side // 4, side // 4)
        assert drit.ContentCritic(2, side // 4)(content).shape[:2] == (1, 1)


def test_multi_scale_critic_has_the_published_size() -> None:
    scale = 3_136 + 131_200 + 524_544 + 2_097_664 + 513
    with torch.device("meta"):
        critic = MultiScaleCritic()
        assert parameters(critic) == 3 * scale == 8_271_171
        maps = critic(torch.empty(1, 3, 256, 256))
        assert [m.shape[-1] for m in maps] == [16, 8, 4]


def test_baluja_has_fifteen_convolutions_of_50_filters_a_network() -> None:
    # A k x k layer costs 50 * 50 k^2 + 50; k^2 sums to 50 over the branches. First: from 3 or 153 channels; joint: 150.
    middle = 3 * (2_500 * 50 + 150) + (7_500 * 50 + 150)
    prepare = (150 * 50 + 150) + middle
    conceal = (153 * 50 * 50 + 150) + middle + 453
    with torch.device("meta"):
        model = baluja.Baluja(BalujaOptions())
        for network, last in (
            (model.prepare, 0),
            (model.conceal, 1),
            (model.uncover, 1),
        ):
            convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
            assert len(convolutions) == 15 + last
            assert sorted({m.kernel_size[0] for m in convolutions} - {1}) == [3, 4, 5]
            assert {m.out_channels for m in convolutions} - {3} == {50}
        assert parameters(model.prepare) == prepare == 758_250
        assert parameters(model.conceal) == conceal == 1_133_703
        assert parameters(model.uncover) == prepare + 453
        picture = torch.empty(1, 3, 96, 64)
        assert model.hide(picture, picture).shape == picture.shape


def test_adain_sets_mean_and_deviation() -> None:
    x = torch.randn(2, 3, 16, 16) * 5 + 1
    scale, shift = (
        torch.tensor([[1.0, 2.0, 3.0]] * 2),
        torch.tensor([[-1.0, 0.0, 1.0]] * 2),
    )
    out = munit.adain(x, scale, shift)
    assert torch.allclose(out.mean((2, 3)), shift, atol=1e-5)
    assert torch.allclose(out.std((2, 3), correction=0), scale, atol=1e-4)


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
    assert drit.kl_loss(zero + 1, zero).item() == 4  # 8 numbers, 1/2 each
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
    """With F = G = identity and D = 0: cycle and identity 0, each generator (0 - 1)^2, each discriminator (1 + 0) / 2."""
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
    """F doubles and G changes nothing: both cycles are off by |x|, F's identity by |y|, G's by 0; weights 10 and 5."""
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
    assert len(set(out.tolist())) == 350  # nothing comes out twice
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


OVERFIT = {
    "cyclegan": (25, {"learning_rate": 4e-3, "identity": 0.0}),
    "munit": (18, {"learning_rate": 4e-3, "adversarial": 0.1}),
    "drit": (45, {"learning_rate": 6e-3, "adversarial": 0.1, "content_updates": 1}),
    "baluja": (60, {"learning_rate": 1e-2}),
}


@pytest.mark.parametrize("family", OVERFIT)
def test_each_overfits_four_pictures(family: str) -> None:
    """After a few steps on the same four pictures, composites come back through 8 bits better than as their mean colour."""
    steps, settings = OVERFIT[family]
    method = make(family, discriminator_width=2, **settings)
    composite, flowers = method.sampler.covers, method.sampler.disguises
    for number in range(steps):
        assert all(torch.isfinite(v) for v in method.step(number).values())
    model = method.model.eval()
    found = model.decrypt(model.encrypt(composite, flowers), composite)
    blind = np.square(
        composite / 255 - composite.mean((1, 2), keepdims=True) / 255
    ).mean()
    assert np.square(composite / 255 - found / 255).mean() < 0.9 * blind


def test_options_are_plain_and_refuse_nonsense() -> None:
    for family, cls in BASELINE_OPTIONS.items():
        options = cls()
        assert options.family == family
        assert cls.from_dict({"family": family, "width": 16}).width == 16
        for wrong in (
            {"width": 0},
            {"width": 10**6},
            {"image_size": 60},
            {"family": "egan"},
            {"fases": 1},
        ):
            with pytest.raises(EganError):
                cls.from_dict(wrong)
