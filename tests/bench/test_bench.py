"""`egan bench`: answers known in advance, on pictures made here and an untrained model
that is a codec by construction.
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from egan.bench.data import PictureSets, load_pictures, load_smoke
from egan.bench.features import load_lpips
from egan.bench.intervals import mean_interval, rate_interval
from egan.bench.metrics import (
    blind_mse,
    ssim,
)
from egan.bench.options import METRICS, BenchOptions, parse_metrics
from egan.bench.protocol import HeldOutPairs, Row, make_pairs, measure, wrong_keys
from egan.bench.run import run_bench
from egan.bench.speed import gmac, measure_gmac, measure_speed, passes, speed_lines
from egan.bench.summary import FIGURES, cell, summarise
from egan.bench.training_speed import typical_and_peak
from egan.core.encryptgan import EncryptGANNetworks
from egan.core.networks import LockedGenerator
from egan.core.options import ModelOptions
from egan.core.tensors import to_unit
from egan.errors import EganError
from egan.pictures.metrics import decibels, mse, psnr
from egan.train.starting_codec import start_codec

SIZE = 64
SMALL = {
    "image_size": SIZE,
    "width": 8,
    "key_width": 4,
    "phases": 12,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """The pictures are tiny: threads would only wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def smooth(count: int, side: int, seed: int) -> np.ndarray:
    """Pictures that the 12 phases of a cell can hold; photographs of 64 pixels are too
    busy for an untrained codec.
    """
    coarse = np.random.default_rng(seed).integers(
        0, 256, (count, 4, 4, 3), dtype=np.uint8
    )
    return np.stack(
        [
            np.asarray(
                Image.fromarray(c).resize((side, side), Image.Resampling.BICUBIC)
            )
            for c in coarse
        ]
    )


