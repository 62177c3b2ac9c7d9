"""How fast: seconds, multiply-accumulates, parameters and memory, beside CycleGAN's
ResNet-9 in the same run.

Times are of whole passes from uint8 pictures to uint8 pictures. Repeats are
interleaved, so a busy machine slows all three alike, and a ratio is the median of the
ratios within each repeat.
"""

from __future__ import annotations

import functools
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from egan.bench.processes import (
    measure_processes,
    measure_runtimes,
    process_lines,
)
from egan.bench.training_speed import measure_training, training_line
from egan.core.model import Model, Pictures
from egan.core.resnet import ResNetGenerator
from egan.core.tensors import to_bytes, to_unit
from egan.core.torch_model import TorchModel

# A pass over a batch of so many pictures.
Pass = Callable[[int], object]

RESNET_WIDTH = 64
BATCHES = {"cpu": (1, 2, 4, 8), "cuda": (1, 4, 16, 64)}
VERBS = (
    "keygen",
    "compose",
    "encrypt",
    "decrypt",
    "sign",
    "verify",
    "inspect",
    "train",
    "bench",
    "demo",
)
COMMANDS = {
    "python": ["-c", "pass"],
    "version": ["-m", "egan", "--version"],
    **{verb: ["-m", "egan", verb, "--help"] for verb in VERBS},
    # A command that passes pictures through networks pays at least this on torch.
    "torch": [
        "-c",
        "import torch",
    ],
}


def gmac(run: Callable[[], object]) -> float:
    """Billions of multiply-accumulates of convolutions and matrix products in `run`:
    half of torch's FLOP count.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        run()
    return counter.get_total_flops() / 2e9


def passes(model: Model, side: int) -> dict[str, Pass]:
    """Encrypt and decrypt as functions of a batch size, on fixed random pictures of
    side x side pixels.
    """
    random = np.random.default_rng(0)

    def noise(*shape: int) -> Pictures:
        return random.integers(0, 256, shape, dtype=np.uint8)

    picture, key = noise(1, side, side, 3), noise(1, side, side, 3)
    k = noise(1, *model.keystream_shape(side, side)) if model.locked else None

    def several(array: Pictures, n: int) -> Pictures:
        return np.repeat(array, n, 0)

    def stream(n: int) -> Pictures | None:
        return None if k is None else several(k, n)

    return {
        "encrypt": lambda n: model.encrypt(
            several(picture, n), several(key, n), stream(n)
        ),
        "decrypt": lambda n: model.decrypt(
            several(picture, n), several(key, n), stream(n)
        ),
    }


def resnet_pass(device: torch.device, side: int) -> tuple[nn.Module, Pass]:
    """A plain ResNet-9 generator of width 64, 3 channels in, float32, and its pass on
    the same kind of pictures.
    """
    network = (
        ResNetGenerator(3, RESNET_WIDTH, 9).eval().requires_grad_(False).to(device)
    )
    network = network.to(memory_format=torch.channels_last)
    picture = np.random.default_rng(0).integers(
        0, 256, (1, side, side, 3), dtype=np.uint8
    )

    @torch.inference_mode()
    def run(n: int) -> Pictures:
        return to_bytes(network(to_unit(np.repeat(picture, n, 0), device)))

    return network, run


def seconds(run: Pass, batch: int) -> float:
    """Wall-clock seconds per picture of one pass; the pass ends in numpy, so the device
    has finished.
    """
    begin = time.perf_counter()
    run(batch)
    return (time.perf_counter() - begin) / batch


def measure_gmac(model: Model, side: int) -> float:
    """GMAC of encrypt and decrypt together, per picture of side x side pixels."""
    return sum(gmac(lambda run=run: run(1)) for run in passes(model, side).values())  # type: ignore[misc]


def measure_speed(model: TorchModel, side: int, repeats: int = 7) -> dict[str, Any]:
    """Everything above for one model on its device, as one JSON object; `*_ratio` is
    ours divided by ResNet-9's.
    """
    device = model.device
    network, resnet = resnet_pass(device, side)
    runs = {**passes(model, side), "resnet9": resnet}
    out: dict[str, Any] = {
        name: {"gmac": gmac(functools.partial(run, 1))} for name, run in runs.items()
    }
    for name, modules in {**model.parts(), "resnet9": [network]}.items():
        out[name]["parameters"] = sum(
            p.numel() for module in modules for p in module.parameters()
        )
    for name, run in runs.items():
        out[name]["peak_memory_mib"] = peak_memory(run, device)
        found = {
            batch: min(seconds(run, batch) for _ in range(2))
            for batch in BATCHES[device.type]
        }
        out[name]["best_batch"] = min(found, key=lambda batch: found[batch])
    best = {name: out[name]["best_batch"] for name in runs}
    for label, batches in (("batch1", dict.fromkeys(runs, 1)), ("best", best)):
        times = [
            {name: seconds(run, batches[name]) for name, run in runs.items()}
            for _ in range(repeats)
        ]
        for name in runs:
            out[name][f"seconds_{label}"] = statistics.median(t[name] for t in times)
            ratios = (t[name] / t["resnet9"] for t in times)
            out[name][f"{label}_ratio"] = statistics.median(ratios)
    for name in runs:
        out[name]["gmac_ratio"] = out[name]["gmac"] / out["resnet9"]["gmac"]
    out |= {
        "device": f"{device.type}: {where_it_ran(device)}",
        "dtype": "float32",
        "size": side,
        "repeats": repeats,
        "peak_memory_of": "allocations of a pass of one picture, weights included"
        if device.type == "cuda"
        else "the whole process so far",
        "startup_seconds": measure_startup(),
        "processes": measure_processes(),
        "runtimes": measure_runtimes(),
        "training": measure_training(model, side),
    }
    return out


def where_it_ran(device: torch.device) -> str:
    """The name of the GPU, or the number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{torch.get_num_threads()} threads"


