"""Checkpoints as safetensors: networks, moving average, optimisers, random state and counters. No pickle."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from egan.core.options import BASELINE_OPTIONS, BaselineOptions, ModelOptions
from egan.errors import EganError, out_of_memory, reason_of
from egan.pictures.output import write_output
from egan.train.run_folder import CHECKPOINT

if TYPE_CHECKING:
    from egan.train.trainer import Trainer

CHECKPOINT_VERSION = "checkpoint/2"


def modules(trainer: Trainer) -> dict[str, torch.nn.Module]:
    return {
        "model": trainer.model,
        "average": trainer.average,
        "critics": trainer.method.critics,
    }


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write everything that a run needs to go on, whole or not at all. Raises EganError where it cannot be written."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules(trainer).items():
        for key, value in module.state_dict().items():
            tensors[f"{name}/{key}"] = value.detach().cpu().contiguous().clone()
    for name, optimiser in trainer.method.optimisers.items():
        for index, state in optimiser.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimiser/{name}/{index}/{key}"] = (
                    torch.as_tensor(value).cpu().contiguous().clone()
                )
    for name, value in trainer.method.state().items():
        tensors[f"state/{name}"] = value.detach().cpu().contiguous().clone()
    tensors["random/torch"] = torch.get_rng_state()
    if trainer.device.type == "cuda":
        tensors["random/cuda"] = torch.cuda.get_rng_state(trainer.device)
    metadata = {
        "egan": CHECKPOINT_VERSION,
        "options": architecture(trainer),
        "training": json.dumps(dataclasses.asdict(trainer.options)),
        "state": json.dumps(
            {
                "step": trainer.step,
                "pairs": trainer.pairs,
                "seconds": trainer.seconds,
                "record": trainer.record,
                "sampler": trainer.method.sampler.random.bit_generator.state,
            }
        ),
    }
    write_output(save(tensors, metadata), str(path), force=True)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[tuple[Any, dict[str, str]]]:
    """A checkpoint file and its metadata. Raises EganError for what is none, and for one that is damaged."""
    try:
        with safe_open(str(path), "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("egan") != CHECKPOINT_VERSION:
                raise EganError(
                    f"{path} is not a training checkpoint of this version",
                    "--from starts a run with the networks of a weights file",
                )
            yield file, metadata
    except OSError as error:
        raise EganError(f"cannot read checkpoint {path}: {reason_of(error)}") from error
    except SafetensorError as error:
        raise EganError(
            f"cannot read checkpoint {path}: it is damaged, or no safetensors file"
        ) from error
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        raise EganError(
            f"checkpoint {path} lacks a part, or is of other networks",
            "a run goes on as it began: leave out the --set that it began without",
        ) from error


def read_options(
    path: Path,
) -> tuple[ModelOptions | BaselineOptions, dict[str, Any] | None]:
    """What a checkpoint's model is made of and how it was trained; None for the latter in older ones, which do not say it.

    Raises EganError as `load_checkpoint` does, before anything is loaded.
    """
    if not path.is_file():
        raise EganError(
            f"cannot read checkpoint {path}: there is no such file",
            f"a run keeps it in its folder, as in runs/NAME/{CHECKPOINT}",
            2,
        )
    with opened(path) as (_, metadata):
        model = json.loads(metadata["options"])
        training = json.loads(metadata.get("training", "null"))
        return BASELINE_OPTIONS.get(model["family"], ModelOptions).from_dict(
            model
        ), training


def load_checkpoint(trainer: Trainer, path: Path) -> None:
    """Restore a run. Raises EganError where the file is no checkpoint or has another architecture."""
    with opened(path) as (file, metadata):
        if not fits(trainer, metadata["options"]):
            raise EganError(
                f"{path} is a checkpoint of another method or architecture",
                "give the --method, --preset and --set that it was made with",
            )
        saved = json.loads(metadata["state"])
        for name, value in trainer.method.facts().items():
            if saved["record"].get(name, value) != value:
                raise EganError(
                    f"{path} was trained with {name.replace('_', ' ')} {saved['record'][name]}, not {value}",
                    "a run goes on as it began: give the options that it was made with",
                )
        restore(trainer, saved, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118


def restore(
    trainer: Trainer, saved: dict[str, Any], tensors: dict[str, Tensor]
) -> None:
    for name, module in modules(trainer).items():
        module.load_state_dict(below(tensors, name + "/"))
    for name, optimiser in trainer.method.optimisers.items():
        state: dict[int, dict[str, Any]] = {}
        for key, value in below(tensors, f"optimiser/{name}/").items():
            index, field = key.split("/")
            state.setdefault(int(index), {})[field] = value
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
    trainer.method.load_state(below(tensors, "state/"))
    torch.set_rng_state(tensors["random/torch"])
    if "random/cuda" in tensors and trainer.device.type == "cuda":
        torch.cuda.set_rng_state(tensors["random/cuda"], trainer.device)
    trainer.step, trainer.seconds, trainer.record = (
        saved["step"],
        saved["seconds"],
        saved["record"],
    )
    trainer.pairs = saved.get("pairs", trainer.step * trainer.options.batch)
    trainer.elapsed = trainer.seconds
    trainer.method.sampler.random.bit_generator.state = saved["sampler"]


def architecture(trainer: Trainer) -> str:
    """What has to agree between a checkpoint and the run that it is loaded into."""
    return str(trainer.model.options.to_json())  # type: ignore[operator,union-attr]


def fits(trainer: Trainer, options: str) -> bool:
    """Whether a checkpoint's architecture is the run's; what an older one does not name had the default."""
    mine = trainer.model.options
    with contextlib.suppress(EganError):
        return bool(type(mine).from_dict(json.loads(options)) == mine)  # type: ignore[union-attr, operator]
    return False


def below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)
    }