@pytest.fixture(scope="module")
def pairs() -> HeldOutPairs:
    names = [str(i) for i in range(5)]
    messages = list(smooth(5, SIZE // 2, 3))
    sets = PictureSets(
        smooth(5, SIZE, 1),
        smooth(5, SIZE, 2),
        [messages],
        names,
        names,
        [names],
        "smooth",
    )
    return make_pairs(sets, 0)


@pytest.fixture(scope="module")
def model(pairs: HeldOutPairs) -> EncryptGANNetworks:
    torch.manual_seed(0)
    made = (
        EncryptGANNetworks(ModelOptions.from_dict(SMALL)).eval().requires_grad_(False)
    )
    assert isinstance(made.F, LockedGenerator) and isinstance(made.G, LockedGenerator)
    start_codec(made.F, made.G, to_unit(pairs.composites, torch.device("cpu")))
    return made


@pytest.fixture(scope="module")
def rows(model: EncryptGANNetworks, pairs: HeldOutPairs) -> list[Row]:
    return measure(model, pairs, batch=2)[0]


@pytest.fixture(scope="module")
def weights(
    model: EncryptGANNetworks, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    model.save(path, {})
    return path


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SqueezeNet file with torchvision's names and random weights."""
    from safetensors.torch import save_file
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("backbone") / "squeeze.safetensors"
    state = squeezenet1_1(weights=None).state_dict()
    save_file({k: v for k, v in state.items() if k.startswith("features")}, str(path))
    return path


class Identity(EncryptGANNetworks):
    """A channel that changes nothing, whatever the key."""

    # So its disguises get no header, which would change them.
    locked = False  # type: ignore[assignment]

    def encrypt(self, composites, keys, keystreams):  # type: ignore[no-untyped-def]
        return composites.copy()

    decrypt = encrypt


def save_pictures(folder: Path, count: int, side: int) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        random = np.random.default_rng([count, side, i])
        Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(
            folder / f"{i}.png"
        )
    return folder


def test_known_pixel_figures() -> None:
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert mse(black, white) == 1 and decibels(1.0) == 0
    assert psnr(white, white) == math.inf and ssim(white, white) == 1
    assert decibels(0.01) == pytest.approx(20)
    half = black.copy()
    half[:8] = 255
    # The mean colour is half way to either.
    assert blind_mse(half) == pytest.approx(0.25)
    assert blind_mse(white) == 0


def test_identity_channel(pairs: HeldOutPairs) -> None:
    model = Identity(ModelOptions.from_dict(SMALL)).eval()
    rows, disguises = measure(model, pairs, batch=2)
    assert np.array_equal(disguises, pairs.composites)
    for row in rows:
        assert (
            row.message_psnr == math.inf
            and row.message_ssim == 1
            and row.encryption_mse == 0
        )
        # Every wrong key reads the message: a leak shows.
        assert row.excess == math.inf
    figures = summarise(rows, METRICS, 0)
    assert (
        figures["message"]["psnr"] is None
        and "infinite" in figures["notes"]["message.psnr"]
    )
    assert figures["message"]["mse"] == 0
    json.dumps(figures, allow_nan=False)


def test_codec_with_right_and_wrong_keys(rows: list[Row]) -> None:
    # A header takes the lowest bit of every sample at 64x64.
    assert np.mean([row.message_psnr for row in rows]) > 22
    for row in rows:
        assert row.wrong_keys == len(rows) - 1
        assert row.excess is not None and row.security_psnr_max is not None
        assert row.excess < 0 and row.excess == pytest.approx(
            row.security_psnr_max - row.blind_psnr
        )
        assert SIZE // 8 <= row.size <= SIZE // 2
        assert row.message_rmse == pytest.approx(math.sqrt(row.message_mse))


def test_table_does_not_depend_on_the_batch_size(
    model: EncryptGANNetworks, pairs: HeldOutPairs, rows: list[Row]
) -> None:
    again, _ = measure(model, pairs, batch=2)
    other, _ = measure(model, pairs, batch=5)
    for a, b, c in zip(rows, again, other, strict=True):
        for figure, (column, _, _) in FIGURES.items():
            first, second, third = (getattr(row, column) for row in (a, b, c))
            assert first == second, figure
            if first is None:
                assert third is None and "lpips" in column
            # A kernel for another batch may round the last bit of a float32, and then a
            # pixel by one level.
            else:
                assert first == pytest.approx(third, rel=1e-4), figure


def test_pairs_are_the_same_for_every_limit() -> None:
    more, fewer = (make_pairs(load_smoke(SIZE, limit, 0), 0) for limit in (5, 3))
    assert (
        np.array_equal(fewer.composites, more.composites[:3])
        and fewer.boxes == more.boxes[:3]
    )
    assert make_pairs(load_smoke(SIZE, 3, 1), 1).boxes != fewer.boxes
    assert wrong_keys(1, 5, None, 0) == [0, 2, 3, 4]
    some = wrong_keys(1, 5, 2, 0)
    assert len(set(some)) == 2 and 1 not in some and some == wrong_keys(1, 5, 2, 0)


def test_paper_family_has_no_keystream(pairs: HeldOutPairs) -> None:
    options = ModelOptions.from_dict(
        {**SMALL, "family": "paper", "resnet_width": 4, "resnet_blocks": 1}
    )
    rows, _ = measure(
        EncryptGANNetworks(options).eval().requires_grad_(False), pairs, wrong_limit=1
    )
    assert all(row.wrong_keys == 1 for row in rows)


def test_means_of_the_csv_are_the_means_of_the_json(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    metrics = tuple(
        m
        for m in METRICS
        if m not in ("lpips", "encryption", "security", "fid", "frechet", "kid")
    )
    options = BenchOptions(
        weights=(weights,), limit=3, metrics=metrics, json=True, csv=table, device="cpu"
    )
    returned = run_bench(options)
    captured = capsys.readouterr()
    assert captured.err == ""
    printed = json.loads(captured.out)
    assert printed == returned and list(printed) == ["egan"]
    figures = printed["egan"]
    with table.open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == figures["n"] == 3
    for group, name, column in (
        ("message", "psnr", "message_psnr"),
        ("blind", "mse", "blind_mse"),
    ):
        mean = np.mean([float(line[column]) for line in lines])
        low, high = figures["ci"][group][name]
        assert figures[group][name] == pytest.approx(mean) and low <= mean <= high
    for absent in ("fid", "frechet", "kid", "encryption.lpips", "security.mse"):
        assert "not asked for" in figures["notes"][absent]
    assert figures["security"]["mse"] is None and lines[0]["security_mse"] == ""
    with pytest.raises(EganError, match="exists already"):
        run_bench(options)


def test_everything_with_a_backbone_from_folders(
    weights: Path, backbone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x, y = save_pictures(tmp_path / "x/a", 5, 80), save_pictures(tmp_path / "y", 4, 64)
    (tmp_path / "x/broken.png").write_bytes(b"not a picture")
    options = BenchOptions(
        weights=(weights,),
        x=x.parent,
        y=y,
        messages=(save_pictures(tmp_path / "m", 2, 16),),
        wrong_limit=2,
        lpips_net="squeeze",
        lpips_backbone=backbone,
        device="cpu",
    )
    figures = run_bench(options)["egan"]
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "0.4141/0.0765" in captured.out and "LPIPS-squeeze" in captured.out
    assert figures["n"] == 4 and "1 in" in figures["notes"]["skipped"]
    assert figures["fid"] is None and "--inception" in figures["notes"]["fid"]
    assert figures["frechet"]["distance"] >= 0 and figures["gmac"] > 0
    assert "real against real" in captured.out and figures["kid"]["n"] == 4
    assert "no loss here" in figures["preprocessing"]["kid"]
    for group in ("encryption", "message", "security"):
        assert figures[group]["lpips"] >= 0
    assert "2 of 3 per picture" in figures["preprocessing"]["wrong keys"]


def test_learned_metrics_are_zero_between_equal_pictures(
    backbone: Path, pairs: HeldOutPairs
) -> None:
    cpu = torch.device("cpu")
    lpips = load_lpips("squeeze", backbone, cpu)
    # Under 64 pixels: resized.
    small = pairs.composites[:, :20, :20]
    assert (
        np.abs(lpips(small, small)).max() == 0 and lpips(small[:1], small[1:2])[0] > 0
    )
    with pytest.raises(EganError, match="does not hold the features"):
        load_lpips("alex", backbone, cpu)


def test_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(EganError, match="unknown metric beauty") as caught:
        BenchOptions(metrics=("psnr", "beauty"))
    assert caught.value.status == 2 and all(
        name in caught.value.hint for name in METRICS
    )
    assert (
        parse_metrics(("ssim,psnr",)) == ("psnr", "ssim")
        and parse_metrics(("all",)) == METRICS
    )
    for wrong in (
        {"x": tmp_path},
        {"limit": 0},
        {"size": 100},
        {"lpips_net": "resnet"},
        {"metrics": ()},
    ):
        with pytest.raises(EganError) as caught:
            BenchOptions(**wrong)  # type: ignore[arg-type]
        assert caught.value.status == 2


def test_folders_without_usable_pictures(tmp_path: Path) -> None:
    good = save_pictures(tmp_path / "good", 2, 64)
    small = save_pictures(tmp_path / "small", 2, 32)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EganError, match="no pictures"):
        load_pictures(tmp_path / "empty", good, (good,), SIZE, None, 0)
    with pytest.raises(EganError, match="no usable pictures") as caught:
        load_pictures(good, small, (good,), SIZE, None, 0)
    assert "64 pixels" in caught.value.hint
    with pytest.raises(EganError, match="no such folder"):
        load_pictures(good, good, (tmp_path / "gone",), SIZE, None, 0)


def test_interval_holds_the_mean_and_repeats() -> None:
    values = list(np.random.default_rng(0).normal(3, 1, 400))
    low, high = mean_interval(values, 0)
    assert low < np.mean(values) < high and high - low == pytest.approx(
        2 * 1.96 / 20, rel=0.2
    )
    assert mean_interval(values, 0) == [low, high] and mean_interval([2.0], 0) == [
        2.0,
        2.0,
    ]


def test_interval_of_a_rate_says_how_little_no_hit_of_few_proves() -> None:
    low, high = rate_interval(0, 10)
    # Wilson 1927.
    assert low == 0 and high == pytest.approx(0.2775, abs=1e-3)
    assert rate_interval(10, 10)[0] == pytest.approx(1 - high)


def test_gmac_of_a_convolution_and_of_the_model(model: EncryptGANNetworks) -> None:
    layer, picture = torch.nn.Conv2d(3, 8, 3, padding=1), torch.zeros(1, 3, 100, 100)
    assert gmac(lambda: layer(picture)) == pytest.approx(3 * 8 * 9 * 100 * 100 / 1e9)
    assert measure_gmac(model, 128) == pytest.approx(
        4 * measure_gmac(model, 64), rel=0.01
    )


def test_speed_is_measured_beside_a_resnet(
    model: EncryptGANNetworks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egan.bench.speed.BATCHES", {"cpu": (1, 2)})
    monkeypatch.setattr(
        "egan.bench.speed.COMMANDS", {"python": ["-c", "pass"], "fails": ["-c", "1/0"]}
    )
    monkeypatch.setattr("egan.bench.speed.RESNET_WIDTH", 8)
    monkeypatch.setattr("egan.bench.training_speed.CYCLEGAN_WIDTH", 8)
    monkeypatch.setattr("egan.bench.training_speed.MATRIX", {"cpu": 64})
    monkeypatch.setattr("egan.bench.training_speed.BATCH", {"cpu": 2})
    few = (("import torch", ["-c", "pass"], None), ("fails", ["-c", "1/0"], 0.5))
    monkeypatch.setattr("egan.bench.processes.DAILY", few)
    monkeypatch.setattr("egan.bench.processes.measure_runtimes.__defaults__", (2, 64))
    speed = measure_speed(model, SIZE, repeats=1)
    assert speed["processes"]["fails"] is None
    assert speed["processes"]["import torch"]["ratio"] == 1
    assert speed["runtimes"]["batch_ratio"] > 1
    assert speed["resnet9"]["batch1_ratio"] == speed["resnet9"]["gmac_ratio"] == 1
    assert speed["encrypt"]["parameters"] == sum(
        p.numel() for p in model.F.parameters()
    )
    assert speed["encrypt"]["gmac"] == gmac(lambda: passes(model, SIZE)["encrypt"](1))
    assert {"seconds_batch1", "best_batch"} <= set(speed["decrypt"])
    assert speed["training"]["gflop_per_step"] > 0
    assert any("pairs a second" in line for line in speed_lines(speed))
    assert speed["startup_seconds"]["fails"] is None
    assert speed["startup_seconds"]["python"] is not None


def test_utilisation_is_never_above_one_however_busy_the_machine_was() -> None:
    # Products were slowed.
    done, peak = typical_and_peak([3.0, 4.0, 9.0], [1.0, 2.0])
    assert (done, peak) == (4.0, 9.0)
    assert typical_and_peak([3.0], [12.0, 6.0]) == (3.0, 12.0)


def test_names_are_shown_as_they_are(
    weights: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = tmp_path / "[red]=x\x1b[2J"
    save_pictures(odd / "x", 2, 64)
    (odd / "x" / "0.png").rename(odd / "x" / "=1+2.png")
    (odd / "x" / "1.png").rename(odd / "x" / "-a\n.png")
    path = odd / "@tiny.safetensors"
    path.write_bytes(weights.read_bytes())
    other = odd / "plain.safetensors"
    other.write_bytes(weights.read_bytes())
    messages = save_pictures(tmp_path / "m", 2, 16)
    options = BenchOptions(
        weights=(path, other),
        x=odd / "x",
        y=messages.parent / "y",
        messages=(messages,),
        metrics=("psnr",),
        csv=tmp_path / "rows.csv",
        report=tmp_path / "page.html",
        device="cpu",
    )
    save_pictures(messages.parent / "y", 2, 64)
    run_bench(options)
    out = capsys.readouterr().out
    assert "[red]=x\\x1b[2J" in out and "\x1b" not in out
    cells = {c for row in csv.reader((tmp_path / "rows.csv").open()) for c in row}
    assert {"'@tiny", "'=1+2.png", "'-a\\n.png"} <= cells
    assert cell(-1.5) == -1.5 and cell(None) is None
    page = (tmp_path / "page.html").read_text()
    assert "[red]=x\\x1b[2J" in page and "\x1b" not in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": "gone", "y": "gone", "messages": ("gone",)},
        {"weights": ("gone.safetensors",)},
        {"inception": "gone.pth"},
        {"csv": "taken.csv"},
    ],
)
def test_what_cannot_be_done_is_said_before_torch_is_imported(
    wrong: dict[str, object], tmp_path: Path
) -> None:
    (tmp_path / "taken.csv").write_text("mine")
    code = f"""
import sys
from pathlib import Path
from egan.bench.options import BenchOptions
from egan.bench.run import run_bench
from egan.errors import EganError
def path(v):
    return Path(v) if isinstance(v, str) else tuple(map(Path, v))
try:
    run_bench(BenchOptions(**{{k: path(v) for k, v in {wrong!r}.items()}}))
except EganError:
    sys.exit(3 if "torch" not in sys.modules else 4)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert done.returncode == 3
