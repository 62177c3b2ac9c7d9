"""How fast training is: pairs a second, and the share of the device's matrix arithmetic
that a step gets out of it.

A step of `egan train` in its family's recipe is timed on random pictures, in turns with
one of plain CycleGAN and with large matrix products, so that a busy machine slows all
alike. Utilisation follows nanoGPT: operations of the model, counted, over seconds,
divided by the peak. A data sheet says nothing of this machine, so the peak is the
fastest that was seen here: a matrix product in the same number format, or a step.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from egan.core.baseline_options import CycleGANOptions
from egan.core.options import ModelOptions
from egan.train.options import CycleGANTraining
from egan.train.presets import parse_options
from egan.train.recipes import make_method
from egan.train.recipes.base import Method
from egan.train.recipes.cyclegan import CycleGANMethod
from egan.train.sampler import Sampler

BATCH = {"cpu": 4, "cuda": 32}
MATRIX = {"cpu": 1024, "cuda": 8192}
PRODUCTS = 5
CYCLEGAN_WIDTH = 64
PICTURES = 8


def measure_training(model: Any, side: int, repeats: int = 3) -> dict[str, Any]:
    """One JSON object for a model of EncryptGAN; {"note": why} for a compared method,
    whose recipe is another one.

    cyclegan_ratio: pairs a second divided by those of plain CycleGAN
    (`plain_cyclegan`), the median over the repeats.
    """
    if not isinstance(model.options, ModelOptions):
        return {
            "note": "measured for EncryptGAN only; `egan train` prints pairs a second of any method"
        }
    device = model.device
    batch = BATCH[device.type]
    # Whole pictures, as CycleGAN gets them.
    settings = [f"batch={batch}", "key_steps=1", "crop=0"]
    _, options = parse_options(None, settings, start=model.options)
    sampler = noise_sampler(side, device)
    ours = make_method(model.options, options, sampler)
    plain = plain_cyclegan(sampler, side)
    for method in (ours, plain):
        method.prepare()
        method.start_optimisers()
        step(method, 0)
    counter = FlopCounterMode(display=False)
    with counter:
        # Without the backward cycle of family egan, which comes every few steps.
        step(ours, 1)
    flops = counter.get_total_flops()
    took, ratios, products = [], [], []
    for first in range(0, 3 * repeats, 3):
        products.append(product_rate(device, options.bf16))
        three = [timed(partial(step, ours, first + i)) for i in range(3)]
        took += three
        ratios.append(timed(partial(step, plain, 1)) / (sum(three) / 3 / batch))
    products.append(product_rate(device, options.bf16))
    done, best = typical_and_peak([flops / seconds for seconds in took], products)
    return {
        "pairs_per_second": batch * len(took) / sum(took),
        "batch": batch,
        "seconds_per_step": statistics.median(took),
        "gflop_per_step": flops / 1e9,
        "gflop_per_second": done / 1e9,
        "peak_gflop_per_second": best / 1e9,
        "utilisation": done / best,
        "dtype": "bfloat16" if options.bf16 else "float32",
        "cyclegan_ratio": statistics.median(ratios),
    }


def noise_sampler(side: int, device: torch.device) -> Sampler:
    """Batches of noise: time does not depend on what the pictures show."""
    random = np.random.default_rng(0)
    shape = (2, PICTURES, side, side, 3)
    covers, flowers = random.integers(0, 256, shape, dtype=np.uint8)
    quarter = (PICTURES, side // 4, side // 4, 3)
    messages = random.integers(0, 256, quarter, dtype=np.uint8)
    return Sampler(covers, flowers, [messages], 0, device)


def plain_cyclegan(sampler: Sampler, side: int) -> Method:
    """CycleGAN as its authors train it: ResNet-9 of width 64, float32, one pair a step,
    and no identity loss, which they use for some pictures only.
    """
    return CycleGANMethod(
        CycleGANOptions(image_size=side, width=CYCLEGAN_WIDTH),
        CycleGANTraining(identity=0.0, batch=1, bf16=False),
        sampler,
    )


def step(method: Method, number: int) -> None:
    """One step, to its end on the device."""
    losses = method.step(number)
    float(next(iter(losses.values())))


def timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def typical_and_peak(
    steps: Sequence[float], products: Sequence[float]
) -> tuple[float, float]:
    """The median rate of steps, and the fastest rate of all: never less than it."""
    return statistics.median(steps), max(*steps, *products)


def product_rate(device: torch.device, bf16: bool) -> float:
    """Operations a second of the fastest of some products of square matrices."""
    n = MATRIX[device.type]
    a = torch.randn(
        n, n, device=device, dtype=torch.bfloat16 if bf16 else torch.float32
    )
    run = lambda: (a @ a)[0, 0].item()
    run()
    return 2 * n**3 / min(timed(run) for _ in range(PRODUCTS))


def training_line(found: dict[str, Any]) -> str:
    if "note" in found:
        return f"training: {found['note']}"
    return (
        f"training: {found['pairs_per_second']:.2f} pairs a second, batch {found['batch']}, "
        f"{found['gflop_per_step']:.0f} GFLOP a step, {found['gflop_per_second']:.0f} GFLOP/s, {100 * found['utilisation']:.0f} % "
        f"of the {found['peak_gflop_per_second']:.0f} of the fastest step or matrix product "
        f"({found['dtype']}); "
        f"{found['cyclegan_ratio']:.1f} times the pairs of plain CycleGAN (ResNet-9, float32, batch 1)"
    )
