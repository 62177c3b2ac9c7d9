"""Training in several processes, started by torchrun as a person would, against one
process with the same batch.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import PATIENCE, call, smooth
from PIL import Image
from safetensors.numpy import load_file

from egan.errors import EganError
from egan.train.distributed import Place, joined

EXACT = [
    "noise=0",
    "input_noise=0",
    "wrong_key=0",
    "grain=0",
    "grain_on_real=false",
    "bf16=false",
    "warmup=1",
]
SMALL = [
    "width=8",
    "key_width=4",
    "key_steps=4",
    "discriminator_width=4",
    "learning_rate=0.0005",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("processes")
    for j, kind in enumerate(("faces", "flowers", "digits")):
        (root / kind).mkdir()
        for i in range(8):
            Image.fromarray(smooth(64, 64, 20 * j + i)).save(root / kind / f"{i}.png")
    return root


def words(out: str, batch: int = 4) -> list[str]:
    """The options of a run of three steps, for `egan train`."""
    pictures = "--x faces --y flowers --messages digits --cache cache"
    budget = f"--preset tiny --steps 3 --batch {batch}"
    settings = [word for s in EXACT + SMALL for word in ("--set", s)]
    outputs = ["--runs", f"{out}-runs", "--out", f"{out}.safetensors"]
    return [*pictures.split(), *budget.split(), *settings, *outputs]


def train_in_two_processes(folder: Path, out: str) -> subprocess.CompletedProcess:
    launcher = "torch.distributed.run --standalone --nproc-per-node 2 -m egan train"
    return subprocess.run(
        [sys.executable, "-m", *launcher.split(), *words(out)],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def distance(folder: Path, a: str, b: str) -> float:
    """The root mean square difference of two weights files."""
    one, two = (load_file(folder / f"{n}.safetensors") for n in (a, b))
    squares = [np.square(one[k].astype(np.float64) - two[k]).ravel() for k in one]
    return float(np.sqrt(np.concatenate(squares).mean()))


@pytest.mark.long
def test_two_processes_train_what_one_trains(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control has the same start, and half of the batch, as each process would have
    without the other.
    """
    result = train_in_two_processes(folder, "two")
    assert result.returncode == 0, result.stderr
    monkeypatch.chdir(folder)
    for out, batch in (("one", 4), ("half", 2)):
        done = call("train", "--device", "cpu", *words(out, batch))
        assert done.status == 0, done.err
    assert distance(folder, "one", "two") < 0.1 * distance(folder, "one", "half")
    assert sorted(p.name for p in (folder / "two-runs").iterdir()) == sorted(
        p.name for p in (folder / "one-runs").iterdir()
    )


def test_a_batch_that_cannot_be_shared_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    words = "train --preset tiny --x faces --y flowers --messages digits --batch 3"
    done = call(*words.split(), "--out", "odd.safetensors", "--cache", "cache")
    assert done.status == 2
    assert "a batch of 3 cannot be shared by 2 processes" in done.err
    assert not (folder / "odd.safetensors").exists()


@pytest.mark.long
def test_a_dead_process_ends_the_run_with_words_and_its_last_checkpoint(
    folder: Path,
) -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            "2",
            "-m",
            *[
                "egan",
                "train",
                "--preset",
                "tiny",
                "--x",
                "faces",
                "--y",
                "flowers",
                "--messages",
                "digits",
                "--steps",
                "100000",
                "--batch",
                "4",
            ],
            *[
                "--cache",
                "cache",
                "--runs",
                "dead-runs",
                "--out",
                "dead.safetensors",
                "--set",
                "save_minutes=0.0",
            ],
            *(w for s in SMALL for w in ("--set", s)),
        ],
        cwd=folder,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        checkpoint = folder / "dead-runs" / "checkpoint.safetensors"
        begin = time.monotonic()
        while not checkpoint.exists() and time.monotonic() - begin < PATIENCE:
            time.sleep(0.1)
        children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        second = [
            c
            for c in children
            if b"RANK=1" in Path(f"/proc/{c}/environ").read_bytes().split(b"\0")
        ]
        assert len(second) == 1
        os.kill(int(second[0]), signal.SIGKILL)
        _, words = run.communicate(timeout=PATIENCE)
    assert run.returncode != 0
    assert (
        "egan: error: process 0 lost the other processes of the run" in words
        or "interrupted" in words
    )
    assert load_file(checkpoint)
    assert not (folder / "dead.safetensors").exists()
    assert not list((folder / "dead-runs").glob("*.part"))


def test_processes_that_torchrun_did_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    # Of something else.
    monkeypatch.setenv("WORLD_SIZE", "2")
    with joined(cpu) as found:
        assert found == (Place(), cpu)
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(EganError, match="not MASTER_ADDR") as caught, joined(cpu):
        pytest.fail("alone, and yet one of two")
    assert caught.value.status == 2 and "torchrun" in caught.value.hint
