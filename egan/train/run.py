"""`egan train`: from two kinds of pictures and some messages to a weights file."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from egan import terminal
from egan.core.device import pick_device
from egan.core.load import load_model
from egan.errors import EganError, out_of_memory
from egan.pictures.output import write_output
from egan.train.data import CROP, load_cached
from egan.train.display import display
from egan.train.distributed import Place, joined
from egan.train.options import RunOptions, TrainOptions
from egan.train.perceptual import lpips_network
from egan.train.recipes import make_method
from egan.train.request import FEWEST, Plan, Request, uses_perceptual
from egan.train.run_folder import CHECKPOINT, WEIGHTS, held
from egan.train.sampler import Sampler, free_memory, on_device
from egan.train.trainer import Trainer

# Pixels of a batch up to which one thread is as fast as several, and does not wait for
# the others where the machine has more to do: 16 pictures of 64 x 64.
ONE_THREAD = 16 * 64 * 64


def run_train(plan: Plan) -> None:
    """Train and write the weights file. Raises EganError where that fails."""
    request, options = plan.request, plan.training
    with joined(pick_device(request.device)) as (place, device):
        terminal.quiet = terminal.quiet or not place.writes
        limit_threads(plan)
        perceptual = load_lpips(request, options, device)
        sampler = load_sampler(plan, device, place)
        with enough_memory(
            "these networks", "try smaller ones, or a smaller image_size"
        ):
            method = make_method(plan.model, options, sampler, perceptual)
        with (
            display() as shown,
            held(plan.folder) if place.writes else contextlib.nullcontext(),
        ):
            method.show = shown.keys
            trainer = Trainer(
                method,
                plan.folder,
                shown.log,
                shown.steps,
                place,
                request=request.kept(),
                go_on=command_to_go_on(plan, place),
            )
            begin(trainer, plan)
            with enough_memory(f"a batch of {options.batch}", smaller(options)):
                trainer.run()
            if place.writes and request.out is not None:
                hand_over(plan.folder / WEIGHTS, request.out, request.force)


def begin(trainer: Trainer, plan: Plan) -> None:
    """Bring a trainer to its first step."""
    if plan.resume:
        trainer.resume(plan.resume)
        return
    start = load_model(plan.start) if plan.start else None
    with enough_memory("K's training", "try --set key_painting=0"):
        if start:
            trainer.start_from(start, plan.request.new_keys)
        else:
            trainer.prepare()


def command_to_go_on(plan: Plan, place: Place) -> str:
    """The command line that goes on with a run, ready to be pasted into a shell."""
    words = ["egan", "train", "--resume", str(plan.folder / CHECKPOINT)]
    if plan.request.device != "auto":
        words += ["--device", plan.request.device]
    if place.world > 1:
        words = ["torchrun", "--nproc-per-node", str(place.world), "-m", *words]
    return shlex.join(words)


def smaller(options: RunOptions) -> str:
    """Advice for a batch that does not fit into memory."""
    less = f"--batch {options.batch // 2}" if options.batch > 1 else ""
    return f"try {less or '--set image_size=128'}; the last checkpoint is kept"


def limit_threads(plan: Plan) -> None:
    """One thread for a run whose batches are small."""
    side = plan.model.image_size
    if isinstance(plan.training, TrainOptions):
        side = plan.training.crop or side
    if plan.training.batch * side * side <= ONE_THREAD:
        torch.set_num_threads(1)


def hand_over(made: Path, out: str, force: bool) -> None:
    """Copy the weights to where they were asked for.

    Raises EganError, saying where they are, where that fails.
    """
    try:
        write_output(made.read_bytes(), out, force)
    except EganError as error:
        raise EganError(str(error), f"the weights are in {made}") from error


def load_sampler(plan: Plan, device: torch.device, place: Place) -> Sampler:
    """The pictures of all sources, from the cache, and on the device where they fit."""
    request, size = plan.request, plan.model.image_size
    assert request.x is not None
    assert request.y is not None
    x, y = load(request, request.x, size), load(request, request.y, size)
    messages = [load(request, name, None) for name in request.messages]
    room = free_memory(device)
    on = []
    for pictures in (x, y, *messages):
        on.append(on_device(pictures, device, room))
        room -= pictures.nbytes if isinstance(on[-1], torch.Tensor) else 0
    seed = plan.training.seed
    return Sampler(on[0], on[1], on[2:], seed, device, place.rank, place.world)


def load(request: Request, name: str, side: int | None) -> NDArray[np.uint8]:
    """The pictures of one source, uint8 (N, S, S, 3), told to the user."""
    assert request.cache is not None
    pictures, bad = load_cached(name, side, request.cache, request.limit, FEWEST)
    shape = f"{pictures.shape[1]}x{pictures.shape[2]}"
    terminal.note(f"{len(pictures)} pictures from {name}, {CROP} to {shape}")
    if bad:
        terminal.warn(f"skipped {bad} pictures in {name} that cannot be read")
    return pictures


def load_lpips(
    request: Request, options: RunOptions, device: torch.device
) -> nn.Module | None:
    """The network of the perceptual loss, where that has a weight: named, or
    torchvision's.
    """
    if not uses_perceptual(options):
        return None
    backbone = Path(request.lpips_backbone) if request.lpips_backbone else None
    try:
        return lpips_network("squeeze", backbone, device)
    except EganError as error:
        if backbone:
            raise
        terminal.warn(f"training without the perceptual loss: {error}; {error.hint}")
        return None


@contextlib.contextmanager
def enough_memory(what: str, hint: str) -> Iterator[None]:
    """Turn running out of memory, on a GPU or a CPU, into a line that says for what."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise EganError(f"no memory for {what}", hint) from error
