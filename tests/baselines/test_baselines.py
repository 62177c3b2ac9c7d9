"""Networks of the compared methods: published sizes, and options that refuse nonsense."""

import pytest
import torch
from torch import nn

from egan.baselines import baluja, cyclegan, drit, munit
from egan.baselines.layers import MultiScaleCritic
from egan.core.baseline_options import (
    BASELINE_OPTIONS,
    BalujaOptions,
    CycleGANOptions,
    DRITOptions,
    MUNITOptions,
)
from egan.errors import EganError


def parameters(*modules: nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


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
    # Content: 7x7 9,472, 4x4 131,200 and 524,544, eight 3x3 of 590,080. Style: the same
    # three, two 4x4 of 1,048,832, 1x1 2,056. Decoder: eight 3x3, 5x5 819,328 and
    # 204,864, layer norms 256 and 128, 7x7 9,411; MLP 1,120,768.
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
    # Content, own: 7x7 9,472, 3x3 73,856 and 295,168, six of 590,080; shared: two.
    # Attribute: 4x4 3,136, pooling blocks 119,104, 393,728 and 824,000, two linear of
    # 2,056. Generator, own: six 3x3 of 264 channels, transposed 272 to 136 and 144 to
    # 72, layer norms, 1x1 of 80; shared: two 3x3 of 256.
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
        # 216 pixels, the published size: three 7x7, one 4x4, one 1x1.
        critic = drit.ContentCritic(64, 54)
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
    # A k x k layer costs 50 * 50 k^2 + 50; k^2 sums to 50 over the branches. First:
    # from 3 or 153 channels; joint: 150.
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
