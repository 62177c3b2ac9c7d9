"""How fast training is: pairs a second, and the share of the device's matrix arithmetic that a step gets out of it.

A step of `egan train` in its default recipe is timed on random pictures. Utilisation follows nanoGPT: operations of the
model, counted, over seconds, divided by the peak. The peak is measured here, by a large matrix product in the same number
format, since a data sheet says nothing of this machine.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from egan.options import ModelOptions
from egan.train.methods import make_method
from egan.train.options import TrainOptions
from egan.train.sampler import Sampler

BATCH = {"cpu": 4, "cuda": 32}
MATRIX = {"cpu": 1024, "cuda": 8192}
PICTURES = 8


def measure_training(model: Any, side: int, steps: int = 5) -> dict[str, Any]:
    """One JSON object for a model of EncryptGAN; {"note": why} for a compared method, whose recipe is another one."""
    if not isinstance(model.options, ModelOptions):
        return {"note": "measured for EncryptGAN only; `egan train` prints pairs a second of any method"}
    device = model.device
    options = TrainOptions(batch=BATCH[device.type], key_steps=1)
    random = np.random.default_rng(0)
    covers, flowers = random.integers(0, 256, (2, PICTURES, side, side, 3), dtype=np.uint8)
    messages = random.integers(0, 256, (PICTURES, side // 4, side // 4, 3), dtype=np.uint8)
    method = make_method(model.options, options, Sampler(covers, flowers, [messages], 0, device))
    method.prepare()
    method.start_optimisers()

    def step(number: int) -> None:
        losses = method.step(number)
        float(next(iter(losses.values())))  # the device has finished

    step(0)
    counter = FlopCounterMode(display=False)
    with counter:
        step(1)  # a step without the backward cycle, which comes every few steps
    took = statistics.median(timed(lambda i=i: step(i)) for i in (1, 2, 3, 5, 6)[:steps])  # type: ignore[misc]
    done, best = counter.get_total_flops() / took, peak_flops(device, options.bf16)
    return {
        "pairs_per_second": options.batch / took, "batch": options.batch, "seconds_per_step": took,
        "gflop_per_step": counter.get_total_flops() / 1e9, "gflop_per_second": done / 1e9,
        "peak_gflop_per_second": best / 1e9, "utilisation": done / best,
        "dtype": "bfloat16" if options.bf16 else "float32",
    }  # fmt: skip


def timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def peak_flops(device: torch.device, bf16: bool) -> float:
    """Operations a second of the fastest of some products of square matrices."""
    n = MATRIX[device.type]
    a = torch.randn(n, n, device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    run = lambda: (a @ a)[0, 0].item()
    run()
    return 2 * n**3 / min(timed(run) for _ in range(5))


def training_line(found: dict[str, Any]) -> str:
    if "note" in found:
        return f"training: {found['note']}"
    return (
        f"training: {found['pairs_per_second']:.2f} pairs a second, batch {found['batch']}, "
        f"{found['gflop_per_step']:.0f} GFLOP a step, {found['gflop_per_second']:.0f} GFLOP/s, {100 * found['utilisation']:.0f} % "
        f"of the {found['peak_gflop_per_second']:.0f} that a matrix product reaches ({found['dtype']})"
    )
