"""Where training pictures come from: folders and torchvision's names, the cache, bad pictures, shares of a batch."""

import dataclasses
import json
import math
import os
from pathlib import Path

import filelock
import numpy as np
import pytest
import torch
from conftest import Run, smooth
from PIL import Image

from egan.core.baseline_options import BASELINE_OPTIONS
from egan.core.tensors import to_bytes
from egan.errors import EganError
from egan.pictures import datasets as named
from egan.pictures import files
from egan.train import data
from egan.train.data import load_cached
from egan.train.presets import option_classes
from egan.train.sampler import Sampler, on_device


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures of 40x64 in two levels of folders, one damaged, one that is text."""
    root = tmp_path / "pictures"
    (root / "deep").mkdir(parents=True)
    for i in range(12):
        Image.fromarray(smooth(40, 64, i)).save(
            root / ("deep" if i % 2 else ".") / f"{i:02d}.png"
        )
    (root / "bad.png").write_bytes((root / "00.png").read_bytes()[:100])
    (root / "notes.txt").write_text("no picture")
    return root


def test_pictures_are_the_centre_square_and_bad_ones_are_counted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures, bad = load_cached(str(folder), 32, tmp_path / "cache")
    assert pictures.shape == (12, 32, 32, 3)
    assert bad == 1
    assert (
        capsys.readouterr().err == f"egan: warning: cannot read {folder / 'bad.png'}\n"
    )
    middle = (
        Image.open(folder / "00.png")
        .crop((12, 0, 52, 40))
        .resize((32, 32), Image.Resampling.LANCZOS)
    )
    assert np.abs(pictures[0].astype(int) - np.asarray(middle)).max() <= 2


def test_pictures_are_trained_on_as_encrypt_reads_them(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    clear = np.dstack([smooth(64, 64, 1), np.zeros((64, 64), np.uint8)])
    for name, pixels in (
        ("16-bit.png", random.integers(0, 2**16, (64, 64), dtype=np.uint16)),
        ("float.tif", random.random((64, 64), dtype=np.float32)),
        ("clear.png", clear),
    ):
        Image.fromarray(pixels).save(tmp_path / name)
        seen = files.flatten(files.read_picture(str(tmp_path / name)))
        assert np.array_equal(
            data.square(data.load([tmp_path / name], 0, name), 64), seen
        )
    assert (seen == 255).all(), "what is clear lies on white"


def test_pictures_that_are_too_large_are_skipped(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("egan.pictures.files.MOST_PIXELS", 40 * 64 - 1)
    Image.fromarray(smooth(39, 64, 1)).save(folder / "small.png")
    pictures, bad = load_cached(str(folder), 32, tmp_path / "cache")
    assert (len(pictures), bad) == (1, 13)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 6 and said[-1] == "egan: warning: cannot read 8 more"


def test_messages_keep_their_side(folder: Path, tmp_path: Path) -> None:
    assert load_cached(str(folder), None, tmp_path / "cache")[0].shape[1:] == (
        40,
        40,
        3,
    )
    Image.fromarray(smooth(300, 200, 1)).save(folder / "large.png")
    assert load_cached(str(folder), None, tmp_path / "cache")[0].shape[1:] == (
        128,
        128,
        3,
    )


def test_the_cache_is_read_again_until_a_file_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = np.array(load_cached(str(folder), 32, tmp_path / "cache")[0])
    decoded = []
    monkeypatch.setattr(data, "decode", lambda *a: decoded.append(a))
    again, bad = load_cached(str(folder), 32, tmp_path / "cache")
    assert (again == first).all() and bad == 1 and not decoded
    assert isinstance(again, np.memmap)
    os.utime(folder / "02.png", (1, 1))
    with pytest.raises(FileNotFoundError):
        load_cached(str(folder), 32, tmp_path / "cache")
    assert len(decoded) == 1


@pytest.mark.parametrize("damage", ["shorter", "text", "nothing", "another array"])
def test_a_damaged_cache_is_made_again(
    folder: Path, tmp_path: Path, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first = np.array(load_cached(str(folder), 32, tmp_path / "cache")[0])
    (path,) = (tmp_path / "cache").glob("*.npy")
    if damage == "another array":
        np.save(path, np.zeros((12, 32, 32), np.float32))
    else:
        path.write_bytes(
            {"shorter": path.read_bytes()[:-1], "text": b"x" * 200, "nothing": b""}[
                damage
            ]
        )
    capsys.readouterr()
    again, bad = load_cached(str(folder), 32, tmp_path / "cache")
    assert (again == first).all() and bad == 1
    assert f"the cache {path} is damaged and is made again" in capsys.readouterr().err


def test_too_few_pictures_and_no_such_source(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(
        EganError, match=r"only 12 pictures in .*, 1 more cannot be read"
    ):
        load_cached(str(folder), 32, tmp_path / "cache", fewest=13)
    assert not list((tmp_path / "cache").glob("*.part*"))
    with pytest.raises(EganError, match="no such folder") as caught:
        load_cached("roses102", 32, tmp_path / "cache")
    assert "flowers102" in caught.value.hint


def test_a_name_of_torchvision_is_a_source(tmp_path: Path) -> None:
    """The Oxford pets as torchvision lays them out, as if downloaded: three pictures, one of them damaged."""
    root = tmp_path / "cache" / "data" / "oxford-iiit-pet" / "oxford-iiit-pet"
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    names = ["Abyssinian_1", "Bombay_2", "Birman_3"]
    (root / "annotations" / "trainval.txt").write_text(
        "".join(f"{n} {i + 1} 1 1\n" for i, n in enumerate(names))
    )
    for i, name in enumerate(names[:2]):
        Image.fromarray(smooth(50, 40, i)).save(root / "images" / f"{name}.jpg")
    (root / "images" / "Birman_3.jpg").write_bytes(b"not a picture")
    (root / "annotations" / "test.txt").write_text("Sphynx_4 4 1 1\n")
    Image.fromarray(smooth(50, 40, 4)).save(root / "images" / "Sphynx_4.jpg")
    pictures, bad = load_cached("oxford-iiit-pet", 32, tmp_path / "cache")
    assert pictures.shape == (2, 32, 32, 3)
    assert bad == 1
    assert len(named.data_set("oxford-iiit-pet", "held out", tmp_path / "cache")) == 1


def test_no_data_set_is_measured_with_the_part_that_it_is_trained_with() -> None:
    assert all(parts["train"] != parts["held out"] for parts in named.PARTS.values())


def sampler(rank: int = 0, world: int = 1) -> Sampler:
    pictures = np.stack([smooth(64, 64, i) for i in range(6)])
    return Sampler(
        pictures, pictures, [pictures[:, :32, :32]], 3, torch.device("cpu"), rank, world
    )


def test_the_shares_of_two_processes_are_the_batch_of_one() -> None:
    whole = sampler()
    x = whole.pictures(whole.covers, 4)
    composite, box = whole.composite(x)
    torch.manual_seed(1)
    k = whole.randint((4, 2, 3, 3))
    for rank in range(2):
        part, own = sampler(rank, 2), slice(2 * rank, 2 * rank + 2)
        mine = part.pictures(part.covers, 4)
        assert torch.equal(mine, x[own])
        for theirs, ours in zip((composite, box), part.composite(mine), strict=True):
            assert torch.equal(theirs[own], ours)
        torch.manual_seed(1)
        assert torch.equal(part.randint((4, 2, 3, 3)), k[own])


def test_pictures_on_the_device_are_the_same_pictures() -> None:
    one, two = sampler(), sampler()
    two.covers = torch.from_numpy(np.array(two.covers))
    two.messages = [torch.from_numpy(np.array(g)) for g in two.messages]
    a, b = one.pictures(one.covers, 5), two.pictures(two.covers, 5)
    assert (to_bytes(a) == to_bytes(b)).all()
    assert (to_bytes(one.composite(a)[0]) == to_bytes(two.composite(b)[0])).all()
    assert (
        on_device(np.zeros((1, 2, 2, 3), np.uint8), torch.device("cpu"), 100)
        is not None
    )


@pytest.mark.parametrize("method", ["egan", *BASELINE_OPTIONS])
def test_no_option_takes_a_number_that_cannot_be(method: str) -> None:
    kind = option_classes(method)[1]
    numbers = [f for f in dataclasses.fields(kind) if type(f.default) in (int, float)]
    assert len(numbers) >= 9
    for field in numbers:
        wrong = (
            [-1, 2**70] if type(field.default) is int else [-1e-9, math.nan, math.inf]
        )
        for value in wrong:
            with pytest.raises(
                EganError, match=f"^{field.name} cannot be {value}$"
            ) as caught:
                kind(**{field.name: value})
            assert caught.value.status == 2


# What is wrong with a file is status 1, what is wrong with the words of the command 2
ONE = [
    ["--resume", "pictures/00.png"],
    ["--from", "pictures/00.png"],
    ["--limit", "4"],
]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--x", "nowhere"], "no such folder"),
        (["--y", "pictures"], "same pictures"),
        (["--preset", "huge"], "unknown preset"),
        (["--set", "phases=zero"], "cannot be"),
        (["--set", "wrong_key=2"], "from 0 to 1"),
        (["--batch", "0"], "from 1 to"),
        (["--set", "learning_rate=-3"], "learning_rate cannot be -3"),
        (["--set", "cycle=nan"], "cycle cannot be nan"),
        (["--set", "warmup=0"], "from 1 to"),
        (["--set", "domains=cats"], "two names"),
        (["--set", "image_size=65536"], "from 64 to 4096"),
        (["--resume", "pictures/00.png"], "cannot read checkpoint"),
        (["--from", "pictures/00.png"], "weights"),
        (["--from", "nowhere.safetensors"], "weights"),
        (["--limit", "4"], "at least 8"),
        (["--limit", "-5"], "invalid value for '--limit'"),
        (["--limit", "0"], "invalid value for '--limit'"),
        (["--x", "pictures/00.png"], "pictures/00.png is no folder"),
        (["--set", "image_size=65"], "not a multiple of 16"),
        (["--set", "key_steps=0"], "from 1 to"),
        (["--runs", "pictures/00.png"], "pictures/00.png is no folder"),
        (["--cache", "pictures/00.png/deep"], "cannot make pictures/00.png/deep"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(
    folder: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    change: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(folder.parent)
    others = folder.parent / "others"
    others.mkdir()
    for i in range(9):
        Image.fromarray(smooth(64, 64, 50 + i)).save(others / f"{i}.png")
    options = {
        "--x": "pictures",
        "--y": "others",
        "--messages": "pictures",
        "--preset": "tiny",
        "--steps": "1",
    }
    options |= {"--out": "w.safetensors", "--cache": "cache", change[0]: change[1]}
    result = run("train", *[word for pair in options.items() for word in pair])
    assert result.status == (1 if change in ONE else 2)
    assert words in result.err
    assert "Traceback" not in result.err
    assert not Path("w.safetensors").exists()


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("egan.train.recipes.egan.train_key_network", "no memory for K's training"),
        (
            "egan.train.recipes.egan.EganMethod.step",
            "no memory for a batch of 6\negan: hint: try --batch 3; ",
        ),
    ],
)
@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("not enough memory: you tried to allocate")]
)
def test_no_memory_says_for_what_and_what_to_try(
    folder: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    words: str,
    error: Exception,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.chdir(folder.parent)
    Path("others").mkdir()
    for i in range(9):
        Image.fromarray(smooth(64, 64, 50 + i)).save(f"others/{i}.png")
    monkeypatch.setattr(where, fails)
    result = run(
        "train",
        "--x",
        "pictures",
        "--y",
        "others",
        "--messages",
        "pictures",
        "--preset",
        "tiny",
        "--batch",
        "6",
        "--set",
        "key_steps=1",
        "--steps",
        "1",
        "--out",
        "w.safetensors",
        "--cache",
        "cache",
        "--quiet",
    )
    assert (result.status, "Traceback" in result.err) == (1, False)
    assert words in result.err
    assert not Path("w.safetensors").exists()


def test_runs_keep_out_of_each_others_folders(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("others").mkdir()
    for i in range(9):
        Image.fromarray(smooth(64, 64, 50 + i)).save(f"others/{i}.png")
    train = (
        "train",
        "--x",
        "pictures",
        "--y",
        "others",
        "--messages",
        "pictures",
        "--cache",
        "cache",
        "--preset",
        "tiny",
        "--batch",
        "2",
        "--set",
        "key_steps=1",
        "--set",
        "width=8",
        "--set",
        "key_width=4",
        "--set",
        "discriminator_width=4",
    )
    checkpoint, log = Path("runs/w/checkpoint.safetensors"), Path("runs/w/log.jsonl")

    def refused(*options: str, words: str) -> None:
        before = {
            path: path.read_bytes() for path in Path().rglob("*") if path.is_file()
        }
        result = run(*train, *options)
        assert (result.status, words in result.err) == (1, True), result.err
        assert {
            path: path.read_bytes() for path in Path().rglob("*") if path.is_file()
        } == before

    assert run(*train, "--steps", "2", "--out", "w.safetensors").status == 0
    assert len(log.read_text().splitlines()) == 1
    assert run(*train, "--steps", "1", "--out", "another.safetensors").status == 0
    assert Path("runs/another/checkpoint.safetensors").exists()

    Path("w.safetensors").unlink()
    words = "runs/w/checkpoint.safetensors of another run exists already"
    refused("--steps", "1", "--out", "w.safetensors", words=words)
    other = ("--resume", "runs/another/checkpoint.safetensors", "--runs", "runs/w")
    refused("--steps", "2", *other, "--out", "w.safetensors", words=words)
    resume = ("--resume", str(checkpoint))
    assert run(*train, "--steps", "5", *resume, "--out", "w.safetensors").status == 0
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [2, 5]
    assert run(*train, "--steps", "1", "--out", "w.safetensors", "--force").status == 0
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [1], (
        "a new run has a new log"
    )

    with filelock.FileLock("runs/w/.lock"):
        refused(
            "--steps",
            "3",
            *resume,
            "--out",
            "v.safetensors",
            words="another run has runs/w",
        )
    resumed = run(
        *train, "--steps", "3", *resume, "--runs", "elsewhere", "--out", "v.safetensors"
    )
    assert resumed.status == 0
    assert Path("elsewhere/checkpoint.safetensors").exists()


def test_a_run_that_never_began_leaves_no_folder(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    Path("others").mkdir()
    for i in range(9):
        Image.fromarray(smooth(64, 64, 50 + i)).save(f"others/{i}.png")
    Path("no.safetensors").write_bytes(b"no checkpoint")
    failed = run(
        "train",
        "--x",
        "pictures",
        "--y",
        "others",
        "--messages",
        "pictures",
        "--cache",
        "cache",
        "--preset",
        "tiny",
        "--set",
        "width=8",
        "--resume",
        "no.safetensors",
        "--runs",
        "deep/down",
        "--out",
        "w.safetensors",
    )
    assert (failed.status, "cannot read checkpoint no.safetensors" in failed.err) == (
        1,
        True,
    )
    assert not Path("deep").exists()


class Distance(torch.nn.Module):
    """In place of LPIPS: pictures (N, 3, H, W) to (N, 1, 1, 1)."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a - b).abs().mean((1, 2, 3), keepdim=True)


