"""Which runtime a model's networks run on, by device and by what a weights file holds."""

from __future__ import annotations

from pathlib import Path

from egan.core.device import device_name
from egan.core.model import Model


def open_model(path: str | Path, device: str = "auto") -> Model:
    """A model of any family from a weights file alone, on a device by name: auto, cpu or cuda.

    Raises EganError for a file that is damaged, of an unknown version or family, or does not fit its own
    metadata, and for a device that is not there.
    """
    name = device_name(device)
    from egan.core.device import pick_device
    from egan.core.load import load_model

    return load_model(path, pick_device(name))
