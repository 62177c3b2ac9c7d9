"""`egan train`: from folders of pictures to a weights file."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console

from egan import files, terminal
from egan.core import pick_device
from egan.errors import EganError
from egan.options import ModelOptions
from egan.train.data import Sampler, load_folder
from egan.train.locked import LockedMethod
from egan.train.loop import Trainer
from egan.train.options import TrainOptions
from egan.train.perceptual import load_perceptual

FEWEST = 8  # pictures of a kind

PRESETS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "egan": ({}, {}),
    "tiny": (
        {"image_size": 64, "width": 24, "key_width": 8, "encoder_blocks": 1, "decoder_blocks": 1},
        {
            "steps": 600,
            "batch": 8,
            "critic_crop": 0,
            "key_steps": 60,
            "discriminator_width": 8,
            "sample_every": 200,
        },
    ),
}

T = TypeVar("T", ModelOptions, TrainOptions)


@dataclasses.dataclass(frozen=True)
class Request:
    """What the command line asks for."""

    x: str
    y: str
    messages: Sequence[str]
    out: str
    preset: str
    settings: Sequence[str]
    limit: int | None
    lpips_backbone: str | None
    resume: str | None
    runs: str
    device: str
    force: bool


def run_train(request: Request) -> None:
    """Train and write the weights file. Raises EganError for unknown presets or options and for unfit folders."""
    files.check_output(request.out, request.force, suffix="")
    model_options, options = parse_options(request.preset, request.settings)
    device = pick_device(request.device)
    size = model_options.image_size
    x, y = load(request.x, size, request.limit), load(request.y, size, request.limit)
    messages = [load(folder, None, request.limit) for folder in request.messages]
    sampler = Sampler(np.stack(x), np.stack(y), messages, options.seed, device)
    perceptual = load_perceptual(request.lpips_backbone, device) if request.lpips_backbone else None
    if perceptual is None and options.perceptual:
        terminal.note("no --lpips-backbone: training without the perceptual loss")
    runs = Path(request.runs)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    method = LockedMethod(model_options, options, sampler, perceptual)
    trainer = Trainer(method, runs, log=lambda line: console.print(line, markup=False))
    if request.resume:
        trainer.resume(Path(request.resume))
    else:
        trainer.prepare()
    trainer.run()
    files.write_output((runs / "weights.safetensors").read_bytes(), request.out, request.force)


def load(folder: str, size: int | None, limit: int | None) -> list[np.ndarray]:
    """Pictures of a folder; unreadable ones are skipped and counted, too few are an error."""
    pictures, bad = load_folder(folder, size, limit)
    if bad:
        terminal.warn(f"skipped {bad} pictures in {folder} that cannot be read")
    if len(pictures) < FEWEST:
        raise EganError(f"only {len(pictures)} pictures in {folder}", f"at least {FEWEST} are needed")
    return pictures


def parse_options(preset: str, settings: Sequence[str]) -> tuple[ModelOptions, TrainOptions]:
    """A preset with NAME=VALUE settings on top, each for whichever of the two option sets knows the name."""
    if preset not in PRESETS:
        raise EganError(f"unknown preset {preset!r}", f"known: {', '.join(PRESETS)}", 2)
    model_values, train_values = (dict(values) for values in PRESETS[preset])
    fields = {f.name: (f, model_values) for f in dataclasses.fields(ModelOptions)}
    fields |= {f.name: (f, train_values) for f in dataclasses.fields(TrainOptions)}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or name not in fields:
            raise EganError(f"unknown setting {setting!r}", f"known names: {', '.join(sorted(fields))}", 2)
        field, values = fields[name]
        values[name] = parse_value(name, text, field.default)
    return ModelOptions(**model_values), TrainOptions(**train_values)


def parse_value(name: str, text: str, default: object) -> object:
    """Text to the type of the default; tuples are comma-separated."""
    try:
        if isinstance(default, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(default, tuple):
            return tuple(type(default[0])(part) for part in text.split(","))
        return type(default)(text)  # type: ignore[call-arg]
    except (ValueError, KeyError) as error:
        raise EganError(f"setting {name} cannot be {text!r}", f"its default is {default}", 2) from error
