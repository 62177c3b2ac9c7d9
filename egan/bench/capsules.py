"""What capsules survive, and what the receiver gets: the floors of the capsule, measured
on whole disguises, header included.

Run: python -m egan.bench.capsules --x FACES --y FLOWERS --messages PETS --limit 40
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from egan.bench.attacks.channel import NOTE, ways
from egan.bench.intervals import mean_interval
from egan.core import modulation
from egan.core.inference import KeyedModel
from egan.core.model import Model, Pictures, Progress
from egan.errors import EganError
from egan.pictures import compose, files
from egan.pictures.boxes import Box, boxes_text
from egan.pictures.files import Loaded, Picture
from egan.pictures.metrics import psnr
from egan.pictures.sources import walk
from egan.verbs import capsules, hide, keygen, unhide
from egan.verbs.capsules import Robust, cut
from egan.verbs.job import Job
from egan.verbs.weights import Weights, find_weights


def lay_capsules(model: Model) -> None:
    """From now on the model's disguises carry a capsule of random bits, drawn from the
    composite and the keystream, which stand for sealed bytes.

    Raises EganError for a model without a lock, and later for pictures that are too
    small.
    """
    if not isinstance(model, KeyedModel) or not model.locked:
        raise EganError("--robust needs weights with a lock", status=2)

    def encrypt(
        pictures: Pictures,
        keys: Pictures,
        keystreams: Pictures | None,
        even: NDArray[np.bool_] | None = None,
        progress: Progress | None = None,
    ) -> Pictures:
        height, width = pictures.shape[1:3]
        if min(height, width) < capsules.SMALLEST:
            raise EganError(
                f"pictures of {width}x{height} pixels are too small for --robust",
                f"--size {capsules.SMALLEST} or more",
                2,
            )
        room = modulation.layout(modulation.block_count(height, width)).room
        paints = model.paint("F", pictures, keys, keystreams, progress)
        carriers = model.carriers("F").matrix
        for i, paint in enumerate(paints):
            words = [pictures[i], *([] if keystreams is None else [keystreams[i]])]
            seed = [zlib.crc32(part.tobytes()) for part in words]
            random = np.random.default_rng(seed)
            bits = random.integers(0, 2, room, np.uint8)
            rung = int(random.integers(modulation.RUNGS))
            paint[:] = modulation.lay(paint, carriers, bits, rung)
        return model.levels("F", paints, even)

    vars(model)["encrypt"] = encrypt


@dataclass
class Survived:
    """Of one way: PSNR in dB of the messages of all capsules that opened."""

    messages: list[float] = field(default_factory=list)

    def line(self, name: str, count: int) -> str:
        if not self.messages:
            return f"{name}\t0 of {count}"
        low, high = (
            mean_interval(self.messages, 0) if len(self.messages) > 1 else (np.nan,) * 2
        )
        mean = np.mean(self.messages)
        opened = f"{len(self.messages)} of {count}"
        return f"{name}\t{opened}\t{mean:.2f} dB ({low:.2f} to {high:.2f})"


def composite(cover: Loaded, message: Loaded, side: int, size: int, at: Box) -> Loaded:
    """A cover of `side` pixels with the message, `size` pixels, in a box."""
    pixels = compose.fit_cover(cover, (side, side)).copy()
    image = Image.fromarray(files.flatten(message))
    fitted = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
    cut(pixels, at)[:] = np.asarray(fitted)
    return Loaded(pixels, None, "a composite", boxes_text((at,), pixels))


def sent(
    weights: Weights, loaded: Loaded, public: hide.PublicKey, robust: Robust | None
) -> Picture:
    """A disguise of a composite, with a note of 100 characters."""
    job = hide.composite_job(loaded, "a composite", weights, note=NOTE)
    (disguise,) = hide.encrypt([job], [public], robust=robust)
    return disguise


def received(
    weights: Weights, picture: Picture, private: hide.PrivateKey
) -> tuple[Job, Picture]:
    """What `egan decrypt` makes of a picture. Raises EganError."""
    loaded = Loaded(picture, None, "a picture", lossy="JPEG")
    job = unhide.open_disguise(loaded, "a picture", private, weights)
    return job, unhide.decrypt([job], private)[0]


def measure(
    weights: Weights,
    triples: Sequence[tuple[Loaded, Loaded, Loaded]],
    side: int,
    size: int,
    robust: Robust,
) -> dict[str, Survived]:
    """By way, what opens with an exact note; beside it what the unaltered picture gives
    with a capsule and without one.
    """
    found = {name: Survived() for name in ("PNG, no capsule", *ways())}
    random = np.random.default_rng(0)
    for number, (face, flower, message) in enumerate(triples):
        x, y = (compose.fit_cover(one, (side, side)) for one in (face, flower))
        private, public = keygen.key_pair(weights, x, y)
        left, top = (int(v) for v in random.integers(0, side - size + 1, 2))
        box = (left, top, size, size)
        cover = triples[number - 1][0]
        loaded = composite(cover, message, side, size, box)
        bare = sent(weights, loaded, public, None)
        disguise = sent(weights, loaded, public, robust)
        changed = {name: change(disguise, random) for name, change in ways().items()}
        for name, picture in {"PNG, no capsule": bare, **changed}.items():
            try:
                job, decoded = received(weights, picture, private)
            except EganError:
                continue
            if job.note == NOTE:
                pair = cut(decoded, box), cut(loaded.pixels, box)
                found[name].messages.append(psnr(*pair))
    return found


def pictures(folder: str, limit: int) -> list[Loaded]:
    """At most so many pictures of a folder, in an order that is always the same."""
    sources = walk(Path(folder)).sources
    order = np.random.default_rng(0).permutation(len(sources))[:limit]
    return [files.read_picture(sources[i].path) for i in order]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--x", required=True, help="folder of covers")
    parser.add_argument("--y", required=True, help="folder of flowers")
    parser.add_argument("--messages", required=True, help="folder of messages")
    parser.add_argument("--limit", type=int, default=40, help="pairs")
    parser.add_argument("--side", type=int, default=256, help="of disguises, pixels")
    parser.add_argument("--message-side", type=int, default=64, help="pixels")
    parser.add_argument("--jpeg-only", action="store_true", help="the other profile")
    parser.add_argument("--weights", help="a weights file [default: egan's own]")
    given = parser.parse_args()
    weights = Weights(find_weights(given.weights))
    if given.side < max(capsules.SMALLEST, given.message_side):
        parser.error(f"--side is less than {capsules.SMALLEST} or than the message's")
    folders = (given.x, given.y, given.messages)
    triples = list(
        zip(*(pictures(folder, given.limit) for folder in folders), strict=False)
    )
    robust = Robust.JPEG if given.jpeg_only else Robust.ANY
    found = measure(weights, triples, given.side, given.message_side, robust)
    print(f"{len(triples)} pairs of {given.side}x{given.side}, profile {robust.value}")
    for name, survived in found.items():
        print(survived.line(name, len(triples)))


if __name__ == "__main__":
    main()
