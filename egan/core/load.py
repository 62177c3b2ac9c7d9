"""Models rebuilt in torch from weights files alone, of every family that there is."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from egan.core.torch_model import TorchModel
from egan.core.weights import PREFIX, Described, read_description
from egan.errors import EganError

# Family to "module:Class". Names, because the networks of the compared methods live
# above the core, and because a family's module is imported when it is asked for.
FAMILIES = {
    "egan": "egan.core.encryptgan:EncryptGANNetworks",
    "paper": "egan.core.encryptgan:EncryptGANNetworks",
    "cyclegan": "egan.baselines.cyclegan:CycleGAN",
    "munit": "egan.baselines.munit:MUNIT",
    "drit": "egan.baselines.drit:DRIT",
    "baluja": "egan.baselines.baluja:Baluja",
}


def load_model(
    path: str | Path | Described, device: str | torch.device = "cpu"
) -> TorchModel:
    """Rebuild a model of any family from a weights file alone.

    Raises EganError for a file that is damaged, of an unknown version or family, or
    does not fit its own metadata.
    """
    found = path if isinstance(path, Described) else read_description(Path(path))
    found.check()
    try:
        with safe_open(str(found.path), "pt") as file:
            tensors = {
                k: widened(file.get_tensor(k))
                for k in file.keys()  # noqa: SIM118
                if not k.startswith(PREFIX)
            }
    except (SafetensorError, OSError) as error:
        raise EganError(f"cannot read weights {found.path}: {error}") from error
    with torch.device("meta"):
        model = model_class(found.options.family)(found.options)
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise EganError(
            f"weights {found.path} do not fit their own description"
        ) from error
    model.describe(found)
    model = model.eval().requires_grad_(False)
    return model if torch.device(device).type == "cpu" else model.to(device)


def model_class(family: str) -> type[TorchModel]:
    """The class of a family's networks; its constructor takes the family's options."""
    module, _, name = FAMILIES[family].partition(":")
    return cast(type[TorchModel], getattr(importlib.import_module(module), name))


def widened(weight: Tensor) -> Tensor:
    """Half precision to float32, convolutions in the faster channels-last order."""
    order = torch.channels_last if weight.dim() == 4 else torch.preserve_format
    return weight.to(torch.float32, memory_format=order)
