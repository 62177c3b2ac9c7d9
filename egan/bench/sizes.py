"""How near disguises come to their flower at every size, with keys of two sizes.

Run: python -m egan.bench.sizes --x FACES --y FLOWERS --limit 12
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from egan.pictures import compose, files
from egan.pictures.files import Loaded, Picture
from egan.pictures.metrics import psnr
from egan.pictures.sources import walk
from egan.verbs import hide, keygen
from egan.verbs.weights import Weights, find_weights

KEYS = (256, 1024)
SIZES = (128, 256, 512, 1024)
CELL = 4


def cell_means(picture: Picture) -> Picture:
    """The means of cells of 4x4 pixels, where a payload of fine chroma averages out."""
    height, width = (side // CELL for side in picture.shape[:2])
    cells = picture.reshape(height, CELL, width, CELL, 3).astype(np.float64)
    return cells.mean((1, 3)).round().astype(np.uint8)


def nearness(weights: Weights, face: Loaded, flower: Loaded, key: int) -> list[float]:
    """PSNR in dB of disguise to flower, of samples and of cell means, for all SIZES.

    The key pair is drawn at `key` pixels, and the composite, here a face alone, at each
    of the sizes.
    """
    x, y = (compose.fit_cover(one, (key, key)) for one in (face, flower))
    _, public = keygen.key_pair(weights, x, y)
    found = []
    for size in SIZES:
        shown, cover = (compose.fit_cover(one, (size, size)) for one in (flower, face))
        loaded = Loaded(cover, None, "a cover")
        job = hide.composite_job(loaded, "a cover", weights)
        (disguise,) = hide.encrypt([job], [public])
        found += [
            psnr(disguise, shown),
            psnr(cell_means(disguise), cell_means(shown)),
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--x", required=True, help="folder of covers")
    parser.add_argument("--y", required=True, help="folder of flowers")
    parser.add_argument("--limit", type=int, default=12, help="pairs")
    parser.add_argument("--weights", help="a weights file [default: egan's own]")
    given = parser.parse_args()
    weights = Weights(find_weights(given.weights))
    folders = (
        walk(Path(folder)).sources[: given.limit] for folder in (given.x, given.y)
    )
    pairs = [
        tuple(files.read_picture(source.path) for source in pair)
        for pair in zip(*folders, strict=False)
    ]
    print(f"{len(pairs)} pairs; dB of samples / of cell means")
    print("key", *SIZES, sep="\t")
    for key in KEYS:
        rows = [nearness(weights, face, flower, key) for face, flower in pairs]
        means = np.mean(rows, 0).reshape(-1, 2)
        print(key, *(f"{a:.1f} / {b:.1f}" for a, b in means), sep="\t", flush=True)


if __name__ == "__main__":
    main()
