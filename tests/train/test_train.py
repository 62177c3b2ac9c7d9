"""The losses at known values, the starting codec, and a tiny run: it learns, it resumes exactly, it repeats."""

import dataclasses
import json
import math
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Run
from safetensors.torch import load_file

from egan.core.encryptgan import EncryptGANNetworks
from egan.core.export import export_graphs
from egan.core.load import load_model
from egan.core.options import ModelOptions
from egan.core.phases import rotate_phases
from egan.core.tensors import to_unit
from egan.errors import EganError
from egan.train import losses
from egan.train import trainer as loop
from egan.train.checkpoint import fits, save_checkpoint
from egan.train.key_network import Painter, train_key_network
from egan.train.options import TrainOptions
from egan.train.presets import parse_options
from egan.train.recipes.base import round8
from egan.train.recipes.egan import EganMethod, painting
from egan.train.recipes.paper import PaperMethod
from egan.train.sampler import Sampler
from egan.train.starting_codec import (
    cell_rows,
    chroma_carriers,
    principal_components,
    start_codec,
)
from egan.train.trainer import Trainer

TINY = ModelOptions(
    image_size=64, key_width=4, width=8, encoder_blocks=1, decoder_blocks=1
)
FAST = TrainOptions(
    steps=6,
    batch=2,
    critic_crop=0,
    key_steps=8,
    discriminator_width=4,
    sample_every=1000,
    warmup=2,
    bf16=False,
)


def smooth(count: int, size: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    coarse = torch.from_numpy(random.random((count, 3, 8, 8))).float()
    fine = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(
        0, 1
    )
    return (fine * 255).byte().permute(0, 2, 3, 1).numpy()


def sampler(seed: int = 0) -> Sampler:
    messages = [list(smooth(8, 32, 3))]
    return Sampler(
        smooth(12, 64, 1), smooth(12, 64, 2), messages, seed, torch.device("cpu")
    )


def test_cycle_and_information_losses() -> None:
    a, b = torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8)
    b[0], b[1] = 0.5, 1.0
    assert losses.cycle_loss(a, b).item() == 0.75
    assert losses.cycle_loss(a, b, torch.tensor([1.0, 0.0])).item() == 0.5
    assert losses.cycle_loss(a, b, torch.zeros(2)).item() == 0
    box = torch.zeros(2, 1, 8, 8)
    box[:, :, :2, :2] = 1
    b[0, :, 4:, 4:] = 9.0  # outside of the box: does not count
    assert losses.information_loss(a, b, box).item() == 0.75


def test_lsgan_losses() -> None:
    half = torch.full((2, 1, 3, 3), 0.5)
    assert losses.lsgan_generator_loss(half).item() == 0.25
    assert losses.lsgan_generator_loss(torch.ones(2, 1, 3, 3)).item() == 0
    assert (
        losses.lsgan_discriminator_loss(torch.ones(2, 1), torch.zeros(2, 1)).item() == 0
    )
    assert losses.lsgan_discriminator_loss(half, half).item() == 0.25


def test_key_matching_loss() -> None:
    f, t = (
        [torch.zeros(2, 4, 4, 4), torch.zeros(2, 8, 2, 2)],
        [torch.ones(2, 4, 4, 4), torch.full((2, 8, 2, 2), 3.0)],
    )
    assert losses.key_matching_loss(f, t).item() == 2.0
    assert losses.key_matching_loss(t, t).item() == 0


def test_phase_loss() -> None:
    z = torch.stack((torch.ones(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)), 1)
    quarter = torch.full((1, 2, 3, 3), 64)
    assert losses.phase_loss(z, z).item() == 0
    assert losses.phase_loss(z, rotate_phases(z, quarter, 1)).item() == pytest.approx(
        1, abs=1e-6
    )
    assert losses.phase_loss(z, -z).item() == 2


def test_grain_loss() -> None:
    a = torch.zeros(1, 3, 8, 8)
    assert losses.grain_loss(a, a).item() == 0
    assert losses.grain_loss(a, a + 0.5).item() == 0.5 + 0.5 + 2 * 0.5
    chroma = torch.tensor([0.5, 0, -0.5]).view(1, 3, 1, 1).expand_as(a)
    checks = chroma * (
        1 - 2 * (torch.arange(8) % 2)
    )  # no brightness and no mean in a cell: half of the samples' size
    assert losses.grain_loss(a, a + checks).item() == pytest.approx(1 / 3)


