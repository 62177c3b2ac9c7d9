"""Discriminators at several scales, and what pictures are changed by before they see them."""

import pytest
import torch

from egan.core.resnet import PatchGAN, Pyramid
from egan.train.critics import AUGMENTATIONS, augmented, make_critic, over_scales
from egan.train.options import AUGMENT


def test_a_pyramid_judges_halved_pictures_and_counts_scales_the_same() -> None:
    torch.manual_seed(0)
    pyramid = make_critic(4, 2)
    assert isinstance(pyramid, Pyramid)
    picture = torch.rand(2, 3, 96, 96) * 2 - 1
    whole, half = pyramid(picture)
    assert torch.equal(whole, pyramid.networks[0](picture))
    halved = torch.nn.functional.avg_pool2d(picture, 3, 2, 1, count_include_pad=False)
    assert torch.allclose(half, pyramid.networks[1](halved), atol=1e-5)
    mean = over_scales(
        lambda s: s.square().mean(),
        [torch.zeros(1, 1, 10, 10), torch.full((1, 1, 4, 4), 2.0)],
    )
    assert mean == 2
    assert isinstance(make_critic(4, 1), PatchGAN)


def test_a_moved_picture_keeps_its_pixels() -> None:
    torch.manual_seed(1)
    picture = torch.zeros(16, 3, 32, 64)
    picture[:, :, 16, 32] = 0.7
    moved = augmented(picture, ["translation"])
    assert (moved == 0.7).sum((1, 2, 3)).tolist() == [3] * 16
    places = (moved[:, 0] == 0.7).nonzero()
    assert (places[:, 1] - 16).abs().max() == 4
    assert (places[:, 2] - 32).abs().max() <= 8
    assert len(places[:, 1].unique()) > 4


def test_cutting_out_leaves_a_grey_square() -> None:
    torch.manual_seed(2)
    holes = augmented(torch.ones(64, 3, 32, 32), ["cutout"]) == 0
    assert (holes[:, 0] == holes[:, 2]).all()
    rows, columns = holes[:, 0].any(2).sum(1), holes[:, 0].any(1).sum(1)
    assert (holes[:, 0].sum((1, 2)) == rows * columns).all()
    assert (rows.max(), rows.min()) == (16, 8)


def test_recolouring_keeps_grey_grey_and_changes_each_picture_by_itself() -> None:
    torch.manual_seed(3)
    grey = torch.rand(8, 1, 16, 16).expand(-1, 3, -1, -1)
    changed = augmented(grey, ["color"])
    assert torch.allclose(changed[:, :1], changed[:, 1:2], atol=1e-5)
    shift = (changed - grey).mean((1, 2, 3))
    assert shift.abs().max() <= 0.5
    assert len(shift.unique()) == 8
    spread = changed.std((1, 2, 3)) / grey.std((1, 2, 3))
    assert 0.5 <= spread.min()
    assert spread.max() <= 1.5


@pytest.mark.parametrize("name", AUGMENT)
def test_the_gradient_passes(name: str) -> None:
    torch.manual_seed(4)
    picture = torch.rand(2, 3, 32, 32, requires_grad=True)
    augmented(picture, [name]).sum().backward()
    assert picture.grad is not None
    assert (picture.grad != 0).float().mean() > 0.5


def test_options_name_what_there_is() -> None:
    assert tuple(AUGMENTATIONS) == AUGMENT
