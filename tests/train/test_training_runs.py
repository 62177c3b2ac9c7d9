"""What becomes of a run as a person drives it: gone on with, interrupted, diverged, asked for what cannot be."""

import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Run, call, smooth
from PIL import Image

from egan.errors import EganError
from egan.train.recipes.egan import EganMethod
from egan.train.run_folder import LOG
from egan.train.trainer import Journal

Train = Callable[..., tuple[int, str]]
SMALL = {"key_steps": 2, "width": 8, "key_width": 4, "discriminator_width": 4}


SETTINGS = [
    word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")
]
BEGIN = ("--preset", "tiny", "--batch", "2", *SETTINGS)


def trained(*words: object) -> tuple[int, str]:
    """`egan train` on the pictures of the current folder: exit status and standard error."""
    done = call(
        "train", "--x", "x", "--y", "y", "--messages", "m", "--cache", "cache", *words
    )
    assert "Traceback" not in done.err
    return done.status, done.err


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine small pictures of each kind, and a run of two steps on them: w.safetensors, its checkpoint in runs/w."""
    folder = tmp_path_factory.mktemp("example")
    for j, kind in enumerate(("x", "y", "m")):
        (folder / kind).mkdir()
        for i in range(9):
            Image.fromarray(smooth(64, 64, 10 * j + i)).save(folder / kind / f"{i}.png")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert trained(*BEGIN, "--steps", 2, "--out", "w.safetensors")[0] == 0
    return folder


@pytest.fixture
def train(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """`trained`, in a fresh folder with the pictures alone."""
    for kind in ("x", "y", "m"):
        shutil.copytree(example / kind, tmp_path / kind)
    monkeypatch.chdir(tmp_path)
    return trained


@pytest.fixture
def begun(example: Path, train: Train) -> tuple[str, ...]:
    """The options of the run of two steps, which is here as well."""
    shutil.copytree(example / "runs", "runs")
    shutil.copy(example / "w.safetensors", ".")
    return BEGIN


RESUME = ("--resume", "runs/w/checkpoint.safetensors")


def facts(run: Run, name: str) -> dict:
    return json.loads(run("inspect", "--json", name).out)["training"]


def test_a_run_goes_on_with_the_options_that_it_began_with(
    train: Train, begun: tuple, run: Run
) -> None:
    assert train(*begun, "--steps", 4, "--out", "whole.safetensors")[0] == 0
    status, said = train(*RESUME, "--steps", 4, "--out", "rest.safetensors")
    assert status == 0 and "warning" not in said
    one, two = facts(run, "whole.safetensors"), facts(run, "rest.safetensors")
    assert one["options"] == two["options"] and two["options"]["batch"] == 2
    assert (two["step"], two["pairs"]) == (4, 8)


def test_the_same_seed_makes_the_same_file(train: Train, begun: tuple) -> None:
    assert train(*begun, "--steps", 2, "--out", "again.safetensors")[0] == 0
    assert Path("w.safetensors").read_bytes() == Path("again.safetensors").read_bytes()


def test_options_that_a_run_began_without_are_named(
    train: Train, begun: tuple, run: Run
) -> None:
    status, said = train(*RESUME, "--steps", 3, "--batch", 4, "--out", "v.safetensors")
    assert status == 0
    assert "warning: this run began with batch = 2 and goes on with 4" in said
    assert facts(run, "v.safetensors")["pairs"] == 2 * 2 + 4
    refused = train(*RESUME, "--steps", 4, "--seed", 9, "--out", "u.safetensors")
    assert refused[0] == 2 and "this run began with seed 0" in refused[1]
    other = train(
        *RESUME,
        "--set",
        "discriminator_width=8",
        "--steps",
        4,
        "--out",
        "u.safetensors",
    )
    assert other[0] == 1 and "lacks a part, or is of other networks" in other[1]
    architecture = train(
        *RESUME, "--preset", "tiny", "--steps", 4, "--out", "u.safetensors"
    )
    assert architecture[0] == 1 and "another method or architecture" in architecture[1]
    assert not Path("u.safetensors").exists()


def test_a_budget_that_is_used_up_is_said(train: Train, begun: tuple) -> None:
    status, said = train(*RESUME, "--steps", 1, "--out", "v.safetensors")
    assert status == 0 and "nothing is left to train after step 2" in said


def test_steps_take_the_place_of_minutes(train: Train, begun: tuple, run: Run) -> None:
    assert (
        train(*RESUME, "--minutes", 0.0001, "--out", "v.safetensors", "--runs", "v")[0]
        == 0
    )
    assert (
        train(
            "--resume",
            "v/checkpoint.safetensors",
            "--steps",
            5,
            "--out",
            "u.safetensors",
        )[0]
        == 0
    )
    assert facts(run, "u.safetensors")["step"] == 5


def test_a_run_that_diverges_at_once_can_go_on_from_its_beginning(train: Train) -> None:
    rates = (
        "--set",
        "learning_rate=1e30",
        "--set",
        "discriminator_rate=1e30",
        "--set",
        "warmup=1",
    )
    status, said = train(
        "--preset",
        "tiny",
        "--set",
        "key_steps=2",
        *rates,
        "--steps",
        4,
        "--out",
        "w.safetensors",
    )
    assert (
        status == 1
        and "training diverged" in said
        and "the last good state is in runs/w" in said
    )
    calm = ("--set", "learning_rate=1e-4", "--set", "discriminator_rate=1e-4")
    assert train(*RESUME, *calm, "--steps", 1, "--out", "w.safetensors")[0] == 0


def test_whoever_interrupts_the_learning_of_keys_is_told(
    train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("egan.train.recipes.egan.train_key_network", interrupted)
    status, said = train("--preset", "tiny", "--steps", 4, "--out", "w.safetensors")
    assert status == 130
    assert said.endswith(
        "stopped before the first step: nothing was saved\negan: error: interrupted\n"
    )
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (
            "--from w.safetensors --preset paper",
            "of the family egan, not of preset paper",
        ),
        (
            "--from w.safetensors --set public_layers=3,5,6",
            "K has public_layers = (1, 2, 3)",
        ),
        (
            "--from runs/w/checkpoint.safetensors",
            "is a training checkpoint, and no weights file",
        ),
        ("--from nothing.safetensors", "no weights file nothing.safetensors"),
        ("--resume nothing.safetensors", "there is no such file"),
        ("--resume w.safetensors", "is not a training checkpoint of this version"),
    ],
)
def test_what_does_not_go_together(
    words: str, cause: str, train: Train, begun: tuple
) -> None:
    status, said = train(*words.split(), "--steps", 1, "--out", "v.safetensors")
    assert status in (1, 2) and cause in said and "hint: " in said
    assert not Path("v.safetensors").exists() and not Path("runs/v").exists()


def test_weights_that_cannot_be_handed_over_are_not_lost(
    train: Train, begun: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no full device")
    status, said = train(*RESUME, "--steps", 3, "--out", "/dev/full")
    assert status == 1 and "hint: the weights are in runs/w/weights.safetensors" in said


def test_a_run_goes_on_from_its_checkpoint_alone(
    train: Train, begun: tuple, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From any folder, with the pictures, the cache and the output that it began with."""
    checkpoint = Path("runs/w/checkpoint.safetensors").absolute()
    assert train(*begun, "--steps", 2, "--out", "own.safetensors")[0] == 0
    own = Path("runs/own/checkpoint.safetensors").absolute()
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    done = call("train", "--resume", own, "--steps", 3)
    assert done.status == 1 and "own.safetensors exists already" in done.err
    done = call("train", "--resume", own, "--steps", 3, "--force")
    assert (done.status, "Traceback" in done.err) == (0, False), done.err
    assert facts(run, "../own.safetensors")["step"] == 3
    assert not list(Path().iterdir())
    named = ("--x", "../x", "--out", "v.safetensors")
    done = call("train", "--resume", checkpoint, *named, "--steps", 3)
    assert done.status == 0 and facts(run, "v.safetensors")["step"] == 3


