"""`egan train`: from two kinds of pictures and some messages to a weights file."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from egan import terminal
from egan.core.device import pick_device
from egan.core.encryptgan import EncryptGAN
from egan.core.load import load_model
from egan.core.model import Model
from egan.core.options import BaselineOptions, ModelOptions
from egan.errors import EganError, out_of_memory
from egan.pictures.output import check_made, check_output, write_output
from egan.train.checkpoint import read_options
from egan.train.data import CROP, load_cached
from egan.train.distributed import Place, joined
from egan.train.options import RunOptions, TrainOptions
from egan.train.perceptual import lpips_network
from egan.train.presets import parse_options
from egan.train.recipes import make_method
from egan.train.run_folder import WEIGHTS, check_folder, held, run_folder
from egan.train.sampler import Sampler, free_memory, on_device
from egan.train.trainer import Trainer
from egan.verbs.weights import find_weights

FEWEST = 8  # pictures of a kind
BUDGET = {
    "steps",
    "minutes",
    "sample_every",
    "save_minutes",
}  # may be another when a run goes on


@dataclasses.dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    x: str
    y: str
    messages: Sequence[str]
    out: str
    preset: str | None
    settings: Sequence[str]
    limit: int | None
    lpips_backbone: str | None
    resume: str | None
    start: str | None
    runs: str | None
    cache: str
    device: str
    force: bool
    method: str = "egan"
    new_keys: bool = False


def run_train(request: Request) -> None:
    """Train and write the weights file. Raises EganError for unknown presets or options and for unfit folders."""
    check_output(request.out, request.force, suffix="")
    folder = run_folder(request.runs, request.resume, request.out)
    check_folder(folder, request.resume, request.force)
    check_made(request.cache, "--cache")
    if request.resume and request.start:
        raise EganError(
            "--resume and --from exclude each other",
            "--resume goes on with a run, --from starts one with the networks of a weights file",
            2,
        )
    if request.new_keys and not request.start:
        raise EganError(
            "--new-keys goes with --from", "a new model gets new keys without it", 2
        )
    if request.new_keys and request.method != "egan":
        raise EganError(
            f"the method {request.method} has no key images", "leave out --new-keys", 2
        )
    start = (
        load_model(find_weights(request.start, option="--from"))
        if request.start
        else None
    )
    model_options, options = asked_for(request, start)
    if (
        isinstance(start, EncryptGAN)
        and isinstance(model_options, ModelOptions)
        and not request.new_keys
    ):
        check_keys(start.options, model_options)
    if request.lpips_backbone and request.method != "egan":
        raise EganError(
            f"the method {request.method} has no perceptual loss",
            "leave out --lpips-backbone",
            2,
        )
    if Path(request.x).resolve() == Path(request.y).resolve():
        raise EganError(
            "--x and --y are the same pictures",
            "the disguise has to be of another kind than the cover",
            2,
        )
    with joined(pick_device(request.device)) as (place, device):
        terminal.quiet = terminal.quiet or not place.writes
        perceptual = load_lpips(request, options, device)
        sampler = load_sampler(
            request, model_options.image_size, options.seed, device, place
        )
        sampler.share(options.batch)
        with enough_memory(
            "these networks", "try smaller ones, or a smaller image_size"
        ):
            method = make_method(model_options, options, sampler, perceptual)
        with (
            display(options) as (log, show),
            held(folder) if place.writes else contextlib.nullcontext(),
        ):
            trainer = Trainer(method, folder, log=log, show=show, place=place)
            if request.resume:
                trainer.resume(Path(request.resume))
            elif start:
                with key_memory():
                    trainer.start_from(start, request.new_keys)
            else:
                with key_memory():
                    trainer.prepare()
            smaller = (
                f"--batch {options.batch // 2}"
                if options.batch > 1
                else "--set image_size=128"
            )
            with enough_memory(
                f"a batch of {options.batch}",
                f"try {smaller}; the last checkpoint is kept",
            ):
                trainer.run()
            if place.writes:
                hand_over(folder / WEIGHTS, request.out, request.force)


def asked_for(
    request: Request, start: Model | None
) -> tuple[ModelOptions | BaselineOptions, RunOptions]:
    """The options of a run: those of its preset or, where that is not named, of what it goes on with, and settings on top.

    Warns of settings that a resumed run began without. Raises EganError as `parse_options` and `read_options` do.
    """
    if not request.resume:
        return parse_options(
            request.preset,
            request.settings,
            request.method,
            start.options if start else None,
        )
    model, before = read_options(Path(request.resume))
    given = (model, before) if request.preset is None and before else (None, None)
    model_options, options = parse_options(
        request.preset, request.settings, request.method, *given
    )
    for name, value in dataclasses.asdict(options).items():
        old = before.get(name, value) if before else value
        old = tuple(old) if isinstance(old, list) else old
        if old == value or name in BUDGET:
            continue
        if name == "seed":
            raise EganError(
                f"this run began with seed {old}",
                "its random state goes on: leave out --seed",
                2,
            )
        terminal.warn(f"this run began with {name} = {old} and goes on with {value}")
    return model_options, options


def hand_over(made: Path, out: str, force: bool) -> None:
    """Copy the weights to where they were asked for. Raises EganError, saying where they are, where that fails."""
    try:
        write_output(made.read_bytes(), out, force)
    except EganError as error:
        raise EganError(str(error), f"the weights are in {made}") from error


def check_keys(old: ModelOptions, new: ModelOptions) -> None:
    """Raises EganError where a setting would take the K of a weights file for one of another kind."""
    for name in ("key_levels", "key_width", "public_layers", "private_layers"):
        if getattr(old, name) != getattr(new, name):
            raise EganError(
                f"the weights file's K has {name} = {getattr(old, name)}",
                "--new-keys trains another K",
                2,
            )


def load_sampler(
    request: Request, size: int, seed: int, device: torch.device, place: Place
) -> Sampler:
    """The pictures of all sources, from the cache, and on the device where they fit."""

    def load(name: str, side: int | None) -> NDArray[np.uint8]:
        pictures, bad = load_cached(name, side, request.cache, request.limit, FEWEST)
        shape = f"{len(pictures)} pictures from {name}, {CROP} to {pictures.shape[1]}x{pictures.shape[2]}"
        terminal.note(shape)
        if bad:
            terminal.warn(f"skipped {bad} pictures in {name} that cannot be read")
        return pictures

    x, y = load(request.x, size), load(request.y, size)
    messages = [load(name, None) for name in request.messages]
    room = free_memory(device)
    placed = []
    for pictures in (x, y, *messages):
        placed.append(on_device(pictures, device, room))
        room -= pictures.nbytes if isinstance(placed[-1], torch.Tensor) else 0
    return Sampler(
        placed[0], placed[1], placed[2:], seed, device, place.rank, place.world
    )


def load_lpips(
    request: Request, options: RunOptions, device: torch.device
) -> nn.Module | None:
    """The network of the perceptual loss, where that has a weight: of the file that was named, or torchvision's."""
    if not isinstance(options, TrainOptions) or not (
        options.perceptual or options.perceptual_x
    ):
        if request.lpips_backbone:
            raise EganError(
                "the perceptual loss has no weight here",
                "--set perceptual=10, or leave out --lpips-backbone",
                2,
            )
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
def display(
    options: RunOptions,
) -> Iterator[tuple[Callable[[str], None], Callable[[float, str], None]]]:
    """How a run shows itself: a function for lines and one for progress (share done, words).

    A bar with the last figures under the lines on a terminal, lines alone elsewhere, nothing with --quiet.
    """
    if terminal.quiet:
        yield (lambda line: None), (lambda share, words: None)
        return
    console = terminal.console()
    if not console.is_terminal:
        yield terminal.note, (lambda share, words: None)
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(),
        TextColumn("{task.percentage:.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(share: float, words: str) -> None:
            bar.update(task, completed=share, description=words)

        yield (
            (
                lambda line: console.print(
                    line, markup=False, highlight=False, soft_wrap=True
                )
            ),
            show,
        )


def key_memory() -> contextlib.AbstractContextManager[None]:
    return enough_memory(
        "K's training", "try --set key_size=64, or --set key_painting=0"
    )


@contextlib.contextmanager
def enough_memory(what: str, hint: str) -> Iterator[None]:
    """Turn running out of memory, on a GPU or a CPU, into a line that says for what, with a hint."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        raise EganError(f"no memory for {what}", hint) from error