def test_detail_loss_sees_strokes_and_not_levels() -> None:
    a = torch.zeros(1, 3, 4, 4)
    assert losses.detail_loss(a, a + 0.7).item() == 0
    stripes = torch.tensor([0.0, 0.5, 0.0, 0.5]).expand_as(a)
    assert losses.detail_loss(a, stripes).item() == 0.5
    assert losses.detail_loss(a, stripes.transpose(2, 3)).item() == 0.5


def test_painting_loss_counts_levels_and_not_only_strokes() -> None:
    a = torch.zeros(1, 3, 16, 16)
    assert losses.painting_loss(a, a).item() == 0
    assert losses.painting_loss(a, a + 0.5).item() == 0.5 + 0.5 * 0.5
    checks = 0.5 * (1 - 2 * (torch.arange(16) % 2)).float().expand_as(
        a
    )  # no mean in 8x8 pixels
    assert losses.painting_loss(a, a + checks).item() == 0.5 + 0.5 * 1.0


def test_round8_is_8_bit_with_a_straight_gradient() -> None:
    x = torch.tensor([-1.5, -0.3, 0.1234, 0.9999, 1.5], requires_grad=True)
    levels = (round8(x) + 1) * 127.5
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    round8(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 0]


def test_carriers_are_orthonormal_and_leave_luma_alone() -> None:
    carriers = chroma_carriers(24)
    assert torch.allclose(carriers @ carriers.T, torch.eye(24), atol=1e-6)
    grey = torch.ones(3)[:, None] * torch.randn(1, 16)
    assert (carriers @ grey.flatten()).abs().max() < 1e-5


def test_principal_components_rebuild_what_they_span() -> None:
    pictures = to_unit(smooth(6, 64, 9))
    mean, basis = principal_components(pictures, 48)
    centred = cell_rows(pictures) - mean
    assert torch.allclose(centred @ basis.T @ basis, centred, atol=1e-4)


def test_composites_are_8_bit_and_boxes_mark_every_change() -> None:
    s = sampler()
    covers = s.pictures(s.covers, 4)
    composites, boxes = s.composite(covers)
    changed = (composites != covers).any(1, keepdim=True)
    assert not (changed & (boxes == 0)).any()
    sides = boxes.flatten(1).sum(1).sqrt()
    assert (sides >= 8).all()


def trainer(out: Path, model: ModelOptions = TINY, seed: int = 0, **changes) -> Trainer:
    method = EganMethod(model, dataclasses.replace(FAST, **changes), sampler(seed))
    return Trainer(method, out, log=lambda _: None)


def prepared(out: Path, **changes) -> Trainer:
    made = trainer(out, **changes)
    made.prepare()
    return made


def losses_of_a_step(t: Trainer) -> dict[str, float]:
    t.sums = {}
    t.one_step()
    return {name: float(value) for name, value in t.sums.items()}


def same(a: Path, b: Path) -> bool:
    first, second = (load_file(p / "weights.safetensors") for p in (a, b))
    return all(torch.equal(first[k], second[k]) for k in first)


def test_a_run_learns_saves_and_repeats(tmp_path: Path) -> None:
    one = prepared(tmp_path / "one")
    one.run()
    prepared(tmp_path / "two").run()
    assert same(one.out, tmp_path / "two")
    model = load_model(one.out / "weights.safetensors")
    assert model.training_summary["step"] == 6
    assert model.options == TINY
    assert (one.out / "sample-last.png").exists()
    start = losses_of_a_step(one)
    for _ in range(10):
        one.one_step()
    assert losses_of_a_step(one)["cycle"] < start["cycle"] * 1.5


def test_the_backward_cycle_is_trained_every_so_often(tmp_path: Path) -> None:
    run = prepared(tmp_path, backward_every=2)
    assert losses_of_a_step(run)["back_cycle"] > 0
    assert "back_cycle" not in losses_of_a_step(run)


