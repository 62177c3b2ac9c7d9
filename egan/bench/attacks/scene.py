"""A `Scheme` makes disguises as `egan encrypt` does, and a `Scene` is a scheme on a set
of pairs. The planted leaks of the controls are schemes, too.

The rule: an attacker gets the weights, the public keys, the covers and the disguises,
and never `Scene.private`, `Scene.streams` or the message. Those are for the judge, who
computes ceiling and score.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from egan.bench.data import PictureSets
from egan.bench.protocol import HeldOutPairs, chunks, make_pairs
from egan.core.model import Pictures
from egan.crypto.keys import PrivateKey
from egan.pictures.squares import Square

Random = np.random.Generator


@dataclasses.dataclass(frozen=True)
class Budget:
    """An attacker's budget: training steps (which repeat) or seconds, and keys to try."""

    steps: int | None = 300
    seconds: float | None = None
    keys: int = 1000
    batch: int = 8

    def __str__(self) -> str:
        return f"{self.steps} steps" if self.seconds is None else f"{self.seconds:g} s"


class Scheme:
    """A model as `egan encrypt` uses it: a fresh uniform keystream for every picture."""

    # Name of the planted leak.
    words = ""

    def __init__(self, model: Any, batch: int = 8) -> None:
        self.model, self.batch = model, batch

    @property
    def locked(self) -> bool:
        return bool(self.model.locked)

    def streams(self, count: int, side: int, random: Random) -> Pictures | None:
        """Keystreams, uint8 (count, P, S/4, S/4), or None for a scheme without a lock."""
        if not self.locked:
            return None
        return random.integers(
            0, 256, (count, *self.model.keystream_shape(side, side)), dtype=np.uint8
        )

    def disguise(
        self,
        composites: Pictures,
        public: Pictures,
        streams: Pictures | None,
        boxes: Sequence[Square],
    ) -> Pictures:
        """Disguises of composites, uint8 (N, S, S, 3). `boxes` is for planted leaks;
        the scheme itself never sees it.
        """
        parts = chunks(range(len(composites)), self.batch)
        return np.concatenate(
            [
                self.model.encrypt(
                    composites[p], public[p], None if streams is None else streams[p]
                )
                for p in parts
            ]
        )

    def reveal(
        self, disguises: Pictures, keys: Pictures, streams: Pictures | None
    ) -> Pictures:
        """Decodes of disguises with key images and keystreams."""
        parts = chunks(range(len(disguises)), self.batch)
        return np.concatenate(
            [
                self.model.decrypt(
                    disguises[p], keys[p], None if streams is None else streams[p]
                )
                for p in parts
            ]
        )


class LockOff(Scheme):
    """Planted leak: the lock adds zero everywhere."""

    words = "lock switched off"

    def streams(self, count: int, side: int, random: Random) -> Pictures | None:
        found = super().streams(count, side, random)
        return None if found is None else np.zeros_like(found)


class OneByte(Scheme):
    """Planted leak: a key of one byte, the same for every phase of every picture."""

    words = "one key byte for all phases"

    def streams(self, count: int, side: int, random: Random) -> Pictures | None:
        found = super().streams(count, side, np.random.default_rng(7))
        return (
            None
            if found is None
            else np.broadcast_to(found[:1, :1, :1, :1], found.shape).copy()
        )


class SameStream(Scheme):
    """Planted leak: every picture gets the same keystream, the two-time pad."""

    words = "the same keystream twice"

    def streams(self, count: int, side: int, random: Random) -> Pictures | None:
        found = super().streams(1, side, np.random.default_rng(7))
        return None if found is None else np.repeat(found, count, 0)


class ShowsThrough(Scheme):
    """Planted leak for schemes without a lock: three quarters of the disguise are the
    composite.
    """

    words = "the composite shows through"

    def disguise(
        self,
        composites: Pictures,
        public: Pictures,
        streams: Pictures | None,
        boxes: Sequence[Square],
    ) -> Pictures:
        made = super().disguise(composites, public, streams, boxes)
        return (
            (made.astype(np.uint16) + 3 * composites.astype(np.uint16) + 2) // 4
        ).astype(np.uint8)


class Marked(Scheme):
    """Planted leak: message boxes are drawn into the disguise, some levels brighter."""

    levels = 24
    words = "box 24 levels brighter"

    def disguise(
        self,
        composites: Pictures,
        public: Pictures,
        streams: Pictures | None,
        boxes: Sequence[Square],
    ) -> Pictures:
        made = super().disguise(composites, public, streams, boxes).astype(np.int16)
        for picture, box in zip(made, boxes, strict=True):
            box.cut(picture)[:] += self.levels if box.size else 0
        return made.clip(0, 255).astype(np.uint8)


