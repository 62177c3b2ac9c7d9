"""Models whose networks are torch modules: trained, saved as weights files, and run on
a CPU or CUDA device.
"""

from __future__ import annotations

import abc
import io
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from egan.core.model import BATCH, Model
from egan.core.weights import PREFIX, WEIGHTS_VERSION, mark_of, read_header, with_header
from egan.pictures.output import write_output


class TorchModel(nn.Module, Model):
    """A model in torch; a weights file holds its state_dict."""

    def __init__(self, options: Any) -> None:
        super().__init__()
        self.options = options
        self.training_summary = {}

    @abc.abstractmethod
    def parts(self) -> dict[str, list[nn.Module]]:
        """The networks that "encrypt" and "decrypt" run, to be counted."""

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def batch(self) -> int:
        return BATCH if self.device.type == "cpu" else 8 * BATCH

    def graphs(self) -> dict[str, bytes]:
        """Graphs of the networks for another runtime, by name, to be stored beside
        their weights.
        """
        return {}

    def save(self, path: str | Path, training: dict[str, Any]) -> None:
        """Write the weights file in half precision, whole or not at all. `training` is
        free JSON: recipe, data, figures.

        Raises EganError where it cannot be written.
        """
        tensors = {
            k: v.detach().half().cpu().contiguous()
            for k, v in self.state_dict().items()
        }
        graphs = self.graphs()
        for name, graph in graphs.items():
            stored = torch.frombuffer(bytearray(graph), dtype=torch.uint8)
            tensors[PREFIX + name] = stored
        metadata = {
            "egan": WEIGHTS_VERSION,
            "options": self.options.to_json(),
            "training": json.dumps(training, sort_keys=True),
        }
        if graphs:
            metadata["graphs"] = mark_of(metadata["options"])
        data = save(tensors, metadata)
        header = read_header(io.BytesIO(data), len(data), str(path))
        write_output(with_header(data, header), str(path), force=True)