def test_what_a_new_run_needs_is_named(train: Train) -> None:
    done = call("train", "--x", "x", "--y", "y", "--out", "w.safetensors")
    assert done.status == 2 and "missing option '--messages'" in done.err


def test_an_interrupted_run_prints_the_command_that_goes_on(
    train: Train, begun: tuple, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = EganMethod.step

    def struck(self: EganMethod, number: int) -> dict:
        if number == 3:
            raise KeyboardInterrupt
        return real(self, number)

    monkeypatch.setattr(EganMethod, "step", struck)
    words = (*begun, "--steps", 4, "--device", "cpu", "--runs", "a b")
    status, said = train(*words, "--out", "v.safetensors")
    assert status == 130
    (line,) = [line for line in said.splitlines() if line.startswith("stopped")]
    command = line.removeprefix("stopped at step 3; go on with: ")
    told = "egan train --resume 'a b/checkpoint.safetensors' --device cpu"
    assert command == told
    monkeypatch.setattr(EganMethod, "step", real)
    assert call(*shlex.split(command)[1:]).status == 0
    assert facts(run, "v.safetensors")["step"] == 4


def test_mistakes_are_told_before_torch_is_loaded(train: Train) -> None:
    given = {"--x": "x", "--y": "y", "--messages": "m", "--out": "v.safetensors"}
    mistakes = {
        "--x": "nowhere",
        "--set": "phases=zero",
        "--preset": "huge",
        "--method": "nothing",
        "--device": "tpu",
        "--from": "nothing.safetensors",
        "--resume": "nothing.safetensors",
        "--lpips-backbone": "nothing.safetensors",
        "--limit": "3",
        "--out": "nowhere/w.safetensors",
    }
    lines = [
        [word for pair in (given | {option: value}).items() for word in pair]
        for option, value in mistakes.items()
    ]
    code = (
        "import sys\n"
        "from egan import terminal\n"
        "from egan.commands.app import start\n"
        "found = open('found', 'w')\n"
        f"for line in {lines!r}:\n"
        "    sys.argv = ['egan', 'train', *line]\n"
        "    print(terminal.run(start), 'torch' in sys.modules, file=found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    found = [line.split() for line in Path("found").read_text().splitlines()]
    assert len(found) == len(mistakes), done.stderr
    for option, (status, torch) in zip(mistakes, found, strict=True):
        assert status in ("1", "2") and torch == "False", option
    assert done.stderr.count("egan: error: ") == len(mistakes)


def test_decoded_pictures_are_for_their_owner_alone(train: Train, begun: tuple) -> None:
    assert train(*begun, "--steps", 1, "--out", "v.safetensors")[0] == 0
    assert Path("cache").stat().st_mode & 0o777 == 0o700
    kept = [path.stat().st_mode & 0o777 for path in Path("cache").iterdir()]
    assert kept and set(kept) == {0o600}


def test_a_log_takes_the_place_of_no_private_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOG).write_bytes(b"a key")
    monkeypatch.setattr("egan.pictures.atomic.protected", lambda _path: True)
    with pytest.raises(EganError, match="a private key is never overwritten"):
        Journal(tmp_path, writes=True, goes_on=False)
    assert (tmp_path / LOG).read_bytes() == b"a key"