def test_the_perceptual_loss_is_there_without_being_asked_for(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its network is torchvision's, which a machine offline has to do without: said, recorded, and not changed on the way."""
    monkeypatch.chdir(folder.parent)
    Path("others").mkdir()
    for i in range(9):
        Image.fromarray(smooth(64, 64, 50 + i)).save(f"others/{i}.png")
    train = (
        "train",
        "--x",
        "pictures",
        "--y",
        "others",
        "--messages",
        "pictures",
        "--cache",
        "cache",
        "--preset",
        "tiny",
        "--batch",
        "2",
        "--set",
        "key_steps=1",
        "--set",
        "width=8",
        "--force",
        "--out",
        "w.safetensors",
    )
    asked = ("--set", "perceptual=1", "--set", "perceptual_x=1")

    def recorded() -> str:
        return json.loads(run("inspect", "--json", "w.safetensors").out)["training"][
            "perceptual_loss"
        ]

    offline = run(*train, *asked, "--steps", "1")
    assert offline.status == 0
    assert (
        "warning: training without the perceptual loss: no backbone for LPIPS-squeeze"
        in offline.err
    )
    assert recorded() == "none"
    refused = run(
        *train, *asked, "--steps", "1", "--lpips-backbone", "none.safetensors"
    )
    assert (refused.status, "no such file: none.safetensors" in refused.err) == (
        2,
        True,
    )
    refused = run(*train, "--steps", "1", "--lpips-backbone", "none.safetensors")
    assert (refused.status, "the perceptual loss has no weight" in refused.err) == (
        2,
        True,
    )

    monkeypatch.setattr(
        "egan.train.run.lpips_network", lambda net, backbone, device: Distance()
    )
    assert run(*train, *asked, "--steps", "1").status == 0
    assert recorded() == "LPIPS-squeeze"
    assert (
        run(
            *train, *asked, "--steps", "2", "--resume", "runs/w/checkpoint.safetensors"
        ).status
        == 0
    )
    monkeypatch.undo()
    monkeypatch.chdir(folder.parent)
    refused = run(
        *train, *asked, "--steps", "3", "--resume", "runs/w/checkpoint.safetensors"
    )
    assert refused.status == 1
    assert "was trained with perceptual loss LPIPS-squeeze, not none" in refused.err
