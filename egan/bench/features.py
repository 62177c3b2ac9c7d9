"""Learned metrics: LPIPS, and the features of SqueezeNet and Inception, from weights files named by the user or of torchvision.

Nothing here prints. A backbone that cannot be had raises EganError with the way to get it; the caller turns that into
a figure that is null with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor, nn

from egan.bench.metrics import Floats
from egan.core.encryptgan import Pictures, to_unit
from egan.errors import EganError
from egan.train.perceptual import backbone_weights, lpips_network, silence

Distance = Callable[
    [Pictures, Pictures], Floats
]  # two times uint8 (N, h, w, 3) -> (N,)
Features = Callable[[Pictures], Floats]  # uint8 (N, H, W, 3) -> (N, d)

LEAST_SIDE = 64  # of a box for LPIPS: under it SqueezeNet's last maps have one pixel
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
INCEPTION = (
    "download https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth and name it with --inception"
)


def load_lpips(net: str, backbone: Path | None, device: torch.device) -> Distance:
    """LPIPS v0.1 (Zhang et al. 2018) between pictures; those of less than 64 pixels are resized to 64x64, bilinear.

    Raises EganError where the backbone's weights cannot be had.
    """
    metric = lpips_network(net, backbone, device)

    @torch.inference_mode()
    def distance(a: Pictures, b: Pictures) -> Floats:
        pair = [at_least(to_unit(p, device), LEAST_SIDE) for p in (a, b)]
        return metric(*pair).flatten().double().cpu().numpy()

    return distance


def load_squeeze_features(backbone: Path | None, device: torch.device) -> Features:
    """SqueezeNet 1.1's last feature maps (512 channels) averaged over the picture, at its own size.

    Raises EganError where the backbone's weights cannot be had.
    """
    weights = backbone_weights("squeeze", backbone)
    with silence():
        from torchvision.models import squeezenet1_1

        network: nn.Module = squeezenet1_1(weights=None).features
    try:
        network.load_state_dict(
            {k: weights["features." + k] for k in network.state_dict()}
        )
    except (KeyError, RuntimeError) as error:
        raise EganError(
            f"{backbone} holds no SqueezeNet features",
            "frechet needs a SqueezeNet 1.1 file",
        ) from error
    network = network.eval().requires_grad_(False).to(device)
    mean, std = (torch.tensor(v, device=device)[:, None, None] for v in IMAGENET)

    @torch.inference_mode()
    def features(pictures: Pictures) -> Floats:
        unit = (to_unit(pictures, device) + 1) / 2
        return network((unit - mean) / std).mean((2, 3)).double().cpu().numpy()

    return features


def load_inception_features(inception: Path | None, device: torch.device) -> Features:
    """The 2048 pool features of FID's Inception (torch-fidelity's port, its TF1 bilinear resize to 299x299).

    Raises EganError where torch-fidelity or the weights are missing.
    """
    if inception is None:
        raise EganError("no Inception weights", INCEPTION)
    try:
        with silence():
            from torch_fidelity.feature_extractor_inceptionv3 import (
                FeatureExtractorInceptionV3,
            )
    except ImportError as error:
        raise EganError(
            "torch-fidelity is not installed", "pip install torch-fidelity"
        ) from error
    if not inception.is_file():
        raise EganError(f"no such file: {inception}", "named by --inception", 2)
    try:
        torch.load(
            inception, weights_only=True
        )  # torch-fidelity itself would unpickle anything
        with silence():
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat",
                ["2048"],
                feature_extractor_weights_path=str(inception),
            )
    except Exception as error:
        raise EganError(
            f"{inception} does not hold FID's Inception weights", INCEPTION
        ) from error
    network = network.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def features(pictures: Pictures) -> Floats:
        batch = (
            torch.from_numpy(np.ascontiguousarray(pictures))
            .permute(0, 3, 1, 2)
            .to(device)
        )
        return network(batch)[0].double().cpu().numpy()

    return features


def at_least(pictures: Tensor, side: int) -> Tensor:
    if min(pictures.shape[-2:]) >= side:
        return pictures
    return nnf.interpolate(pictures, (side, side), mode="bilinear", align_corners=False)
