"""Figures 4c and 4d of the paper: noise on the key's source picture, on the key, and on
the disguise.

With a lock two things depend on the key: the keystream, through its seed, and the
networks' key image. `keystream known` changes the second alone and so shows the
networks' part; `as egan decrypts` changes both, as for a thief with a noisy key.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from egan.bench.attacks.channel import noisy, psnr_after
from egan.bench.attacks.scene import Scene
from egan.bench.attacks.verdict import box_psnr, floors
from egan.bench.figures.pictures import decode_with
from egan.bench.figures.plot import Sweep
from egan.bench.intervals import mean_interval
from egan.core.model import Pictures
from egan.crypto.keys import PrivateKey
from egan.pictures.sheet import Cell, sheet
from egan.terminal import progress

# Standard deviations of the noise, in levels of 8 bits.
SIGMAS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
SHOWN = (0.0, 2.0, 8.0, 16.0, 32.0, 64.0)
Point = tuple[float, float, float]


def point(scene: Scene, values: list[float]) -> Point:
    low, high = mean_interval(values, scene.seed)
    return float(np.mean(values)), low, high


def noisy_keys(scene: Scene, sigma: float, source: bool) -> Pictures:
    """Private key images with noise on the cover before K, or on the key image itself.
    No noise leaves the key alone.
    """
    if sigma == 0:
        return scene.private
    random = scene.random(21, int(sigma))
    if not source:
        return np.stack([noisy(k, sigma, random) for k in scene.private])
    return scene.key_images(
        np.stack([noisy(c, sigma, random) for c in scene.pairs.covers]),
        "private_layers",
    )


def shown_key(scene: Scene, keys: Pictures, sigma: float, source: bool) -> Pictures:
    """What a figure shows of the first key: a sketch, on which noise on the key is
    seen.
    """
    if source:
        return PrivateKey(keys[0]).sketch
    sketch = PrivateKey(scene.private[0]).sketch
    return noisy(sketch, sigma, scene.random(23, int(sigma)))


def key_noise(scene: Scene) -> tuple[Pictures, list[Sweep]]:
    """Figure 4c: the sheet of the first pair, and a sweep for each place of the noise."""
    sweeps, rows = [], []
    floor = float(np.mean(floors(scene)))
    for words, source in (("the key's source picture", True), ("the key", False)):
        curves: dict[str, list[Point]] = {}
        row: list[Cell] = []
        for sigma in progress(SIGMAS, len(SIGMAS), "figure 4c"):
            keys = noisy_keys(scene, sigma, source)
            known = scene.scheme.reveal(scene.disguises, keys, scene.streams)
            add(
                curves,
                "keystream known" if scene.scheme.locked else "decode",
                scene,
                known,
            )
            if scene.scheme.locked:
                forced = (
                    known
                    if sigma == 0
                    else np.stack(
                        [
                            decode_with(scene, d, k)
                            for d, k in zip(scene.disguises, keys, strict=True)
                        ]
                    )
                )
                add(curves, "as egan decrypts", scene, forced)
                known = forced
            if sigma in SHOWN:
                row += [
                    (
                        f"key, coarser, noise {sigma:g}",
                        shown_key(scene, keys, sigma, source),
                    ),
                    (f"decode, noise {sigma:g}", known[0]),
                ]
        sweeps.append(
            Sweep(
                f"Figure 4c: noise on {words}",
                "noise, standard deviation in levels",
                "message PSNR, dB",
                list(SIGMAS),
                curves,
                floor,
            )
        )
        rows.append((words, row))
    title = "Figure 4c: noise on the key's source picture (rows 1, 2) and on the key (rows 3, 4)"
    return sheet(
        title, [r for _, row in rows for r in (row[0::2], row[1::2])], 160
    ), sweeps


def add(
    curves: dict[str, list[Point]], name: str, scene: Scene, decodes: Pictures
) -> None:
    values = [
        box_psnr(scene, i, d, scene.pairs.composites[i]) for i, d in enumerate(decodes)
    ]
    curves.setdefault(name, []).append(point(scene, values))


def disguise_noise(scene: Scene) -> tuple[Pictures, list[Sweep]]:
    """Figure 4d: noise on the disguise."""
    curve: list[Point] = []
    rows: list[list[Cell]] = [[], []]
    for sigma in progress(SIGMAS, len(SIGMAS), "figure 4d"):
        change: Callable = lambda p, r, s=sigma: noisy(p, s, r)
        curve.append(point(scene, psnr_after(scene, change)))
        if sigma in SHOWN:
            changed = noisy(scene.disguises[0], sigma, scene.random(22))[None]
            stream = None if scene.streams is None else scene.streams[:1]
            rows[0].append((f"disguise, noise {sigma:g}", changed[0]))
            rows[1].append(
                (
                    f"decode, noise {sigma:g}",
                    scene.scheme.reveal(changed, scene.private[:1], stream)[0],
                )
            )
    sweep = Sweep(
        "Figure 4d: noise on the disguise, right key",
        "noise, standard deviation in levels",
        "message PSNR, dB",
        list(SIGMAS),
        {"right key": curve},
        float(np.mean(floors(scene))),
    )
    return sheet("Figure 4d: noise on the disguise", rows, 160), [sweep]