def test_a_resumed_run_is_the_run_that_never_stopped(tmp_path: Path) -> None:
    whole = prepared(tmp_path / "whole")
    whole.run()
    half = prepared(tmp_path / "half")
    for _ in range(3):
        half.one_step()
    half.out.mkdir()
    half.save()
    rest = trainer(half.out, seed=99)
    rest.resume(half.out / "checkpoint.safetensors")
    rest.run()
    assert same(whole.out, half.out)


@pytest.fixture
def ctrl_c() -> Iterator[Callable[[], None]]:
    """Strike this process as Ctrl-C does, which Python's own handler then answers."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_an_interruption_waits_for_the_end_of_a_step(
    tmp_path: Path, ctrl_c: Callable[[], None]
) -> None:
    whole = prepared(tmp_path / "whole")
    whole.run()
    cut = prepared(tmp_path / "cut")
    update = cut.method.update

    def struck(name: str, *rest: Any) -> torch.Tensor:
        if (
            name == "critics" and cut.step == 2
        ):  # the generators have learned, the discriminators not yet
            ctrl_c()
        return update(name, *rest)

    cut.method.update = struck  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        cut.run()
    assert cut.step == 3
    rest = trainer(cut.out, seed=99)
    rest.resume(cut.out / "checkpoint.safetensors")
    rest.run()
    assert same(whole.out, cut.out)


def test_an_interruption_waits_for_the_end_of_a_save(
    tmp_path: Path, ctrl_c: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, real = prepared(tmp_path), loop.save_checkpoint

    def struck(*rest: Any) -> None:
        ctrl_c()
        real(*rest)

    monkeypatch.setattr(loop, "save_checkpoint", struck)
    with pytest.raises(KeyboardInterrupt):
        run.save()
    assert {"checkpoint.safetensors", "weights.safetensors"} <= set(
        os.listdir(tmp_path)
    )


def test_saving_draws_no_random_numbers(tmp_path: Path) -> None:
    export_graphs.cache_clear()
    run = prepared(tmp_path)
    before = torch.get_rng_state()
    run.save()
    assert torch.equal(torch.get_rng_state(), before)


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    run = prepared(tmp_path)
    with pytest.raises(
        EganError, match="cannot write /dev/full: no space left on device"
    ):
        save_checkpoint(Path("/dev/full"), run.state(), run.description())
    with pytest.raises(
        EganError, match="cannot write /dev/full: no space left on device"
    ):
        EncryptGANNetworks(TINY).save("/dev/full", {})


def test_more_and_augmented_discriminators_train_and_resume(tmp_path: Path) -> None:
    options = {
        "critic_scales": 2,
        "critic_augment": ("color", "translation", "cutout"),
        "steps": 2,
    }
    whole = prepared(tmp_path / "whole", **options)
    before = [p.clone() for p in whole.method.critics.parameters()]
    whole.run()
    assert not any(
        torch.equal(a, b)
        for a, b in zip(before, whole.method.critics.parameters(), strict=True)
    )
    half = prepared(tmp_path / "half", **options)
    half.one_step()
    half.save()
    rest = trainer(half.out, seed=99, **options)
    rest.resume(half.out / "checkpoint.safetensors")
    rest.run()
    assert same(whole.out, half.out)
    with pytest.raises(EganError, match="leaves 16 of the 64 pixels"):
        trainer(tmp_path, critic_scales=3)


def test_training_on_windows_of_pictures(tmp_path: Path) -> None:
    model = dataclasses.replace(TINY, image_size=128)
    messages = [list(smooth(8, 32, 3))]
    source = Sampler(
        smooth(4, 128, 1), smooth(4, 128, 2), messages, 0, torch.device("cpu")
    )
    method = EganMethod(
        model, dataclasses.replace(FAST, crop=64, batch=4, steps=2), source
    )
    seen, sizes = set(), set()
    whole_pictures = [p for y in to_unit(source.disguises) for p in (y, y.flip(-1))]
    keys = method.model.K.key_image(torch.stack(whole_pictures), model.public_layers)
    for _ in range(20):
        batch = method.draw()
        assert {
            t.shape[2:]
            for t in (batch.x, batch.y, batch.kx, batch.ky, batch.verifying, batch.box)
        } == {(64, 64)}
        assert batch.keystream.shape[2:] == (16, 16)
        sizes |= {int(row.sum()) for box in batch.box[:, 0] for row in box}
        found = [
            (n, i, j)
            for n, y in enumerate(whole_pictures)
            for i in range(0, 65, 16)
            for j in range(0, 65, 16)
            if torch.equal(y[:, i : i + 64, j : j + 64], batch.y[0])
        ]
        assert len(found) == 1, "a window whose corner is on the grid"
        n, i, j = found[0]
        assert torch.allclose(
            keys[n, :, i : i + 64, j : j + 64], batch.ky[0], atol=0.02
        ), "the key image is the whole picture's"
        seen.add((i, j))
    assert len(seen) > 8
    assert min(sizes - {0}) >= 128 // 8
    assert max(sizes) > 64 // 2, "messages are as large as in whole pictures"
    run = Trainer(method, tmp_path, log=lambda _: None)
    run.prepare()
    run.run()
    with pytest.raises(EganError, match="crop is not a multiple of 16"):
        dataclasses.replace(FAST, crop=72)


def test_a_run_can_start_from_the_networks_of_a_weights_file(tmp_path: Path) -> None:
    first = prepared(tmp_path / "first")
    first.run()
    weights = load_model(first.out / "weights.safetensors")
    second = trainer(tmp_path / "second", seed=7, steps=2)
    second.start_from(weights)
    started = second.model.state_dict()
    assert all(torch.equal(started[k], v) for k, v in weights.state_dict().items())
    second.run()
    found = load_model(second.out / "weights.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(found.K.parameters(), weights.K.parameters(), strict=True)
    )
    assert not all(
        torch.equal(a, b)
        for a, b in zip(found.F.parameters(), weights.F.parameters(), strict=True)
    )
    assert found.training_summary["started_from"] == weights.id.hex()
    other = trainer(tmp_path / "other", model=dataclasses.replace(TINY, width=16))
    with pytest.raises(EganError, match="not of this architecture"):
        other.start_from(weights)


def test_a_run_can_start_with_new_keys(tmp_path: Path) -> None:
    first = prepared(tmp_path / "first", steps=1)
    first.run()
    weights = load_model(first.out / "weights.safetensors")
    second = trainer(
        tmp_path / "second",
        model=dataclasses.replace(TINY, key_levels=True),
        seed=7,
        steps=1,
    )
    lines: list[str] = []
    second.log = second.method.log = lines.append
    second.start_from(weights, new_keys=True)
    assert [line.split(":")[0] for line in lines] == [
        "started from",
        "key network accuracy",
        "perceptual loss",
    ]
    started = second.model.state_dict()
    kept = [
        name
        for name, value in weights.state_dict().items()
        if torch.equal(started[name], value)
    ]
    assert "F.encoder.stem.weight" in kept
    assert "F.decoder.direct.0.weight" in kept, "the carriers stay"
    assert "F.decoder.head.0.weight" not in kept, "its painter learns with K"
    assert not any(name.startswith("K.") for name in kept)
    second.run()
    found = load_model(second.out / "weights.safetensors")
    assert found.options.key_levels
    assert found.training_summary["started_from"] == weights.id.hex()
    assert found.training_summary["key_network_accuracy"] >= 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--new-keys"], "--new-keys goes with --from"),
        (
            ["--new-keys", "--from", "w.safetensors", "--method", "drit"],
            "drit has no key images",
        ),
        (
            ["--from", "w.safetensors", "--set", "key_levels=true"],
            "K has key_levels = False\negan: hint: --new-keys",
        ),
    ],
)
def test_settings_of_keys_and_starts_that_do_not_go_together(
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    EncryptGANNetworks(TINY).save("w.safetensors", {})
    sources = ["--x", "a", "--y", "b", "--messages", "c", "--out", "new.safetensors"]
    refused = run("train", *sources, *options)
    assert refused.status == 2
    assert words in refused.err


def test_settings_on_top_of_a_start_keep_its_architecture() -> None:
    paper = dataclasses.replace(TINY, family="paper", public_layers=(3, 5, 6))
    model, train = parse_options(None, ["image_size=128"], start=paper)
    assert model == dataclasses.replace(paper, image_size=128)
    assert isinstance(train, TrainOptions)
    assert train.wrong_key == 0.5  # the preset of the family
    with pytest.raises(EganError, match="not cyclegan"):
        parse_options(None, [], "cyclegan", start=paper)


def test_painters_teach_the_key_network_and_leave_the_carriers_alone() -> None:
    """With K and one painter, pictures are painted better from their key images with every step."""

    def painted(steps: int) -> tuple[float, EncryptGANNetworks]:
        torch.manual_seed(3)
        s = sampler()
        model = EncryptGANNetworks(TINY)
        start_codec(model.F, model.G, to_unit(smooth(6, 64, 9)))  # type: ignore[arg-type]
        paint, parameters = painting(model.F)  # type: ignore[arg-type]
        painter = Painter(s.disguises, (1, 2, 3), paint, parameters, 5.0)
        train_key_network(model.K, s, steps, [painter], show=show)
        y = to_unit(s.disguises)  # type: ignore[arg-type]
        with torch.no_grad():
            return float(
                (paint(model.K.key_image(y, (1, 2, 3))) - y).abs().mean()
            ), model

    shown: list[tuple[float, str]] = []

    def show(share: float, words: str) -> None:
        shown.append((share, words))

    few, before = painted(1)
    many, after = painted(100)
    assert shown[0] == (1.0, "K learns, step 1 of 1")
    assert shown[1] == (0.01, "K learns, step 1 of 100")
    assert len(shown) == 101
    assert many < 0.7 * few
    for a, b in zip(
        before.F.decoder.direct.parameters(),
        after.F.decoder.direct.parameters(),
        strict=True,
    ):  # type: ignore[union-attr]
        assert torch.equal(a, b)
    assert not torch.equal(before.K.convs[0].weight, after.K.convs[0].weight)
    assert not any(p.requires_grad for p in after.K.parameters())


@pytest.mark.parametrize(("size", "seen"), [(64, 64), (0, 96), (128, 96)])
def test_the_key_network_learns_from_small_pictures(size: int, seen: int) -> None:
    model = EncryptGANNetworks(TINY)
    big = Sampler(
        smooth(4, 96, 1),
        smooth(4, 96, 2),
        [list(smooth(2, 32, 3))],
        0,
        torch.device("cpu"),
    )
    shapes = []
    model.K.register_forward_pre_hook(lambda _, given: shapes.append(given[0].shape))
    train_key_network(model.K, big, 2, size=size)
    assert {tuple(shape) for shape in shapes} == {(16, 3, seen, seen)}


@pytest.mark.parametrize("size", [32, 72])
def test_key_sizes_that_networks_cannot_take(size: int) -> None:
    with pytest.raises(EganError, match="key_size"):
        TrainOptions(key_size=size)


def test_a_diverged_run_keeps_its_last_good_state(tmp_path: Path) -> None:
    run = prepared(tmp_path / "run", steps=100, save_minutes=0.0)
    for _ in range(2):
        run.one_step()
    run.out.mkdir()
    run.save()
    good = (run.out / "checkpoint.safetensors").read_bytes()
    with torch.no_grad():
        next(run.model.F.parameters()).fill_(math.nan)  # type: ignore[union-attr,operator]
    with pytest.raises(EganError, match="diverged at step 3"):
        run.run()
    assert (run.out / "checkpoint.safetensors").read_bytes() == good
    assert math.isfinite(
        sum(
            float(t.double().sum())
            for t in load_file(run.out / "weights.safetensors").values()
        )
    )


def test_wrong_keys_get_the_adversarial_loss_alone(tmp_path: Path) -> None:
    terms = losses_of_a_step(prepared(tmp_path, wrong_key=1.0))
    assert terms["cycle"] == 0
    assert terms["information"] == 0
    assert terms["adversarial_x"] > 0


def test_the_paper_family_can_be_drawn_to_the_flower_of_the_key(tmp_path: Path) -> None:
    found = {}
    for weight in (1.0, 3.0):
        method = PaperMethod(
            dataclasses.replace(TINY, family="paper", resnet_width=4, resnet_blocks=1),
            dataclasses.replace(FAST, disguise=weight),
            sampler(),
        )
        paper = Trainer(method, tmp_path, log=lambda _: None)
        paper.prepare()
        found[weight] = losses_of_a_step(paper)["disguise"]
    assert 0 < found[1.0] < 2, "the L1 distance of two pictures in [-1, 1]"
    assert found[3.0] == pytest.approx(3 * found[1.0], rel=1e-5)


def test_signed_pictures_are_verified_with_keys_of_other_flowers_too(
    tmp_path: Path,
) -> None:
    method = prepared(tmp_path, batch=32).method
    batch = method.draw()
    own = (batch.verifying == batch.ky).flatten(1).all(1).sum()
    assert 8 < own < 28
    alone = method.draw(backward=False)
    assert torch.equal(alone.verifying, alone.ky)


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    one = trainer(tmp_path)
    one.start()
    one.save()
    other = trainer(tmp_path, model=dataclasses.replace(TINY, width=16))
    with pytest.raises(EganError, match="another method or architecture"):
        other.resume(tmp_path / "checkpoint.safetensors")
    with pytest.raises(EganError, match="not a training checkpoint"):
        other.resume(tmp_path / "weights.safetensors")


def test_an_older_checkpoint_that_does_not_name_every_option_fits(
    tmp_path: Path,
) -> None:
    one = trainer(tmp_path)
    one.start()
    for options, right in (
        ({}, True),
        ({"key_levels": True}, False),
        ({"future": 1}, False),
    ):
        known = {
            k: v for k, v in dataclasses.asdict(TINY).items() if k != "key_levels"
        } | options
        assert fits(json.dumps(known), one.description()) == right


def test_settings_reach_the_right_options_and_unknown_ones_are_named() -> None:
    model, train = parse_options(
        "tiny", ["phases=8", "wrong_key=0.25", "public_layers=1,3,5", "bf16=false"]
    )
    assert (model.phases, model.public_layers, model.image_size) == (8, (1, 3, 5), 64)
    assert (train.wrong_key, train.bf16) == (0.25, False)
    for preset, settings in (
        ("none", []),
        ("tiny", ["fases=8"]),
        ("tiny", ["phases=many"]),
        ("tiny", ["phases"]),
    ):
        with pytest.raises(EganError) as caught:
            parse_options(preset, settings)
        assert caught.value.status == 2
        assert caught.value.hint


def test_published_training_runs(tmp_path: Path) -> None:
    method = PaperMethod(
        dataclasses.replace(
            TINY,
            family="paper",
            resnet_width=4,
            resnet_blocks=1,
            public_layers=(3, 5, 6),
        ),
        dataclasses.replace(
            FAST,
            clip=0.0,
            average=0.0,
            wrong_key=0.5,
            steps=2,
            backward_every=2,
            disguise=0.0,
        ),
        sampler(),
    )
    paper = Trainer(method, tmp_path / "paper", log=lambda _: None)
    paper.prepare()
    before = [p.clone() for p in method.generators.parameters()]
    paper.run()
    assert all(
        not torch.equal(a, b)
        for a, b in zip(before, method.generators.parameters(), strict=True)
        if a.dim() > 1
    )
    model = load_model(tmp_path / "paper" / "weights.safetensors")
    assert not model.locked
    names = {
        "cycle",
        "information",
        "back_cycle",
        "key_matching",
        "adversarial",
        "adversarial_x",
        "critics",
    }
    terms = set(losses_of_a_step(paper))
    assert names <= terms
    assert "disguise" not in terms, "no loss of the paper's"
    assert "back_cycle" not in losses_of_a_step(paper), "every second step only"


def test_a_wrong_key_of_the_paper_family_gets_the_adversarial_loss_alone(
    tmp_path: Path,
) -> None:
    method = PaperMethod(
        dataclasses.replace(TINY, family="paper", resnet_width=4, resnet_blocks=1),
        dataclasses.replace(FAST, wrong_key=1.0),
        sampler(),
    )
    paper = Trainer(method, tmp_path, log=lambda _: None)
    paper.prepare()
    terms = losses_of_a_step(paper)
    assert terms["cycle"] == terms["information"] == terms["back_cycle"] == 0
    assert terms["adversarial_x"] > 0
