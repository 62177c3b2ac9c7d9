"""Checkpoints as safetensors: networks, optimisers, random state and counters. No
pickle.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from egan.errors import EganError
from egan.pictures.output import write_output
from egan.train.checkpoint_header import (
    VERSION,
    RunDescription,
    model_options,
    opened,
)


@dataclasses.dataclass
class Counters:
    """How far a run is. pairs: of pictures, seen so far. seconds: of steps."""

    step: int = 0
    pairs: int = 0
    seconds: float = 0.0


@dataclasses.dataclass
class RunState:
    """All that changes while a run trains.

    modules and optimisers: by name, changed in place when a checkpoint is loaded.
    random: the sampler's; torch's own random state is saved beside it. record: what the
    run found out before its first step.
    """

    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    random: np.random.Generator
    counters: Counters
    record: dict[str, Any]
    device: torch.device


def save_checkpoint(path: Path, state: RunState, run: RunDescription) -> None:
    """Write a checkpoint, whole or not at all. Raises EganError where it cannot be
    written.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in state.modules.items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value
    for name, optimiser in state.optimisers.items():
        for index, fields in optimiser.state_dict()["state"].items():
            for key, value in fields.items():
                tensors[f"optimiser/{name}/{index}/{key}"] = torch.as_tensor(value)
    tensors["random/torch"] = torch.get_rng_state()
    if state.device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(state.device)
    metadata = {
        "egan": VERSION,
        "options": run.model.to_json(),
        "training": json.dumps(run.training),
        "request": json.dumps(run.request),
        "state": json.dumps(
            dataclasses.asdict(state.counters)
            | {"record": state.record, "sampler": state.random.bit_generator.state}
        ),
    }
    # A copy of each, because safetensors takes no tensors that share memory.
    copies = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    write_output(save(copies, metadata), str(path), force=True)


def load_checkpoint(path: Path, state: RunState, run: RunDescription) -> None:
    """Restore a run's state in place.

    run: of the run that goes on, with what must not differ in its record. Raises
    EganError for a file that is no checkpoint, and for one of another method,
    architecture or record.
    """
    with opened(path, "pt") as (file, metadata):
        if not fits(metadata["options"], run):
            raise EganError(
                f"{path} is a checkpoint of another method or architecture",
                "give the --method, --preset and --set that it was made with",
            )
        saved = json.loads(metadata["state"])
        for name, value in state.record.items():
            if saved["record"].get(name, value) != value:
                what = name.replace("_", " ")
                raise EganError(
                    f"{path} was trained with {what} {saved['record'][name]}, not {value}",
                    "a run goes on as it began: give the options that it was made with",
                )
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        restore(state, saved, tensors)


def restore(state: RunState, saved: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    for name, module in state.modules.items():
        module.load_state_dict(below(tensors, name + "/"))
    for name, optimiser in state.optimisers.items():
        found: dict[int, dict[str, Any]] = {}
        for key, value in below(tensors, f"optimiser/{name}/").items():
            index, field = key.split("/")
            found.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": found})
    torch.set_rng_state(tensors["random/torch"])
    if "random/cuda" in tensors and state.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random/cuda"], state.device)
    state.random.bit_generator.state = saved["sampler"]
    state.record |= saved["record"]
    state.counters.step = saved["step"]
    state.counters.pairs = saved["pairs"]
    state.counters.seconds = saved["seconds"]


def fits(options: str, run: RunDescription) -> bool:
    """Whether a checkpoint's architecture is the run's; what an older one leaves out
    had the default.
    """
    with contextlib.suppress(EganError):
        return model_options(options) == run.model
    return False


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by the rest of their names."""
    return {
        k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)
    }
