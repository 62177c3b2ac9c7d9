"""Figures 3, 4a, 4b, 4e and 6 of the paper, as sheets of pictures. Each function takes
a `Scene` and returns one sheet, uint8 (H, W, 3).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from egan.bench.attacks.keys import forced_stream
from egan.bench.attacks.scene import Scene
from egan.bench.attacks.verdict import box_psnr
from egan.core.model import Pictures
from egan.core.tensors import to_unit
from egan.crypto.keys import PrivateKey
from egan.pictures.metrics import psnr
from egan.pictures.sheet import Cell, sheet
from egan.pictures.squares import Square

ROWS = 4


def methods(scenes: Mapping[str, Scene]) -> Pictures:
    """Figure 3: the same pairs through every method."""
    rows: list[list[Cell]] = []
    first = next(iter(scenes.values()))
    for i in range(min(ROWS, len(first.pairs.boxes))):
        row = [
            ("composite", first.pairs.composites[i]),
            ("picture of the public key", first.pairs.flowers[i]),
        ]
        for name, scene in scenes.items():
            quality = box_psnr(scene, i, scene.decodes[i], scene.pairs.composites[i])
            row += [
                (f"{name}: disguise", scene.disguises[i]),
                (f"{name}: decode {quality:.1f} dB", scene.decodes[i]),
            ]
        rows.append(row)
    return sheet("Figure 3: methods side by side (PSNR in the message box)", rows)


def activations(scene: Scene) -> Pictures:
    """Figure 4a: the maps of each layer of K for covers and flowers, averaged over
    channels and scaled to full range.
    """
    rows: list[list[Cell]] = []
    model = scene.scheme.model
    for words, pictures in (
        ("cover", scene.pairs.covers),
        ("flower", scene.pairs.flowers),
    ):
        for picture in pictures[: ROWS // 2]:
            maps = model.K.features(to_unit(picture[None], model.device))
            row: list[Cell] = [(words, picture)]
            for layer, found in enumerate(maps, 1):
                m = found[0].mean(0).cpu().numpy()
                level = (255 * (m - m.min()) / max(float(np.ptp(m)), 1e-6)).astype(
                    np.uint8
                )
                large = Image.fromarray(level).resize(
                    picture.shape[1::-1], Image.Resampling.NEAREST
                )
                row.append(
                    (
                        f"L{layer}, {found.shape[-1]}x{found.shape[-2]}",
                        np.asarray(large),
                    )
                )
            rows.append(row)
    o = model.options
    public, private = (
        ", ".join(f"L{i}" for i in layers)
        for layers in (o.public_layers, o.private_layers)
    )
    return sheet(
        f"Figure 4a: activations of K (public key: {public}; private key: {private})",
        rows,
        144,
    )


def wrong_keys(scene: Scene) -> Pictures:
    """Figure 4b: one disguise, many keys; keystreams of wrong keys are those of
    `decrypt --force`.
    """
    rows: list[list[Cell]] = []
    n = len(scene.pairs.boxes)
    for i in range(min(ROWS, n)):
        disguise = scene.disguises[i]
        others = scene.exact[np.arange(n) != i]
        keys = {
            "another person's key": scene.private[(i + 1) % n],
            "the public key": scene.public[i],
            "mean of other keys": others.mean(0).round().astype(np.uint8)
            if n > 1
            else scene.exact[i],
            "black": np.zeros_like(disguise),
            "noise": scene.random(20, i).integers(
                0, 256, disguise.shape, dtype=np.uint8
            ),
        }
        right = box_psnr(scene, i, scene.decodes[i], scene.pairs.composites[i])
        row: list[Cell] = [
            ("disguise", disguise),
            (f"right key: {right:.1f} dB", scene.decodes[i]),
        ]
        for name, key in keys.items():
            decode = decode_with(scene, disguise, key)
            row.append(
                (
                    f"{name}: {box_psnr(scene, i, decode, scene.pairs.composites[i]):.1f} dB",
                    decode,
                )
            )
        rows.append(row)
    return sheet("Figure 4b: decodes with wrong keys (PSNR in the message box)", rows)


def decode_with(scene: Scene, disguise: Pictures, key: Pictures) -> Pictures:
    """The decode that `egan decrypt --damaged` shows with a wrong private key picture."""
    stream = (
        forced_stream(scene.scheme, disguise, PrivateKey(key))
        if scene.scheme.locked
        else None
    )
    return scene.scheme.reveal(disguise[None], key[None], stream)[0]


def there_and_back(scene: Scene, composite: Pictures) -> tuple[Pictures, Pictures]:
    """Disguise and decode of one composite with the keys of the scene's first pair."""
    stream = None if scene.streams is None else scene.streams[:1]
    disguise = scene.scheme.disguise(
        composite[None], scene.public[:1], stream, [Square(0, 0, 0)]
    )
    return disguise[0], scene.scheme.reveal(disguise, scene.private[:1], stream)[0]


def columns_of(
    scene: Scene, title: str, places: list[tuple[str, int, int, int]]
) -> Pictures:
    """Composite, disguise and decode under each other, one column per (words, size, x,
    y) of the message.
    """
    rows: list[list[Cell]] = [[], [], []]
    for words, size, x, y in places:
        composite, box = scene.pairs.covers[0].copy(), Square(x, y, size)
        box.paste(composite, scene.sets.messages[-1][0])
        disguise, decode = there_and_back(scene, composite)
        quality = psnr(box.cut(decode), box.cut(composite))
        for row, cell in zip(
            rows,
            (
                (words, composite),
                ("disguise", disguise),
                (f"decode {quality:.1f} dB", decode),
            ),
            strict=True,
        ):
            row.append(cell)
    return sheet(title, rows, 160)


def positions(scene: Scene) -> Pictures:
    """Figure 4e: one message in the corners, at the edges and in the middle."""
    size = scene.side // 4
    low, mid, high = 0, (scene.side - size) // 2, scene.side - size
    places = [
        ("top left", low, low),
        ("top", mid, low),
        ("top right", high, low),
        ("middle", mid, mid),
        ("bottom left", low, high),
        ("bottom right", high, high),
    ]
    return columns_of(
        scene,
        "Figure 4e: position of the message",
        [(w, size, x, y) for w, x, y in places],
    )


def large_messages(scene: Scene) -> Pictures:
    """Figure 6: messages of half of the side up to the whole cover."""
    places = []
    for part in (8, 10, 12, 14, 16):
        size = scene.side * part // 16
        at = (scene.side - size) // 2
        places.append((f"message {size}x{size}", size, at, at))
    return columns_of(scene, "Figure 6: large messages", places)
