"""LPIPS (Zhang et al. 2018) as a training loss, with a backbone from a file: nothing is downloaded."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from egan.errors import EganError


def load_perceptual(backbone: str | Path, device: torch.device) -> nn.Module:
    """LPIPS-squeeze, frozen, from a safetensors file with torchvision's names (`features.0.weight`, ...).

    The module maps two pictures (N, 3, H, W) in [-1, 1] to distances (N, 1, 1, 1). Raises EganError for another file.
    """
    import lpips

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # lpips still calls torchvision with retired arguments
        metric = lpips.LPIPS(net="squeeze", pnet_rand=True, verbose=False).eval()
    try:
        weights = load_file(str(backbone))
        state = {k: weights["features." + k.split(".", 1)[1]] for k in metric.net.state_dict()}
        metric.net.load_state_dict(state)
    except (SafetensorError, OSError, KeyError, RuntimeError) as error:
        raise EganError(
            f"{backbone} is no SqueezeNet 1.1 backbone",
            "a safetensors file with torchvision's names for squeezenet1_1 is needed",
        ) from error
    return metric.requires_grad_(False).to(device)