def peak_memory(run: Pass, device: torch.device) -> float:
    """MiB: CUDA's peak of one pass; on the CPU the high-water mark of the process,
    which never falls.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        run(1)
        return torch.cuda.max_memory_allocated(device) / 2**20
    run(1)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def measure_startup(repeats: int = 3) -> dict[str, float | None]:
    """Median seconds of starting every command for its help, interleaved; None for one
    that fails.
    """
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    failed = set()
    for _ in range(repeats):
        for name, arguments in COMMANDS.items():
            begin = time.perf_counter()
            done = subprocess.run(
                [sys.executable, *arguments], capture_output=True, check=False
            )
            times[name].append(time.perf_counter() - begin)
            if done.returncode:
                failed.add(name)
    return {
        name: None if name in failed else statistics.median(t)
        for name, t in times.items()
    }


def speed_lines(speed: dict[str, Any]) -> list[str]:
    """The object of `measure_speed` for people."""
    lines = [
        f"speed on {speed['device']}, {speed['size']}x{speed['size']}, {speed['dtype']}, median of {speed['repeats']}"
    ]
    for name in ("encrypt", "decrypt", "resnet9"):
        f = speed[name]
        lines.append(
            f"{name}: {f['gmac']:.2f} GMAC ({f['gmac_ratio']:.3f}), {f['parameters'] / 1e6:.2f} M parameters, "
            f"batch 1 {f['seconds_batch1']:.4f} s ({f['batch1_ratio']:.3f}), "
            f"batch {f['best_batch']} {f['seconds_best']:.4f} s ({f['best_ratio']:.3f}), "
            f"{f['peak_memory_mib']:.0f} MiB"
        )
    lines.append(
        "in brackets: divided by resnet9; memory is " + speed["peak_memory_of"]
    )
    starts = (
        "-" if v is None else f"{v:.3f} s" for v in speed["startup_seconds"].values()
    )
    lines.append(
        "start-up: "
        + ", ".join(
            f"{n} {v}" for n, v in zip(speed["startup_seconds"], starts, strict=True)
        )
    )
    lines += process_lines(speed["processes"], speed["runtimes"])
    return [*lines, training_line(speed["training"])]
