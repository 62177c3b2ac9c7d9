"""EncryptGAN: K, F and G in one model that loads from one safetensors file, and its two verbs on plain arrays.

`encrypt` and `decrypt` are functions of uint8 pictures, uint8 key pictures and keystream bytes; keys, envelopes and
files live elsewhere. The networks are in `egan.networks`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from egan.errors import EganError
from egan.files import current_umask
from egan.lock import lock
from egan.networks import CELL, HIDE, REVEAL, KeyNetwork, LockedGenerator, ResNetGenerator, rotate_phases
from egan.options import ModelOptions
from egan.weights import WEIGHTS_VERSION, check_safetensors, parse_metadata, weights_id

Pictures = NDArray[np.uint8]

BATCH = 8  # pictures a pass on the CPU: enough to fill the cores, little enough to keep memory flat


class EncryptGAN(nn.Module):
    """The model of one weights file. `F`: X to Y, `G`: Y to X, `K`: key images."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__()
        self.options = options
        self.id = bytes(8)  # of the weights file that it was loaded from
        self.training_summary: dict[str, Any] = {}
        self.K = KeyNetwork(options.key_width)
        if self.locked:
            self.F: nn.Module = LockedGenerator(False, options)
            self.G: nn.Module = LockedGenerator(True, options)
        else:
            self.F = ResNetGenerator(6, options.resnet_width, options.resnet_blocks)
            self.G = ResNetGenerator(6, options.resnet_width, options.resnet_blocks)

    @property
    def locked(self) -> bool:
        """Whether the generators carry the phase lock (family `egan`)."""
        return self.options.family == "egan"

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @classmethod
    def load(cls, path: str | Path, device: str | torch.device = "cpu") -> EncryptGAN:
        """Rebuild a model from a weights file alone.

        Raises EganError for a file that is damaged, of an unknown version or family, or does not fit its own metadata.
        """
        path = Path(path)
        identity = weights_id(path)
        check_safetensors(path)
        try:
            with safe_open(str(path), "pt") as file:
                options, training = parse_metadata(file.metadata(), str(path))
                tensors = {k: widened(file.get_tensor(k)) for k in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise EganError(f"cannot read weights {path}: {error}") from error
        with torch.device("meta"):
            model = cls(options)
        try:
            model.load_state_dict(tensors, assign=True)
        except RuntimeError as error:
            raise EganError(f"weights {path} do not fit their own description") from error
        model.id, model.training_summary = identity, training
        model = model.eval().requires_grad_(False)
        return model if torch.device(device).type == "cpu" else model.to(device)

    def save(self, path: str | Path, training: dict[str, Any]) -> None:
        """Write the weights file in half precision, atomically. `training` is free JSON: recipe, data, figures."""
        path = Path(path)
        tensors = {k: v.detach().half().cpu().contiguous() for k, v in self.state_dict().items()}
        metadata = {
            "egan": WEIGHTS_VERSION,
            "options": self.options.to_json(),
            "training": json.dumps(training, sort_keys=True),
        }
        part = path.with_name(path.name + ".part")
        save_file(tensors, str(part), metadata)
        os.chmod(part, 0o666 & ~current_umask())
        os.replace(part, path)

    def keystream_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape (P, H/4, W/4) of the keystream of one picture."""
        return self.options.phases, height // CELL, width // CELL

    @torch.inference_mode()
    def key_images(self, pictures: Pictures, layers: Sequence[int]) -> Pictures:
        """K's key images of uint8 pictures (N, H, W, 3): uint8 of the same shape, one channel per layer."""
        return to_bytes(self.K.key_image(to_unit(pictures, self.device), layers))

    @torch.inference_mode()
    def encrypt(self, composites: Pictures, keys: Pictures, keystreams: Pictures | None) -> Pictures:
        """Disguises e = F(composite, K(y)) of uint8 composites (N, H, W, 3).

        keys: public key images (N, h, w, 3), resized to the composites where they differ. keystreams: uint8
        (N, P, H/4, W/4) of the phase lock; None for the family `paper`, which has no lock.
        """
        return self.hide(self.F, composites, keys, keystreams)

    @torch.inference_mode()
    def decrypt(self, disguises: Pictures, keys: Pictures, keystreams: Pictures | None) -> Pictures:
        """Recovered composites r = G(e, K(x)) of uint8 disguises (N, H, W, 3); arguments as in `encrypt`."""
        return self.reveal(self.G, disguises, keys, keystreams)

    @torch.inference_mode()
    def sign(self, secrets: Pictures, keys: Pictures, keystreams: Pictures | None) -> Pictures:
        """Signed pictures s = G(secret, K(x)) of uint8 secret pictures of domain Y; arguments as in `encrypt`."""
        return self.hide(self.G, secrets, keys, keystreams)

    @torch.inference_mode()
    def unsign(self, signed: Pictures, keys: Pictures, keystreams: Pictures | None) -> Pictures:
        """What a signed picture decodes to, F(s, K(y)), to be compared with the secret; arguments as in `encrypt`."""
        return self.reveal(self.F, signed, keys, keystreams)

    def hide(
        self, generator: nn.Module, pictures: Pictures, keys: Pictures, keystreams: Pictures | None
    ) -> Pictures:
        if not self.locked:
            return to_bytes(generator(torch.cat(self.prepare(pictures, keys), 1)))
        locked = lock(self.phase_bytes(pictures, keys, generator), cast(Pictures, keystreams))
        return self.render(locked, keys, generator)

    def reveal(
        self, generator: nn.Module, pictures: Pictures, keys: Pictures, keystreams: Pictures | None
    ) -> Pictures:
        picture, key = self.prepare(pictures, keys)
        if not self.locked:
            return to_bytes(generator(torch.cat((picture, key), 1)))
        g = cast(LockedGenerator, generator)
        k = torch.from_numpy(np.array(keystreams)).to(self.device)
        return to_bytes(g.decode(rotate_phases(g.encode(picture, key, REVEAL), k, -1), key, REVEAL))

    @torch.inference_mode()
    def phase_bytes(self, pictures: Pictures, keys: Pictures, generator: nn.Module | None = None) -> Pictures:
        """What a generator's encoder (F's by default) makes of pictures: phases a in Z_256, uint8 (N, P, H/4, W/4), before the lock."""
        picture, key = self.prepare(pictures, keys)
        z = cast(LockedGenerator, generator or self.F).encode(picture, key, HIDE)
        turns = torch.atan2(z[:, 1], z[:, 0]) / (2 * math.pi)
        return (torch.round(turns * 256).int() % 256).to(torch.uint8).cpu().numpy()

    @torch.inference_mode()
    def render(self, locked: Pictures, keys: Pictures, generator: nn.Module | None = None) -> Pictures:
        """A generator's decoder (F's by default): pictures from locked phase bytes (N, P, h, w) and key images, and nothing else."""
        b = torch.from_numpy(np.array(locked)).to(self.device)
        size = (locked.shape[-2] * CELL, locked.shape[-1] * CELL)
        key = fit_keys(keys, size, self.device)
        return to_bytes(cast(LockedGenerator, generator or self.F).decode(unit_phases(b), key, HIDE))

    def prepare(self, pictures: Pictures, keys: Pictures) -> tuple[Tensor, Tensor]:
        height, width = pictures.shape[1:3]
        if height % 16 or width % 16 or min(height, width) < 64:
            raise EganError(
                f"a picture of {width}x{height} pixels does not fit the networks",
                "both sides must be multiples of 16 from 64 up; `egan compose --cover-size 256` makes them so",
            )
        return to_unit(pictures, self.device), fit_keys(keys, (height, width), self.device)


def widened(weight: Tensor) -> Tensor:
    """Half precision to float32, convolutions in the channels-last order that they run faster in."""
    order = torch.channels_last if weight.dim() == 4 else torch.preserve_format
    return weight.to(torch.float32, memory_format=order)


def unit_phases(b: Tensor) -> Tensor:
    """Bytes (N, P, h, w) to exp(2 pi i b / 256) as (N, 2, P, h, w), from a table of 256 float32 values."""
    angle = torch.arange(256, dtype=torch.float64, device=b.device) * (2 * math.pi / 256)
    table = torch.stack((torch.cos(angle), torch.sin(angle))).float()
    return table[:, b.int()].transpose(0, 1)


def to_unit(pictures: Pictures, device: str | torch.device = "cpu") -> Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [-1, 1]."""
    t = torch.from_numpy(np.array(pictures)).to(device)  # a copy: torch wants writable memory
    return t.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_bytes(pictures: Tensor) -> Pictures:
    """float (N, 3, H, W) to uint8 (N, H, W, 3): clamped to [-1, 1] and rounded."""
    levels = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1).contiguous().cpu().numpy()


def fit_keys(keys: Pictures, size: tuple[int, int], device: torch.device) -> Tensor:
    """Key images as floats, resized to `size` (bilinear, antialiased) where they differ."""
    shared = keys.strides[0] == 0  # one key broadcast over a batch is converted once
    key = to_unit(keys[:1] if shared else keys, device)
    if key.shape[-2:] != size:
        key = nnf.interpolate(key, size, mode="bilinear", antialias=True, align_corners=False)
    return key.expand(len(keys), -1, -1, -1)


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one. Raises EganError for a device that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.split(":")[0] == "cuda" and not torch.cuda.is_available():
        raise EganError("no CUDA device here", "use --device cpu", 2)
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise EganError(f"unknown device {name!r}", "use auto, cpu or cuda", 2) from error
