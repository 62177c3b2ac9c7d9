"""Attack 9: what a channel that is not lossless leaves of the message for the holder of
the right key.

The envelope is bound to every sample, so nothing of it opens behind such a channel.
Without a capsule the figures are what the networks would show a receiver who had the
keystream from elsewhere. With one (`egan encrypt --robust`) they are what `egan
decrypt` writes, and the share of disguises that open, a note of 100 characters exact.
This measures robustness: nothing is read that should not be.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from egan.bench.attacks.scene import Budget, Random, Scene
from egan.bench.attacks.verdict import (
    AttackVerdict,
    Score,
    above,
    box_psnr,
    ceiling,
    floors,
)
from egan.bench.intervals import mean_interval
from egan.core.model import Pictures
from egan.crypto.keys import make_pair
from egan.errors import EganError
from egan.pictures.metrics import psnr
from egan.terminal import progress
from egan.verbs.capsules import SMALLEST, Cargo, Robust, cut, lay
from egan.verbs.capsules import find as find_capsule

NOTE = (
    b"Meet me tomorrow at the old station at 9 o'clock, bring the second key and tell "
    b"nobody about it, ok?"
)

Change = Callable[[Pictures, Random], Pictures]

JPEG_QUALITIES = (95, 90, 85, 80, 75, 70, 60, 50)
# JPEG qualities, with the chroma subsampling 4:2:0 that most programs use.
HALVED_CHROMA = (95, 85, 75, 60)
# Standard deviation of the noise, in levels of 8 bits.
NOISES = (1, 2, 4, 8, 16)
# The picture is resized by this factor and back, bicubic.
RESIZES = (0.95, 0.9, 0.75, 0.5)
# Standard deviation of the blur, in pixels.
BLURS = (0.3, 0.5, 1.0, 2.0)


def through_file(picture: Pictures, **options: object) -> Pictures:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, **options)  # type: ignore[arg-type]
    return np.asarray(Image.open(buffer).convert("RGB"))


def jpeg(subsampling: int) -> Callable[[float], Change]:
    """JPEG by its quality, with Pillow's number of a chroma sampling: 0 is 4:4:4, 2 is
    4:2:0.
    """
    return lambda q: (
        lambda p, r: through_file(
            p, format="JPEG", quality=int(q), subsampling=subsampling
        )
    )


def noisy(picture: Pictures, sigma: float, random: Random) -> Pictures:
    return (
        (picture + random.normal(0, sigma, picture.shape))
        .round()
        .clip(0, 255)
        .astype(np.uint8)
    )


def resized(picture: Pictures, factor: float) -> Pictures:
    height, width = picture.shape[:2]
    small = Image.fromarray(picture).resize(
        (round(width * factor), round(height * factor)), Image.Resampling.BICUBIC
    )
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def blurred(picture: Pictures, sigma: float) -> Pictures:
    return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(sigma)))


def changes() -> dict[str, tuple[list[float], Callable[[float], Change]]]:
    """By kind: the strengths, and a function from a strength to the change of one
    picture (S, S, 3).
    """
    return {
        "JPEG quality": (list(JPEG_QUALITIES), jpeg(0)),
        "JPEG 4:2:0 quality": (list(HALVED_CHROMA), jpeg(2)),
        "noise sigma": (list(NOISES), lambda s: lambda p, r: noisy(p, s, r)),
        "resize factor": (list(RESIZES), lambda f: lambda p, r: resized(p, f)),
        "blur sigma": (list(BLURS), lambda s: lambda p, r: blurred(p, s)),
    }


def psnr_after(scene: Scene, change: Change) -> list[float]:
    """PSNR of every message by the right key after a change of the disguise."""
    random = scene.random(13)
    changed = np.stack([change(d, random) for d in scene.disguises])
    decodes = scene.scheme.reveal(changed, scene.private, scene.streams)
    return [
        box_psnr(scene, i, d, scene.pairs.composites[i]) for i, d in enumerate(decodes)
    ]


def sweep(scene: Scene) -> dict[str, dict[str, list[float]]]:
    """PSNR of each picture for every kind and strength: {"JPEG quality": {"95": [...],
    ...}, ...}.
    """
    kinds = changes()
    work = [
        (kind, strength, make(strength))
        for kind, (values, make) in kinds.items()
        for strength in values
    ]
    out: dict[str, dict[str, list[float]]] = {kind: {} for kind in kinds}
    for kind, strength, change in progress(work, len(work), "channel"):
        out[kind][f"{strength:g}"] = psnr_after(scene, change)
    return out


def resent(picture: Pictures, factor: float, quality: int) -> Pictures:
    """Resized by a factor, and sent as JPEG with halved chroma."""
    height, width = picture.shape[:2]
    size = (round(width * factor), round(height * factor))
    small = Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)
    return jpeg(2)(quality)(np.asarray(small), np.random.default_rng(0))


def painted_over(picture: Pictures) -> Pictures:
    """A tenth of the picture, in its corner, in one colour."""
    out = picture.copy()
    side = round((picture.shape[0] * picture.shape[1] / 10) ** 0.5)
    out[:side, -side:] = (90, 120, 60)
    return out


def ways() -> dict[str, Change]:
    """What a picture goes through on its way, by name: JPEG is 4:2:0, resizing bicubic."""
    halved = jpeg(2)
    return {
        "PNG": lambda p, r: p,
        "JPEG 90": halved(90),
        "JPEG 75": halved(75),
        "JPEG 60": halved(60),
        "3/4 and back": lambda p, r: resized(p, 0.75),
        "3/4, then JPEG 75": lambda p, r: resent(p, 0.75, 75),
        "1/2 and back": lambda p, r: resized(p, 0.5),
        "x2, then JPEG 80": lambda p, r: resent(p, 2, 80),
        "noise of 4 levels": lambda p, r: noisy(p, 4, r),
        "blur 0.5": lambda p, r: blurred(p, 0.5),
        "WebP 80": lambda p, r: through_file(p, format="WEBP", quality=80),
        "a tenth painted over, JPEG 75": lambda p, r: halved(75)(painted_over(p), r),
        "10 % brighter": lambda p, r: (p * 1.1).round().clip(0, 255).astype(np.uint8),
    }


def capsules_after(scene: Scene, robust: Robust) -> dict[str, Any]:
    """By way: how many capsules of the scene's pairs open, and the PSNR of their
    messages.
    """
    model, random = scene.scheme.model, scene.random(15)
    private, public = make_pair(scene.exact[0], scene.public[0], model.key_network)
    found: dict[str, list[float]] = {name: [] for name in ways()}
    count = len(scene.pairs.boxes)
    for i in progress(range(count), count, "capsules"):
        composite, box = scene.pairs.composites[i], scene.pairs.boxes[i]
        place = (box.x, box.y, box.size, box.size)
        streams = scene.streams
        paint = model.paint(
            "F",
            composite[None],
            scene.public[i : i + 1],
            None if streams is None else streams[i : i + 1],
        )[0]

        def rounded(laid: Any) -> Pictures:
            return model.levels("F", laid[None])[0]

        cargo = Cargo(composite, (place,), NOTE, public)
        try:
            matrix = model.carriers("F").matrix
            disguise, _ = lay(paint, matrix, rounded, cargo, robust)
        except EganError:
            continue
        for name, change in ways().items():
            try:
                opened = find_capsule(change(disguise, random), private)
            except EganError:
                continue
            if opened is not None and opened.opened.content.note == NOTE:
                message = cut(opened.picture, place)
                found[name].append(psnr(message, cut(composite, place)))
    return {
        name: {
            "opens": f"{len(values)} of {count}",
            "psnr": float(np.mean(values)) if values else None,
            "ci": mean_interval(values, scene.seed) if len(values) > 1 else None,
        }
        for name, values in found.items()
    }


def lossy_channel(scene: Scene, budget: Budget) -> AttackVerdict:
    """Score: JPEG at quality 95. Control: PNG must change nothing, and a grey picture
    must leave nothing.
    """
    found = sweep(scene)
    floor = floors(scene)
    png = psnr_after(scene, lambda p, r: through_file(p, format="PNG"))
    grey = psnr_after(scene, lambda p, r: np.full_like(p, 128))
    jpeg = found["JPEG quality"][f"{JPEG_QUALITIES[0]}"]

    def survives(values: list[float]) -> bool:
        return above([a - b for a, b in zip(values, floor, strict=True)])

    def score(values: list[float], finding: str, details: dict[str, object]) -> Score:
        return Score(
            float(np.mean(values)),
            mean_interval(values, scene.seed),
            float(np.mean(floor)),
            finding,
            len(values),
            details,
        )

    sound = abs(np.mean(png) - ceiling(scene)) < 1e-9 and not survives(grey)
    details = {
        kind: {strength: float(np.mean(values)) for strength, values in row.items()}
        for kind, row in found.items()
    }
    model = scene.scheme.model
    if scene.scheme.locked and hasattr(model, "carriers") and scene.side >= SMALLEST:
        for robust in Robust:
            details[f"capsule for {robust.value}"] = capsules_after(scene, robust)
    return AttackVerdict(
        9,
        "lossy channel",
        "dB",
        score(
            jpeg,
            "survives" if survives(jpeg) else "lost",
            {"PNG": float(np.mean(png)), **details},
        ),
        ceiling(scene),
        score(png, "sound" if sound else "held", {"grey": float(np.mean(grey))}),
        "PNG changes nothing, a grey picture leaves nothing",
        "right key, JPEG at quality 95 4:4:4",
    )
