"""What every trained model is: EncryptGAN and the methods that it is compared with. Loading dispatches on the family.

A model is built from the options in its weights file alone, and has two verbs on plain arrays, `encrypt` and `decrypt`.
"""

from __future__ import annotations

import abc
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from egan.core.weights import (
    ID_BYTES,
    WEIGHTS_VERSION,
    read_description,
    read_header,
    weights_id,
    with_header,
)
from egan.errors import EganError
from egan.pictures import files

Pictures = NDArray[np.uint8]


class Model(nn.Module, abc.ABC):
    """The networks of one weights file. locked: they carry the phase lock. keyed: their users hold key images."""

    keyed: bool = True

    def __init__(self, options: Any) -> None:
        super().__init__()
        self.options = options
        self.id = bytes(ID_BYTES)  # of the weights file that it was loaded from
        self.key_network = bytes(ID_BYTES)  # of the K in it, see `key_network_id`
        self.training_summary: dict[str, Any] = {}

    @abc.abstractmethod
    def key_images(self, pictures: Pictures, layers: Sequence[int]) -> Pictures:
        """Key images of uint8 pictures (N, H, W, 3): uint8 of the same shape."""

    @abc.abstractmethod
    def encrypt(
        self, composites: Pictures, keys: Pictures, keystreams: Pictures | None
    ) -> Pictures:
        """Disguises of uint8 composites (N, H, W, 3)."""

    @abc.abstractmethod
    def decrypt(
        self, disguises: Pictures, keys: Pictures, keystreams: Pictures | None
    ) -> Pictures:
        """Recovered composites of uint8 disguises (N, H, W, 3)."""

    @abc.abstractmethod
    def parts(self) -> dict[str, list[nn.Module]]:
        """The networks that "encrypt" and "decrypt" run, to be counted."""

    @property
    def locked(self) -> bool:
        return False

    @property
    def robust(self) -> bool:
        """Whether the model was trained with `--robust`, so that disguises carry a spare envelope."""
        options = self.training_summary.get("options")
        return self.locked and isinstance(options, dict) and bool(options.get("robust"))

    def keystream_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape (P, H/4, W/4) of the keystream of one picture: P is 0 without a lock."""
        return 0, height // 4, width // 4

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def save(self, path: str | Path, training: dict[str, Any]) -> None:
        """Write the weights file in half precision, whole or not at all. `training` is free JSON: recipe, data, figures.

        Raises EganError where it cannot be written.
        """
        tensors = {
            k: v.detach().half().cpu().contiguous()
            for k, v in self.state_dict().items()
        }
        metadata = {
            "egan": WEIGHTS_VERSION,
            "options": self.options.to_json(),
            "training": json.dumps(training, sort_keys=True),
        }
        data = save(tensors, metadata)
        header = read_header(io.BytesIO(data), len(data), str(path))
        files.write_output(with_header(data, header), str(path), force=True)


def load_model(path: str | Path, device: str | torch.device = "cpu") -> Model:
    """Rebuild a model of any family from a weights file alone.

    Raises EganError for a file that is damaged, of an unknown version or family, or does not fit its own metadata.
    """
    path = Path(path)
    identity = weights_id(path)
    options, training, key_network = read_description(path)
    try:
        with safe_open(str(path), "pt") as file:
            tensors = {k: widened(file.get_tensor(k)) for k in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise EganError(f"cannot read weights {path}: {error}") from error
    with torch.device("meta"):
        model = model_class(options.family)(options)
    try:
        model.load_state_dict(tensors, assign=True)
    except RuntimeError as error:
        raise EganError(f"weights {path} do not fit their own description") from error
    model.id, model.key_network, model.training_summary = (
        identity,
        key_network,
        training,
    )
    model = model.eval().requires_grad_(False)
    return model if torch.device(device).type == "cpu" else model.to(device)


def model_class(family: str) -> type[Model]:
    """The class that options of a known family belong to."""
    from egan.baselines import OPTIONS, baseline_class
    from egan.core.encryptgan import EncryptGAN

    return baseline_class(family) if family in OPTIONS else EncryptGAN


def widened(weight: Tensor) -> Tensor:
    """Half precision to float32, convolutions in the channels-last order that they run faster in."""
    order = torch.channels_last if weight.dim() == 4 else torch.preserve_format
    return weight.to(torch.float32, memory_format=order)
