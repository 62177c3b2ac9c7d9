"""Checkpoints as safetensors: networks, moving average, optimisers, random state and counters. No pickle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from egan.errors import EganError

if TYPE_CHECKING:
    from egan.train.loop import Trainer


def modules(trainer: Trainer) -> dict[str, torch.nn.Module]:
    return {
        "model": trainer.model,
        "average": trainer.average,
        "d_x": trainer.d_x,
        "d_y": trainer.d_y,
    }


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write everything that a run needs to go on, atomically."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules(trainer).items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value.detach().cpu().contiguous().clone()
    for name in ("optimiser", "d_optimiser"):
        for index, state in getattr(trainer, name).state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"{name}/{index}/{key}"] = torch.as_tensor(value).cpu().contiguous().clone()
    tensors["random/torch"] = torch.get_rng_state()
    if trainer.device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(trainer.device)
    metadata = {
        "egan": "checkpoint/1",
        "options": trainer.model.options.to_json(),
        "state": json.dumps(
            {
                "step": trainer.step,
                "seconds": trainer.seconds,
                "sampler": trainer.sampler.random.bit_generator.state,
            }
        ),
    }
    part = path.with_name(path.name + ".part")
    save_file(tensors, str(part), metadata)
    os.replace(part, path)


def load_checkpoint(trainer: Trainer, path: Path) -> None:
    """Restore a run. Raises EganError where the file is no checkpoint or has another architecture."""
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("egan") != "checkpoint/1":
            raise EganError(f"{path} is not a training checkpoint")
        if metadata["options"] != trainer.model.options.to_json():
            raise EganError(f"{path} is a checkpoint of another architecture")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, module in modules(trainer).items():
        prefix = name + "/"
        module.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
    for name in ("optimiser", "d_optimiser"):
        optimiser = getattr(trainer, name)
        state: dict[int, dict[str, Any]] = {}
        for key, value in tensors.items():
            if key.startswith(name + "/"):
                _, index, field = key.split("/")
                state.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    torch.set_rng_state(tensors["random/torch"])
    if "random/cuda" in tensors and trainer.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random/cuda"], trainer.device)
    saved = json.loads(metadata["state"])
    trainer.step, trainer.seconds = saved["step"], saved["seconds"]
    trainer.sampler.random.bit_generator.state = saved["sampler"]