@dataclasses.dataclass(eq=False)
class Scene:
    """One scheme on the pairs of a run. `decoys` are the composites with the next
    pair's message in the same box, which a guess that knows nothing of the message hits
    just as well as the truth.
    """

    scheme: Scheme
    sets: PictureSets
    pairs: HeldOutPairs
    decoys: Pictures
    seed: int

    @classmethod
    def make(cls, scheme: Scheme, sets: PictureSets, seed: int) -> Scene:
        rolled = dataclasses.replace(
            sets,
            messages=[group[1:] + group[:1] for group in sets.messages],
            message_names=[names[1:] + names[:1] for names in sets.message_names],
        )
        return cls(
            scheme,
            sets,
            make_pairs(sets, seed),
            make_pairs(rolled, seed).composites,
            seed,
        )

    def with_leak(self, leak: type[Scheme]) -> Scene:
        """The same pairs under a scheme with a planted leak."""
        return dataclasses.replace(
            self, scheme=leak(self.scheme.model, self.scheme.batch)
        )

    def first(self, count: int) -> Scene:
        """The first pairs only, for attacks that cost much a picture."""
        return dataclasses.replace(
            self, pairs=self.pairs.first(count), decoys=self.decoys[:count]
        )

    @property
    def side(self) -> int:
        return self.pairs.composites.shape[1]

    def random(self, *words: int) -> Random:
        return np.random.default_rng([self.seed, 91, *words])

    def key_images(self, pictures: Pictures, which: str) -> Pictures:
        """K's key images for `private_layers` or `public_layers`; the pictures
        themselves where there is no K.
        """
        model = self.scheme.model
        layers = getattr(model.options, which, ())
        parts = chunks(range(len(pictures)), self.scheme.batch)
        return np.concatenate([model.key_images(pictures[p], layers) for p in parts])

    @cached_property
    def exact(self) -> Pictures:
        """K(x) of the public covers, as anyone computes it."""
        return self.key_images(self.pairs.covers, "private_layers")

    @cached_property
    def private(self) -> Pictures:
        """The judge's private key images: K(x) with random levels, as `egan keygen`
        makes them and G gets them.
        """
        if not getattr(self.scheme.model, "keyed", True):
            return self.exact
        steps = self.random(1).integers(-1, 2, self.exact.shape)
        return PrivateKey((self.exact + steps).clip(0, 255).astype(np.uint8)).image

    @cached_property
    def public(self) -> Pictures:
        return self.key_images(self.pairs.flowers, "public_layers")

    @cached_property
    def streams(self) -> Pictures | None:
        return self.scheme.streams(len(self.pairs.boxes), self.side, self.random(2))

    @cached_property
    def disguises(self) -> Pictures:
        p = self.pairs
        return self.scheme.disguise(p.composites, self.public, self.streams, p.boxes)

    @cached_property
    def decodes(self) -> Pictures:
        """The receiver's decodes: the ceiling."""
        return self.scheme.reveal(self.disguises, self.private, self.streams)


@dataclasses.dataclass(eq=False)
class Factory:
    """Fresh samples without end, for attackers who train: covers, messages and public
    keys of one half of the pictures for training, of the other half for the judge; new
    places, mirrorings and keystreams every time.
    """

    scene: Scene
    held_out: bool
    random: Random

    @cached_property
    def indices(self) -> np.ndarray:
        n = len(self.scene.pairs.boxes)
        return (
            np.arange(n)[(n + 1) // 2 :]
            if self.held_out and n > 1
            else np.arange(n)[: (n + 1) // 2]
        )

    def draw(self, count: int) -> tuple[Pictures, Pictures, list[Square]]:
        """Disguises and composites, uint8 (count, S, S, 3), and boxes."""
        covers, public, boxes = self.places(count)
        composites = self.paste(covers, boxes)
        return self.disguise(composites, public, boxes), composites, boxes

    def with_and_without(self, count: int) -> tuple[Pictures, Pictures]:
        """Disguises of `count` composites, and of their bare covers, to the same public
        keys.
        """
        covers, public, boxes = self.places(count)
        full = self.disguise(self.paste(covers, boxes), public, boxes)
        return full, self.disguise(
            covers, public, [Square(box.x, box.y, 0) for box in boxes]
        )

    def disguise(
        self, pictures: Pictures, public: np.ndarray, boxes: Sequence[Square]
    ) -> Pictures:
        scheme = self.scene.scheme
        streams = scheme.streams(len(pictures), self.scene.side, self.random)
        return scheme.disguise(pictures, self.scene.public[public], streams, boxes)

    def judged(self, count: int) -> Scene:
        """A scene of `count` fresh pairs, for the judge."""
        covers, public, boxes = self.places(count)
        composites, decoys = self.paste(covers, boxes), self.paste(covers, boxes)
        pairs = HeldOutPairs(
            composites,
            covers,
            self.scene.pairs.flowers[public],
            boxes,
            [("", "", "")] * count,
        )
        return Scene(self.scene.scheme, self.scene.sets, pairs, decoys, self.scene.seed)

    def places(self, count: int) -> tuple[Pictures, np.ndarray, list[Square]]:
        """Covers, mirrored or not, indices of public keys, and places for messages."""
        random, side = self.random, self.scene.side
        chosen = random.choice(self.indices, (2, count))
        covers = self.scene.pairs.covers[chosen[0]].copy()
        flip = random.random(count) < 0.5
        covers[flip] = covers[flip, :, ::-1]
        boxes = [Square.anywhere(random, side) for _ in range(count)]
        return covers, chosen[1], boxes

    def paste(self, covers: Pictures, boxes: Sequence[Square]) -> Pictures:
        """Composites of covers and random messages."""
        composites = covers.copy()
        for composite, box in zip(composites, boxes, strict=True):
            group = self.scene.sets.messages[
                int(self.random.integers(len(self.scene.sets.messages)))
            ]
            half = (len(group) + 1) // 2
            mine = group[half:] if self.held_out and len(group) > 1 else group[:half]
            box.paste(composite, mine[int(self.random.integers(len(mine)))])
        return composites
