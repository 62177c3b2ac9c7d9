"""LPIPS networks and the weights of their backbones, for `bench` and as a training
loss. Nothing here prints.
"""

from __future__ import annotations

import contextlib
import io
import socket
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from egan.errors import EganError

TORCHVISION = {
    "alex": "AlexNet_Weights",
    "squeeze": "SqueezeNet1_1_Weights",
    "vgg": "VGG16_Weights",
}
# Seconds that a server has to answer.
PATIENCE = 10
HINT = "name a safetensors file with torchvision's feature weights (features.0.weight, ...) with --lpips-backbone"


def lpips_network(net: str, backbone: Path | None, device: torch.device) -> nn.Module:
    """LPIPS v0.1 (Zhang et al. 2018), frozen; net: alex, squeeze or vgg; backbone: as
    for `backbone_weights`.

    The module maps two pictures (N, 3, H, W) in [-1, 1] to distances (N, 1, 1, 1).
    Raises EganError where the backbone's weights cannot be had or are of another
    network.
    """
    weights = backbone_weights(net, backbone)
    with silence():
        import lpips

        metric: nn.Module = lpips.LPIPS(net=net, pnet_rand=True, verbose=False).eval()
    try:
        network = cast(nn.Module, metric.net)
        names = network.state_dict()
        network.load_state_dict(
            {k: weights["features." + k.split(".", 1)[1]] for k in names}
        )
    except (KeyError, RuntimeError) as error:
        raise EganError(
            f"{backbone} does not hold the features of the LPIPS network {net}", HINT
        ) from error
    return metric.requires_grad_(False).to(device)


def backbone_weights(net: str, backbone: Path | None) -> dict[str, Tensor]:
    """Tensors by torchvision's names: from a safetensors file, else torchvision's
    (cached, or downloaded once).
    """
    if backbone is not None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        if not backbone.is_file():
            raise EganError(f"no such file: {backbone}", "named by --lpips-backbone", 2)
        try:
            return load_file(str(backbone))
        except (SafetensorError, OSError) as error:
            raise EganError(f"{backbone} is not a safetensors file", HINT) from error
    before = socket.getdefaulttimeout()
    try:
        socket.setdefaulttimeout(PATIENCE)
        with silence():
            from torchvision import models

            weights: dict[str, Tensor] = getattr(
                models, TORCHVISION[net]
            ).IMAGENET1K_V1.get_state_dict(
                progress=False, check_hash=True, weights_only=True
            )
            return weights
    except (OSError, RuntimeError) as error:
        raise EganError(
            f"no backbone for LPIPS-{net}: torchvision's could not be downloaded", HINT
        ) from error
    finally:
        socket.setdefaulttimeout(before)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """No warnings and no words of other packages while they load."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
