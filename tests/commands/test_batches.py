"""Many files: names, folders, patterns and lists; one bad among them; several processes; memory that stays flat."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PATIENCE, Run, smooth
from PIL import Image

from egan.commands import batches, inputs
from egan.core.inference import KeyedModel
from egan.errors import EganError
from egan.pictures.sources import Source
from egan.verbs.batching import batches as in_batches
from egan.verbs.job import Job

ENCRYPT = ("encrypt", "--pub", "pub.png")


@pytest.fixture
def several(here: Path) -> Path:
    """A folder `in` of composites, with a folder below it, a file that is no picture, and a hidden one; and `out`."""
    for name in ("in", "in/deep", "out", "back"):
        Path(name).mkdir()
    for name in ("a", "b", "deep/a", "deep/c"):
        shutil.copy("composite.png", f"in/{name}.png")
    Path("in/readme.txt").write_text("no picture")
    shutil.copy("composite.png", "in/.hidden.png")
    return here


def below(folder: str) -> list[str]:
    return sorted(
        str(path.relative_to(folder))
        for path in Path(folder).rglob("*")
        if path.is_file()
    )


def test_large_pictures_go_in_smaller_batches() -> None:
    def sizes(side: int) -> list[int]:
        jobs = [Job("x", np.empty((side, side, 3), np.uint8)) for _ in range(9)]
        return [len(run) for run in in_batches(jobs, lambda job: 8)]

    assert [sizes(64), sizes(256), sizes(512), sizes(2048)] == [
        [8, 1],
        [8, 1],
        [2, 2, 2, 2, 1],
        [1] * 9,
    ]


def test_a_batch_too_large_for_the_memory_stops_nobody(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = KeyedModel.paint

    def paint(self: KeyedModel, side: str, pictures: np.ndarray, *rest: Any) -> Any:
        if pictures.shape[1] == 80:
            np.empty(2**50)
        return real(self, side, pictures, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(KeyedModel, "paint", paint)
    Path("out").mkdir()
    Image.fromarray(smooth(80, 80, 0)).save("large.png")
    done = run(*ENCRYPT, "large.png", "composite.png", "-d", "out")
    assert (
        done.status == 1
        and "not enough memory for 1 of 80x80 pixels: large.png" in done.err
    )
    assert below("out") == ["composite.png"]
    alone = run(*ENCRYPT, "large.png")
    assert alone.status == 1
    assert alone.err.startswith("egan: error: not enough memory for 1 of 80x80 pixels")


def test_a_list_holds_names_with_any_characters(run: Run, several: Path) -> None:
    odd = "in/with space\nand line.png"
    shutil.copy("composite.png", odd)
    listed = b"\0".join((b"in/a.png", odd.encode(), b""))
    done = run(*ENCRYPT, "--files0-from", "-", "-d", "out", stdin=listed)
    assert (done.status, done.err) == (0, "")
    assert below("out") == ["a.png", "with space\nand line.png"]
    Path("list").write_bytes(listed)
    assert run(*ENCRYPT, "--files0-from", "list", "-d", "out", "--force").status == 0


def test_bad_ones_are_named_at_the_end(run: Run, several: Path) -> None:
    Path("in/a.png").write_bytes(b"no picture")
    Image.fromarray(smooth(60, 60, 1)).save("in/b.png")
    done = run(*ENCRYPT, "in", "-d", "out", terminals="err")
    assert done.status == 1
    ends = [line for line in done.err.split("\n") if "egan: " in line]
    assert len(ends) == 5 and ends[0].endswith(
        "in/a.png is not a picture that can be read"
    )
    assert ends[2].startswith("egan: error: in/b.png is 60x60 pixels")
    assert ends[4] == "egan: error: 2 of 4 files failed"
    assert below("out") == ["deep/a.png", "deep/c.png"]


def test_names_that_a_terminal_would_obey_are_shown_as_codes(
    run: Run, here: Path
) -> None:
    name = "in\x1b[2J\u202egnp.png"
    done = run("inspect", name)
    assert (
        done.err
        == "egan: error: cannot read in\\x1b[2J\\u202egnp.png: no such file or directory\n"
    )
    shutil.copy("face.png", name)
    assert b"\x1b" not in run("inspect", name).out
    done = run("inspect", os.fsdecode(b"\xff.png"))
    assert (
        done.err == "egan: error: cannot read \\udcff.png: no such file or directory\n"
    )


# Several processes


def test_shares_are_whole_and_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [Source(str(i), str(i)) for i in range(11)]
    shares = []
    for rank in range(3):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        shares += list(batches.my_share(sources))
    assert sorted(shares, key=lambda s: int(s.path)) == sources
    monkeypatch.setenv("RANK", "3")
    assert batches.my_share(sources) == sources  # not of this job
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(EganError, match="torchrun is for many files"):
        inputs.find(["x.png"], output="y.png")


@pytest.mark.long
def test_torchrun_splits_a_job(several: Path, weights: Path) -> None:
    Path("in/a.png").write_bytes(b"no picture")
    command = [
        *(
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--nproc-per-node",
            "2",
            "--standalone",
            "-m",
            "egan",
        ),
        *(*ENCRYPT, "in", "-d", "out", "--device", "cpu"),
    ]
    ours = os.environ | {"EGAN_WEIGHTS": str(weights), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=ours, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode != 0
    assert below("out") == [
        "b.png",
        "deep/a.png",
        "deep/c.png",
    ]  # the bad one stopped nobody
    assert done.stderr.count("in/a.png is not a picture that can be read") == 1
    assert "egan: error: 1 of 4 files failed" in done.stderr


# Memory


@pytest.mark.long
def test_memory_stays_flat(here: Path, weights: Path) -> None:
    """128 pictures more: kept as arrays, the disguises alone would take 6 MB, and with all that is made of them 25 MB.

    Python's and numpy's own memory is counted to the byte. Of the whole process only the peak is known,
    so malloc gets one arena and returns every large block at once; else that peak moves by tens of MB from run to run.
    """
    Image.fromarray(smooth(128, 128, 5)).save("large.png")
    peaks = []
    for count in (24, 152):
        Path(f"in{count}").mkdir()
        Path(f"out{count}").mkdir()
        for i in range(count):
            os.link("large.png", f"in{count}/{i}.png")
        program = (
            "import tracemalloc; from egan.__main__ import main; import egan.core.onnx_model\n"
            "tracemalloc.start()\n"
            "try: main()\n"
            "finally: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], "
            "tracemalloc.get_traced_memory()[1] // 1024)"
        )
        command = [
            sys.executable,
            "-c",
            program,
            *ENCRYPT,
            f"in{count}",
            "-d",
            f"out{count}",
            "--device",
            "cpu",
        ]
        ours = {"EGAN_WEIGHTS": str(weights), "OMP_NUM_THREADS": "1"}
        malloc = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
        done = subprocess.run(
            command,
            env=os.environ | ours | malloc,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        assert len(os.listdir(f"out{count}")) == count
        peaks.append([int(n) for n in done.stdout.split()])
    (few, few_traced), (many_, many_traced) = peaks
    # In KiB, the process and Python's share. They moved by 512 and 121 at most in seven runs; the PNGs alone, kept in a list,
    # would be 4,000 more.
    assert many_ < few + 3_000
    assert many_traced < few_traced + 1_000
