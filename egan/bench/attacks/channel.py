"""Attack 9: what a channel that is not lossless leaves of the message for the holder of
the right key.

The envelope is bound to every pixel, so `egan decrypt` refuses all of these. The
figures are what `--force` shows where there is a spare envelope (`egan.crypto.spare`),
and else what it would show to a receiver who has the keystream from elsewhere. This
measures robustness: nothing is read that should not be.
"""

from __future__ import annotations

import io
from collections.abc import Callable

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
from egan.terminal import progress

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
