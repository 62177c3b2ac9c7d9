"""The networks between the steps in closed form (`egan.core.inference`), as torch
modules that export to ONNX.

Arrays as a stage takes them: pictures uint8 (N, H, W, 3), key images float32 (N, 3, H,
W) in [-1, 1], phases float32 (N, 2P, H/4, W/4), cosines first. What generators make are
paints, float32 (N, H, W, 3) in levels.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from egan.core.networks import HIDE, KEY_LAYERS, REVEAL, KeyNetwork, LockedGenerator
from egan.core.options import ModelOptions
from egan.core.resnet import ResNetGenerator


class KeyMaps(nn.Module):
    """Pictures to K's activations of every layer, averaged over channels: six of (N,
    H/2^i, W/2^i).
    """

    def __init__(self, network: KeyNetwork) -> None:
        super().__init__()
        self.K = network

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        return tuple(m.mean(1) for m in self.K.features(unit(picture), KEY_LAYERS))


class Encode(nn.Module):
    """Pictures, and for G a key image, to the numbers of a role: see `Encoder.numbers`."""

    def __init__(self, generator: LockedGenerator, role: int) -> None:
        super().__init__()
        self.generator = generator
        self.role = role

    def forward(self, picture: Tensor, key: Tensor | None = None) -> Tensor:
        seen = unit(picture)
        if key is not None:
            seen = torch.cat((seen, key), 1)
        return self.generator.encoder.numbers(seen, self.role)


class Paint(nn.Module):
    """Phases and a key image to a paint that carries them."""

    def __init__(self, generator: LockedGenerator) -> None:
        super().__init__()
        self.generator = generator
        self.register_buffer("beside", generator.decoder.beside_carriers().detach())

    def forward(self, phases: Tensor, key: Tensor) -> Tensor:
        beside = cast(Tensor, self.beside)
        return levels(self.generator.decoder.hide(phases, key, beside))


class Reveal(nn.Module):
    """Components (N, P - V, h, w), their phases and a key image to the paint of a
    decoded picture.
    """

    def __init__(self, generator: LockedGenerator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, components: Tensor, phases: Tensor, key: Tensor) -> Tensor:
        return levels(self.generator.decoder.reveal(components, phases, key))


class Translate(nn.Module):
    """A generator without a lock: pictures and a key image to a paint."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, picture: Tensor, key: Tensor) -> Tensor:
        return levels(self.generator(torch.cat((unit(picture), key), 1)))


def unit(picture: Tensor) -> Tensor:
    """uint8 (N, H, W, 3) to float32 (N, 3, H, W) in [-1, 1]."""
    return picture.permute(0, 3, 1, 2).float() / 127.5 - 1


def levels(picture: Tensor) -> Tensor:
    """(N, 3, H, W) with [-1, 1] as its range to levels (N, H, W, 3) with 0 to 255 as
    theirs.
    """
    return (picture.float().permute(0, 2, 3, 1) + 1) * 127.5


def make_networks(
    options: ModelOptions,
) -> tuple[KeyNetwork, nn.Module, nn.Module]:
    """K, F and G of a model, with fresh weights."""
    key_network = KeyNetwork(options.key_width, options.key_levels)
    if options.family == "egan":
        return (
            key_network,
            LockedGenerator(False, options),
            LockedGenerator(True, options),
        )
    width, blocks = options.resnet_width, options.resnet_blocks
    return (
        key_network,
        ResNetGenerator(6, width, blocks),
        ResNetGenerator(6, width, blocks),
    )


def make_stage(
    name: str, key_network: KeyNetwork, generators: dict[str, nn.Module]
) -> nn.Module:
    """The module of a stage: "K", or the side of a generator and what it does, as
    "F.paint".
    """
    if name == "K":
        return KeyMaps(key_network)
    side, _, verb = name.partition(".")
    generator = generators[side]
    if verb == "translate":
        return Translate(generator)
    locked = cast(LockedGenerator, generator)
    if verb in ("encode", "measure"):
        return Encode(locked, HIDE if verb == "encode" else REVEAL)
    return Paint(locked) if verb == "paint" else Reveal(locked)
