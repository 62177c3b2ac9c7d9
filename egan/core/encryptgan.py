"""EncryptGAN: K, F and G in one model that loads from one safetensors file, and its two verbs on plain arrays.

`encrypt` and `decrypt` are functions of uint8 pictures, uint8 key pictures and keystream bytes; keys, envelopes and
files live elsewhere. The networks are in `egan.core.networks`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from egan.core.lock import lock
from egan.core.model import Model, Pictures
from egan.core.networks import CELL, HIDE, REVEAL, KeyNetwork, LockedGenerator
from egan.core.options import ModelOptions
from egan.core.phases import rotate_phases
from egan.core.resnet import ResNetGenerator
from egan.core.tensors import as_arrays, fit_keys, to_bytes, to_unit, unit_phases
from egan.errors import EganError
from egan.pictures.sizes import fits

BATCH = 8  # pictures a pass on the CPU: enough to fill the cores, little enough to keep memory flat


class EncryptGAN(Model):
    """The model of one weights file. `F`: X to Y, `G`: Y to X, `K`: key images."""

    def __init__(self, options: ModelOptions) -> None:
        super().__init__(options)
        self.K = KeyNetwork(options.key_width, options.key_levels)
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

    def parts(self) -> dict[str, list[nn.Module]]:
        return {"encrypt": [self.F], "decrypt": [self.G]}

    def keystream_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape (P, H/4, W/4) of the keystream of one picture."""
        return self.options.phases, height // CELL, width // CELL

    @torch.inference_mode()
    def key_images(self, pictures: Pictures, layers: Sequence[int]) -> Pictures:
        """K's key images of uint8 pictures (N, H, W, 3): uint8 of the same shape, one channel per layer."""
        return to_bytes(self.K.key_image(to_unit(pictures, self.device), layers))

    @torch.inference_mode()
    def encrypt(
        self,
        composites: Pictures,
        keys: Pictures,
        keystreams: Pictures | None,
        even: NDArray[np.bool_] | None = None,
    ) -> Pictures:
        """Disguises e = F(composite, K(y)) of uint8 composites (N, H, W, 3).

        keys: public key images (N, h, w, 3), resized to the composites where they differ. keystreams: uint8
        (N, P, H/4, W/4) of the phase lock; None for the family `paper`, which has no lock. even: bool (H, W, 3), the
        samples that come out even, because bits of a header will be added to them.
        """
        return self.hide(self.F, composites, keys, keystreams, even)

    @torch.inference_mode()
    def decrypt(
        self, disguises: Pictures, keys: Pictures, keystreams: Pictures | None
    ) -> Pictures:
        """Recovered composites r = G(e, K(x)) of uint8 disguises (N, H, W, 3); arguments as in `encrypt`."""
        return self.reveal(self.G, disguises, keys, keystreams)

    @torch.inference_mode()
    def sign(
        self,
        secrets: Pictures,
        keys: Pictures,
        keystreams: Pictures | None,
        even: NDArray[np.bool_] | None = None,
    ) -> Pictures:
        """Signed pictures s = G(secret, K(x)) of uint8 secret pictures of domain Y; arguments as in `encrypt`."""
        return self.hide(self.G, secrets, keys, keystreams, even)

    @torch.inference_mode()
    def unsign(
        self, signed: Pictures, keys: Pictures, keystreams: Pictures | None
    ) -> Pictures:
        """What a signed picture decodes to, F(s, K(y)), to be compared with the secret; arguments as in `encrypt`."""
        return self.reveal(self.F, signed, keys, keystreams)

    def hide(
        self,
        generator: nn.Module,
        pictures: Pictures,
        keys: Pictures,
        keystreams: Pictures | None,
        even: NDArray[np.bool_] | None = None,
    ) -> Pictures:
        if not self.locked:
            return to_bytes(generator(torch.cat(self.prepare(pictures, keys), 1)))
        locked = lock(
            self.phase_bytes(pictures, keys, generator), cast(Pictures, keystreams)
        )
        return self.render(locked, keys, generator, even)

    def reveal(
        self,
        generator: nn.Module,
        pictures: Pictures,
        keys: Pictures,
        keystreams: Pictures | None,
    ) -> Pictures:
        picture, key = self.prepare(pictures, keys)
        if not self.locked:
            return to_bytes(generator(torch.cat((picture, key), 1)))
        g, hider = (
            cast(LockedGenerator, m)
            for m in (generator, self.F if generator is self.G else self.G)
        )
        k = torch.from_numpy(np.array(keystreams)).to(self.device)
        return to_bytes(
            g.decode(rotate_phases(g.measure(picture, key, hider), k, -1), key, REVEAL)
        )

    @torch.inference_mode()
    def phase_bytes(
        self, pictures: Pictures, keys: Pictures, generator: nn.Module | None = None
    ) -> Pictures:
        """What a generator's encoder (F's by default) makes of pictures: phases a in Z_256, uint8 (N, P, H/4, W/4), before the lock."""
        picture, key = self.prepare(pictures, keys)
        z = cast(LockedGenerator, generator or self.F).encode(picture, key)
        turns = torch.atan2(z[:, 1], z[:, 0]) / (2 * math.pi)
        return (torch.round(turns * 256).int() % 256).to(torch.uint8).cpu().numpy()

    @torch.inference_mode()
    def render(
        self,
        locked: Pictures,
        keys: Pictures,
        generator: nn.Module | None = None,
        even: NDArray[np.bool_] | None = None,
    ) -> Pictures:
        """A generator's decoder (F's by default): pictures from locked phase bytes (N, P, h, w) and key images, and nothing else."""
        b = torch.from_numpy(np.array(locked)).to(self.device)
        size = (locked.shape[-2] * CELL, locked.shape[-1] * CELL)
        key = fit_keys(keys, size, self.device)
        g = cast(LockedGenerator, generator or self.F)
        marked = (
            None
            if even is None
            else torch.from_numpy(even).permute(2, 0, 1).to(self.device)
        )
        return as_arrays(g.levels(g.decode(unit_phases(b), key, HIDE), marked))

    def prepare(self, pictures: Pictures, keys: Pictures) -> tuple[Tensor, Tensor]:
        return to_unit(pictures, self.device), fit_keys(
            keys, check_sides(pictures), self.device
        )


def check_sides(pictures: Pictures) -> tuple[int, int]:
    """Height and width of pictures (N, H, W, 3). Raises EganError where they do not fit the networks."""
    height, width = pictures.shape[1:3]
    if not fits(height, width):
        raise EganError(
            f"a picture of {width}x{height} pixels does not fit the networks",
            "both sides must be multiples of 16 from 64 up; `egan compose --cover-size 256` makes them so",
        )
    return height, width
