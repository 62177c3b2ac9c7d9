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
from safetensors.torch import save
from torch import nn

from egan.core.weights import (
    ID_BYTES,
    WEIGHTS_VERSION,
    read_header,
    with_header,
)
from egan.pictures.output import write_output

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
        write_output(with_header(data, header), str(path), force=True)
