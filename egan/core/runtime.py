"""The choice of the runtime for a model's networks, by device and by the contents of a
weights file.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from egan.core.device import device_name
from egan.core.graphs import stages_of
from egan.core.model import Model
from egan.core.options import ModelOptions
from egan.core.weights import Described, read_description
from egan.errors import EganError

INSTALL = "pip install '.[torch]' in the checkout of egan brings it"


def open_model(path: str | Path | Described, device: str = "auto") -> Model:
    """A model of any family from a weights file alone, on a device by name: auto, cpu
    or cuda.

    On a CPU it runs on ONNX Runtime, where the file holds graphs, else on torch. Raises
    EganError for a file that is damaged, of an unknown version or family, or does not
    fit its own metadata, for a device that is not there, and where torch is needed and
    not installed.
    """
    found = path if isinstance(path, Described) else read_description(Path(path))
    name = device_name(device)
    if name == "cpu" and has_graphs(found) and is_installed("onnxruntime"):
        if not found.graphs_fit:
            raise EganError(f"weights {found.path} do not fit their own description")
        from egan.core.onnx_model import OnnxModel

        found.check()
        return OnnxModel(found)
    if not is_installed("torch"):
        if name != "cpu":
            raise EganError(f"device {name} needs torch", INSTALL)
        if has_graphs(found):
            raise EganError(
                "ONNX Runtime is not installed", "pip install onnxruntime brings it"
            )
        raise EganError(
            f"weights {found.path} hold no graphs, so they need torch", INSTALL
        )
    from egan.core.device import pick_device
    from egan.core.load import load_model

    return load_model(found, pick_device(name))


def has_graphs(found: Described) -> bool:
    """Whether a weights file holds a graph of every stage that its model runs."""
    options = found.options
    return isinstance(options, ModelOptions) and found.graph_names() >= set(
        stages_of(options)
    )


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def need_torch(what: str) -> None:
    """Raises EganError where torch is not installed, and tells how to install it."""
    if not is_installed("torch"):
        raise EganError(f"{what} needs torch, which is not installed", INSTALL)
