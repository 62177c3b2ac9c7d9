"""What the tests of the command line share: a tiny model that decodes without training, pictures, keys, and two ways to
run egan. `run` calls it inside of this process, so torch is imported once; `shell` runs what a person would type."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

# One thread for each worker, and for whatever it starts: set before numpy is imported.
os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from egan.core.encryptgan import EncryptGANNetworks

PATIENCE = 600
"""Seconds after which a process counts as stuck. No test says how long anything takes."""

Run = Callable[..., "Result"]
Shell = Callable[..., subprocess.CompletedProcess]


@pytest.fixture(scope="session", autouse=True)
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is downloaded by tests, nor by what they start, and nothing downloaded before is found."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TORCH_HOME", str(tmp_path_factory.mktemp("torch")))
        for name in ("http_proxy", "https_proxy"):
            patched.setenv(name, "http://127.0.0.1:9")  # discard: nobody answers
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `long` begin first, so that no core waits for one of them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> pytest.Collector | None:
    """Text files in folders named `sessions` are tests; see sessions.py."""
    if file_path.suffix != ".txt" or file_path.parent.name != "sessions":
        return None
    from sessions import SessionFile

    return SessionFile.from_parent(parent, path=file_path)


@dataclass
class Result:
    status: int
    out: bytes
    err: str

    @property
    def picture(self) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(self.out)))


class Stream(io.TextIOWrapper):
    """Text over bytes in memory, for a terminal or not."""

    def __init__(self, data: bytes = b"", terminal: bool = False) -> None:
        super().__init__(io.BytesIO(data), "utf-8", write_through=True)
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def text(self) -> bytes:
        self.flush()
        return self.buffer.getvalue()  # type: ignore[attr-defined]


def call(*arguments: object, stdin: bytes = b"", terminals: str = "") -> Result:
    """Run `egan ARGUMENTS` in this process. terminals: which of `in`, `out` and `err` are one, as in "in err"."""
    from egan.__main__ import main

    streams = {
        name: Stream(terminal=name[3:] in terminals.split())
        for name in ("stdout", "stderr")
    }
    streams["stdin"] = Stream(stdin, "in" in terminals.split())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.argv", ["egan", *map(str, arguments)])
        patched.setattr("egan.terminal.quiet", False)
        patched.setattr(
            "signal.signal", lambda *_: None
        )  # pytest keeps its own handlers
        for name, stream in streams.items():
            patched.setattr(sys, name, stream)
        with pytest.raises(SystemExit) as stopped:
            main()
    assert isinstance(stopped.value.code, int)
    return Result(
        stopped.value.code, streams["stdout"].text(), streams["stderr"].text().decode()
    )


@pytest.fixture
def run() -> Run:
    return call


@pytest.fixture
def shell(tmp_path: Path, weights: Path) -> Shell:
    """Run a line of bash in a fresh folder, with `egan` and the tiny weights at hand."""

    def shell(command: str) -> subprocess.CompletedProcess:
        """Standard input is empty; a status of a pipe is that of its last failure."""
        start = f'egan() {{ "{sys.executable}" -m egan "$@"; }}\nset -o pipefail\n'
        ours = {
            "EGAN_WEIGHTS": str(weights),
            "PYTHONUNBUFFERED": "",
        }
        return subprocess.run(
            ["bash", "-c", start + command],
            cwd=tmp_path,
            env=os.environ | ours,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    return shell


def smooth(height: int, width: int, seed: int) -> np.ndarray:
    """A smooth random picture, uint8 (height, width, 3)."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In dB, on RGB in [0, 1]."""
    error = np.mean((a / 255.0 - b / 255.0) ** 2)
    return float(-10 * np.log10(error + 1e-12))


def make_weights(path: Path, seed: int) -> Path:
    import torch

    from egan.core.encryptgan import EncryptGANNetworks
    from egan.core.options import ModelOptions
    from egan.core.tensors import to_unit
    from egan.train.starting_codec import start_codec

    torch.manual_seed(seed)
    options = ModelOptions(
        image_size=64, key_width=4, width=8, encoder_blocks=1, decoder_blocks=1
    )
    model = EncryptGANNetworks(options)
    composites = to_unit(np.stack([smooth(64, 64, 100 + i) for i in range(16)]))
    start_codec(model.F, model.G, composites, amplitude=12.0)  # type: ignore[arg-type]
    start_codec(model.G, model.F, composites, amplitude=12.0)  # type: ignore[arg-type]
    model.save(path, {"steps": 0})
    return path


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights file of 64x64 pictures that decodes well without training: only the starting codec."""
    return make_weights(tmp_path_factory.mktemp("weights") / "tiny.safetensors", 0)


@pytest.fixture
def tiny_model(weights: Path) -> EncryptGANNetworks:
    """The networks of those weights, in torch."""
    from egan.core.load import load_model

    return load_model(weights)  # type: ignore[return-value]


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_weights(tmp_path_factory.mktemp("weights") / "other.safetensors", 1)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A folder with face, flower and message, a key pair, another key pair, a composite and its disguise."""
    folder = tmp_path_factory.mktemp("made")
    sizes = {"face": (128, 128), "flower": (96, 96), "message": (24, 32)}
    for seed, (name, (height, width)) in enumerate(sizes.items()):
        Image.fromarray(smooth(height, width, seed)).save(folder / f"{name}.png")
    size = ("-q", "--size", 64, "--weights", weights)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        for command in (
            ("keygen", *size, "face.png", "flower.png"),
            (
                "keygen",
                *size,
                "flower.png",
                "face.png",
                "--pub",
                "pub2.png",
                "--priv",
                "priv2.png",
            ),
            (
                "compose",
                "face.png",
                "message.png",
                "--cover-size",
                64,
                "--at",
                "8,-16",
                "-o",
                "composite.png",
            ),
            (
                "encrypt",
                "--pub",
                "pub.png",
                "--weights",
                weights,
                "composite.png",
                "-o",
                "disguise.png",
            ),
        ):
            assert call(*command) == Result(0, b"", "")
    return folder


@pytest.fixture
def here(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path
) -> Path:
    """A fresh current folder with copies of everything in `made`, and $EGAN_WEIGHTS set."""
    for path in made.iterdir():
        shutil.copy(path, tmp_path)  # with its mode
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EGAN_WEIGHTS", str(weights))
    return tmp_path


def pixels(path: Path | str) -> np.ndarray:
    """A writable copy of a picture's pixels."""
    return np.array(Image.open(path).convert("RGB"))
