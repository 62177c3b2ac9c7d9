"""What a user waits for: whole processes of the daily commands, beside `import torch` in the same run, and how
much of a batch is spent in the networks. All of it on a CPU and with the weights that ship.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egan.core.inference import KeyedModel
from egan.core.load import load_model
from egan.core.model import Pictures
from egan.core.runtime import open_model
from egan.pictures import builtin
from egan.pictures.output import png_bytes
from egan.verbs.weights import find_weights

SIDE = 256
BATCH = 64
TORCH = "import torch"
# Name, arguments of Python, and the most that it may take of `import torch`
DAILY: tuple[tuple[str, list[str], float | None], ...] = (
    (TORCH, ["-c", TORCH], None),
    ("version", ["-m", "egan", "--version"], 0.02),
    (
        "keygen",
        ["-m", "egan", "keygen", "-q", "x.png", "y.png", "--pub", "{}-pub.png"]
        + ["--priv", "{}-priv.png"],
        0.25,
    ),
    ("compose", ["-m", "egan", "compose", "x.png", "m.png", "-o", "{}-c.png"], 0.12),
    (
        "encrypt",
        ["-m", "egan", "encrypt", "--pub", "0-pub.png", "0-c.png", "-o", "{}-d.png"],
        0.22,
    ),
    (
        "decrypt",
        ["-m", "egan", "decrypt", "--priv", "0-priv.png", "0-d.png", "-o", "{}-r.png"],
        0.22,
    ),
    ("wrong key", ["-m", "egan", "decrypt", "--priv", "other.png", "0-d.png"], 0.12),
    ("inspect", ["-m", "egan", "inspect", "0-d.png"], 0.12),
)
FAILS = {"wrong key"}
# A small process in between, since a child's peak begins with its parent's size.
TIMER = """
import json, os, resource, subprocess, sys, time
begin = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps([done.returncode, seconds, peak]))
"""


def measure_processes(repeats: int = 5) -> dict[str, Any]:
    """For each of DAILY median seconds and MiB at the peak, and the median over the
    repeats of its seconds divided by those of `import torch`. None for one that fails.
    """
    times: dict[str, list[float]] = {name: [] for name, _, _ in DAILY}
    peaks: dict[str, list[float]] = {name: [] for name, _, _ in DAILY}
    failed = set()
    with tempfile.TemporaryDirectory(prefix="egan-bench-") as place:
        folder = Path(place)
        for name, pixels in (
            ("x", builtin.portrait(SIDE)),
            ("y", builtin.flower(SIDE)),
            ("m", builtin.cat(64)),
        ):
            (folder / f"{name}.png").write_bytes(png_bytes(pixels))
        others = ["keygen", "-q", "y.png", "x.png", "--pub", "o.png"]
        run_one(["-m", "egan", *others, "--priv", "other.png"], folder)
        # The first turn writes bytecode, which an installation has from the start.
        for turn in range(repeats + 1):
            for name, arguments, _ in DAILY:
                filled = [argument.replace("{}", str(turn)) for argument in arguments]
                status, seconds, peak = run_one(filled, folder)
                if turn:
                    times[name].append(seconds)
                    peaks[name].append(peak)
                if bool(status) != (name in FAILS):
                    failed.add(name)
    found: dict[str, Any] = {}
    for name, _, limit in DAILY:
        pairs = zip(times[name], times[TORCH], strict=True)
        found[name] = None
        if name not in failed:
            found[name] = {
                "seconds": statistics.median(times[name]),
                "ratio": statistics.median(one / torch for one, torch in pairs),
                "peak_mib": max(peaks[name]),
                "limit": limit,
            }
    return found


def run_one(arguments: list[str], folder: Path) -> tuple[int, float, float]:
    """Exit status, seconds and MiB at the peak of one Python process on the CPU.

    It may keep bytecode, as pip does for what it installs.
    """
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-c", TIMER, sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=True,
    )
    status, seconds, peak = json.loads(done.stdout)
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return status, seconds, peak / unit


def measure_runtimes(count: int = BATCH, side: int = SIDE) -> dict[str, float]:
    """`runtimes_here` in a process of its own, with the threads that commands have."""
    program = (
        f"from {__name__} import *; print(json.dumps(runtimes_here({count}, {side})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def runtimes_here(count: int, side: int) -> dict[str, float]:
    """Of encrypting a batch on ONNX Runtime: seconds, all of it divided by what the
    networks take, and what they take divided by what they take on torch.
    """
    path = find_weights("egan")
    random = np.random.default_rng(0)

    def noise(*shape: int) -> Pictures:
        return random.integers(0, 256, shape, dtype=np.uint8)

    seconds = {}
    for name, model in (
        ("onnx", open_model(path, "cpu")),
        ("torch", load_model(path, "cpu")),
    ):
        assert isinstance(model, KeyedModel)
        pictures, key = noise(count, side, side, 3), noise(1, side, side, 3)
        streams = noise(count, *model.keystream_shape(side, side))
        keys = np.broadcast_to(key, pictures.shape)
        model.encrypt(pictures[:1], keys[:1], streams[:1])
        spent = Spent(model)
        begin = time.perf_counter()
        model.encrypt(pictures, keys, streams)
        seconds[name] = time.perf_counter() - begin, spent.seconds
    (whole, networks), (_, on_torch) = seconds["onnx"], seconds["torch"]
    return {
        "pictures": count,
        "seconds": whole,
        "batch_ratio": whole / networks,
        "pass_ratio": networks / on_torch,
    }


class Spent:
    """The seconds that a model's networks take from now on."""

    def __init__(self, model: KeyedModel) -> None:
        self.seconds = 0.0
        self.run = model.run
        model.run = self.timed  # type: ignore[method-assign]

    def timed(self, stage: str, *inputs: NDArray) -> list[NDArray]:
        begin = time.perf_counter()
        made = self.run(stage, *inputs)
        self.seconds += time.perf_counter() - begin
        return made


def process_lines(processes: dict[str, Any], runtimes: dict[str, float]) -> list[str]:
    """Both measurements for people."""
    lines = ["whole processes on the CPU, divided by import torch in the same run:"]
    for name, found in processes.items():
        if found is None:
            lines.append(f"{name}: failed")
            continue
        most = f" (at most {found['limit']})" if found["limit"] else ""
        lines.append(
            f"{name}: {found['seconds']:.3f} s, {found['ratio']:.3f}{most}, {found['peak_mib']:.0f} MiB"
        )
    lines.append(
        f"batch of {runtimes['pictures']:.0f}: {runtimes['seconds']:.2f} s, {runtimes['batch_ratio']:.3f} of the networks' "
        f"time (at most 1.15); the networks take {runtimes['pass_ratio']:.3f} of their time on torch (at most 1)"
    )
    return lines
