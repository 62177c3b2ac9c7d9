"""EncryptGAN in torch: K, F and G in one model that trains, saves itself, and runs as
the stages of inference.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from egan.core.inference import KeyedModel
from egan.core.model import Floats, Pictures, check_sides
from egan.core.options import ModelOptions
from egan.core.stages import make_networks, make_stage
from egan.core.tensors import fit_keys, to_unit
from egan.core.torch_model import TorchModel
from egan.errors import EganError


class EncryptGANNetworks(TorchModel, KeyedModel):
    """The model of one weights file. `F`: X to Y, `G`: Y to X, `K`: key images."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        self.K, self.F, self.G = make_networks(options)

    @classmethod
    def load(
        cls, path: str | Path, device: str | torch.device = "cpu"
    ) -> EncryptGANNetworks:
        """`load_model` for what needs K and keys. Raises EganError for weights of a
        method without them, too.
        """
        from egan.core.load import load_model

        model = load_model(path, device)
        if not isinstance(model, cls):
            raise EganError(
                f"{path} holds weights of {model.options.TITLE}, which has no keys",
                "encrypt and decrypt take them without --pub and --priv",
            )
        return model

    def parts(self) -> dict[str, list[nn.Module]]:
        return {"encrypt": [self.F], "decrypt": [self.G]}

    def graphs(self) -> dict[str, bytes]:
        """The stages as graphs for ONNX Runtime."""
        from egan.core.export import export_graphs

        return export_graphs(self.options)

    @torch.inference_mode()
    def run(self, stage: str, *inputs: NDArray) -> list[NDArray]:
        module = make_stage(stage, self.K, {"F": self.F, "G": self.G})
        tensors = [torch.from_numpy(np.array(one)).to(self.device) for one in inputs]
        outputs = module(*tensors)
        several = outputs if isinstance(outputs, tuple) else (outputs,)
        return [one.contiguous().cpu().numpy() for one in several]

    def tensor(self, name: str) -> Floats:
        return cast(Tensor, self.get_parameter(name)).detach().float().cpu().numpy()

    def prepare(self, pictures: Pictures, keys: Pictures) -> tuple[Tensor, Tensor]:
        """Pictures and key images as the torch networks take them, on the model's
        device.
        """
        size = check_sides(pictures)
        return to_unit(pictures, self.device), fit_keys(keys, size, self.device)
