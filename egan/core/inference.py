"""EncryptGAN's verbs on plain arrays, over networks that a runtime runs as stages.

A stage is a piece of a generator, or K, between two steps in closed form: torch modules
in `egan.core.stages`, run by torch itself or, exported, by ONNX Runtime. The lock lies
between stages, out of their reach: "paint" gets locked phases and a key image and
nothing else, whatever a weights file holds.

Pictures are handled one by one outside of the networks, so they come out the same alone
or in a batch.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from egan.core import closed_form
from egan.core.closed_form import CELL, Carriers
from egan.core.lock import lock
from egan.core.model import (
    Floats,
    Model,
    Pictures,
    Progress,
    Side,
    check_sides,
    whole_levels,
)
from egan.core.options import ModelOptions
from egan.core.resize import resized
from egan.core.tiles import Tile, tiles

# What follows is in pixels. Tiles begin at the multiples of one cell of the U-Net's
# deepest level.
ALIGN = 16
# The pixels of the largest tile with its border: more take more memory, fewer see more
# borders.
LARGEST_TILE = 2_300_000
# Cells that are rounded together
CELLS = 65_536
# K halves a picture six times, and looks half a cell of the last map beyond its edge.
KEY_ALIGN = KEY_BORDER = 64


class KeyedModel(Model):
    """EncryptGAN of either family, on a runtime that a subclass brings."""

    options: ModelOptions

    @abc.abstractmethod
    def run(self, stage: str, *inputs: NDArray) -> list[NDArray]:
        """The outputs of one stage for a batch of inputs."""

    @abc.abstractmethod
    def tensor(self, name: str) -> Floats:
        """A tensor of the weights by name, as float32."""

    @property
    def locked(self) -> bool:
        """Whether the generators carry the phase lock (family `egan`)."""
        return self.options.family == "egan"

    @property
    def together(self) -> int:
        """Pictures that the networks take at once."""
        return self.batch

    def keystream_shape(self, height: int, width: int) -> tuple[int, int, int]:
        """Shape (P, H/4, W/4) of the keystream of one picture."""
        return self.options.phases, height // CELL, width // CELL

    def key_images(self, pictures: Pictures, layers: Sequence[int]) -> Pictures:
        """K's key images of uint8 pictures (N, H, W, 3): uint8 of the same shape, one
        channel per layer.
        """
        size = check_sides(pictures)
        out = np.empty(pictures.shape, np.uint8)
        for part in parts(len(pictures), self.together):
            maps = self.key_maps(pictures[part], max(layers))
            for i, n in enumerate(range(len(pictures))[part]):
                chosen = [maps[layer - 1][i] for layer in layers]
                out[n] = closed_form.key_picture(chosen, size, self.options.key_levels)
        return out

    def key_maps(self, pictures: Pictures, last: int) -> list[Floats]:
        """K's activations of layers 1 to `last`, averaged over channels: (N, H/2^i,
        W/2^i).
        """
        height, width = pictures.shape[1:3]
        # Instance norm sees all of a picture.
        most = LARGEST_TILE if self.options.key_levels else height * width
        cut = tiles(height, width, most, KEY_BORDER, KEY_ALIGN)
        found = [
            np.empty((len(pictures), height >> i, width >> i), np.float32)
            for i in range(1, last + 1)
        ]
        for rows, columns in cut:
            outputs = self.run("K", pictures[:, rows.outer(), columns.outer()])
            for i, (whole, output) in enumerate(zip(found, outputs, strict=False), 1):
                made = output[:, rows.inner(2**i), columns.inner(2**i)]
                whole[:, rows.own(2**i), columns.own(2**i)] = made
        return found

    def paint(
        self,
        side: Side,
        pictures: Pictures,
        keys: Pictures,
        keystreams: Pictures | None,
        progress: Progress | None = None,
    ) -> Floats:
        check_sides(pictures)
        if not self.locked:
            return self.translate(side, pictures, keys)
        phases = self.phase_bytes(pictures, keys, side)
        return self.render(lock(phases, needed(keystreams)), keys, side, progress)

    def levels(
        self, side: Side, paint: Floats, even: NDArray[np.bool_] | None = None
    ) -> Pictures:
        """A paint (N, H, W, 3) on whole levels, with the error of rounding where no
        carrier lies (`round_against`).

        even: bool (H, W, 3), the samples whose lowest bits will carry a header: they
        come out even.
        """
        if not self.locked:
            return super().levels(side, paint, even)
        weight = self.carriers(side).weight
        out = np.empty(paint.shape, np.uint8)
        height, width = paint.shape[1:3]
        # Bands of large pictures, since what is rounded is copied twice
        band = max(1, CELLS // (width // CELL)) * CELL
        for levels, picture in zip(out, paint, strict=True):
            for rows in parts(height, band):
                mask = None if even is None else columns_of(even[rows])
                values = columns_of(picture[rows])
                rounded = closed_form.round_against(values, weight, mask)
                shape = (-1, len(picture[rows]) // CELL, width // CELL)
                levels[rows] = closed_form.picture_of(rounded.reshape(shape))
        return out

    def decrypt(
        self,
        disguises: Pictures,
        keys: Pictures,
        keystreams: Pictures | None = None,
        progress: Progress | None = None,
    ) -> Pictures:
        return self.reveal("G", disguises, keys, keystreams, progress)

    def sign(
        self,
        secrets: Pictures,
        keys: Pictures,
        keystreams: Pictures | None = None,
        even: NDArray[np.bool_] | None = None,
        progress: Progress | None = None,
    ) -> Pictures:
        """Signed pictures s = G(secret, K(x)) of uint8 secret pictures of domain Y;
        arguments as in `encrypt`.
        """
        painted = self.paint("G", secrets, keys, keystreams, progress)
        return self.levels("G", painted, even)

    def unsign(
        self,
        signed: Pictures,
        keys: Pictures,
        keystreams: Pictures | None = None,
        progress: Progress | None = None,
    ) -> Pictures:
        """The decode of a signed picture, F(s, K(y)), to be compared with the secret;
        arguments as in `paint`.
        """
        return self.reveal("F", signed, keys, keystreams, progress)

    def translate(self, side: Side, pictures: Pictures, keys: Pictures) -> Floats:
        """The paint of a generator without a lock: (N, H, W, 3)."""
        size = check_sides(pictures)
        out = np.empty(pictures.shape, np.float32)
        whole = tiles(*size, size[0] * size[1], 0, ALIGN)[0]
        for part in parts(len(pictures), self.together):
            key = fitted(keys, part, size, whole)
            (out[part],) = self.run(f"{side}.translate", pictures[part], key)
        return out

    def phase_bytes(
        self, pictures: Pictures, keys: Pictures, side: Side = "F"
    ) -> Pictures:
        """A generator's encoding of pictures before the lock: phases a in Z_256, uint8
        (N, P, H/4, W/4).
        """
        size = check_sides(pictures)
        out = np.empty((len(pictures), *self.keystream_shape(*size)), np.uint8)
        for part, (rows, columns) in self.work(
            len(pictures), size, self.encoder_border
        ):
            key = fitted(keys, part, size, (rows, columns))
            seen = pictures[part, rows.outer(), columns.outer()]
            (made,) = self.run(f"{side}.encode", seen, *([key] if side == "G" else []))
            for n, components in zip(range(len(pictures))[part], made, strict=True):
                phases = closed_form.phase_bytes(components, self.options.verniers)
                inner = phases[:, rows.inner(CELL), columns.inner(CELL)]
                out[n, :, rows.own(CELL), columns.own(CELL)] = inner
        return out

    def render(
        self,
        locked: Pictures,
        keys: Pictures,
        side: Side = "F",
        progress: Progress | None = None,
    ) -> Floats:
        """A generator's decoder: paints (N, H, W, 3) from locked phase bytes (N, P, h,
        w) and key images, and nothing else.
        """
        count, _, h, w = locked.shape
        size = (h * CELL, w * CELL)
        out = np.empty((count, *size, 3), np.float32)
        cut = self.work(count, size, self.decoder_border, progress)
        for part, (rows, columns) in cut:
            key = fitted(keys, part, size, (rows, columns))
            seen = locked[part, :, rows.outer(CELL), columns.outer(CELL)]
            phases = np.stack([closed_form.unit_phases(b) for b in seen])
            (made,) = self.run(f"{side}.paint", phases, key)
            out[part, rows.own(), columns.own()] = made[
                :, rows.inner(), columns.inner()
            ]
        return out

    def reveal(
        self,
        side: Side,
        pictures: Pictures,
        keys: Pictures,
        keystreams: Pictures | None,
        progress: Progress | None = None,
    ) -> Pictures:
        """A generator's decode of pictures that the other side painted: uint8 (N, H, W,
        3).
        """
        size = check_sides(pictures)
        if not self.locked:
            return whole_levels(self.translate(side, pictures, keys))
        streams = needed(keystreams)
        out = np.empty(pictures.shape, np.uint8)
        border = self.decoder_border
        if not self.options.exact_measuring:
            border += self.encoder_border
        cut = self.work(len(pictures), size, border, progress)
        for part, (rows, columns) in cut:
            key = fitted(keys, part, size, (rows, columns))
            seen = pictures[part, rows.outer(), columns.outer()]
            used = streams[part, :, rows.outer(CELL), columns.outer(CELL)]
            phases = np.stack(
                [
                    closed_form.turned_back(closed_form.directions(measured), k)
                    for measured, k in zip(
                        self.measure(side, seen, key), used, strict=True
                    )
                ]
            )
            verniers = self.options.verniers
            components = [closed_form.components_of(z, verniers) for z in phases]
            (made,) = self.run(f"{side}.reveal", np.stack(components), phases, key)
            out[part, rows.own(), columns.own()] = whole_levels(
                made[:, rows.inner(), columns.inner()]
            )
        return out

    def measure(self, side: Side, pictures: Pictures, key: Floats) -> Sequence[Floats]:
        """Complex numbers (2P, h, w), real parts first, in each of pictures that the
        other side painted.
        """
        if self.options.exact_measuring:
            hider = self.carriers("F" if side == "G" else "G")
            return [hider.measure(picture) for picture in pictures]
        (made,) = self.run(f"{side}.measure", pictures, *([key] if side == "G" else []))
        return list(made)

    def carriers(self, side: Side) -> Carriers:
        """The carriers that a generator paints with."""
        start = f"{side}.decoder.direct.0"
        return Carriers.stored(
            self.tensor(f"{start}.weight"), self.tensor(f"{start}.bias")
        )

    @property
    def encoder_border(self) -> int:
        """As far as a cell of an encoder sees."""
        return aligned(CELL * (2 * self.options.encoder_blocks + 2))

    @property
    def decoder_border(self) -> int:
        """As far as a pixel of a decoder sees: its U-Net at 1/4, 1/8 and 1/16, and one
        cell for the verniers.
        """
        blocks = 2 * self.options.decoder_blocks
        cells = CELL * (2 * blocks + 3) + 2 * CELL * 2 * blocks + 4 * CELL * blocks
        return aligned(cells + 4 * CELL)

    def work(
        self,
        count: int,
        size: tuple[int, int],
        border: int,
        progress: Progress | None = None,
    ) -> Iterator[tuple[slice, Tile]]:
        """Every run of pictures with every tile of them."""
        todo = [
            (part, tile)
            for part in parts(count, self.together)
            for tile in tiles(*size, LARGEST_TILE, border, ALIGN)
        ]
        for done, one in enumerate(todo):
            if progress is not None:
                progress(done, len(todo))
            yield one
        if progress is not None:
            progress(len(todo), len(todo))


def needed(keystreams: Pictures | None) -> Pictures:
    if keystreams is None:
        raise ValueError("a model with a lock needs keystreams")
    return keystreams


def parts(count: int, together: int) -> list[slice]:
    return [slice(i, i + together) for i in range(0, count, together)]


def aligned(pixels: int) -> int:
    return -(-pixels // ALIGN) * ALIGN


def columns_of(picture: NDArray) -> NDArray:
    """(H, W, 3) to one column of 48 for every cell: (48, H W / 16)."""
    return closed_form.cells_of(picture).reshape(
        -1, picture.shape[0] * picture.shape[1] // CELL**2
    )


def fitted(keys: Pictures, part: slice, size: tuple[int, int], tile: Tile) -> Floats:
    """A tile of key images at the size (H, W) of pictures: float32 (N, 3, h, w) in [-1,
    1].
    """
    rows, columns = tile
    # One key for a whole batch is resized once.
    shared = keys.strides[0] == 0
    chosen = keys[part]
    made = [
        resized(key, size, rows.outer(), columns.outer())
        for key in (chosen[:1] if shared else chosen)
    ]
    scaled = np.stack(made).transpose(0, 3, 1, 2) / np.float32(127.5) - 1
    return np.ascontiguousarray(
        np.broadcast_to(scaled, (len(chosen), *scaled.shape[1:]))
    )
