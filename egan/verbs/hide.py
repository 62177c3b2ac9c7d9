"""Encrypting: composites to disguises, with their envelopes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from egan.core.model import Progress
from egan.crypto import envelope, header
from egan.crypto.envelope import Letter, Signing
from egan.crypto.keys import PrivateKey, PublicKey
from egan.crypto.keystream import SEED_BYTES, keystream
from egan.errors import EganError, Note
from egan.pictures import compose, files
from egan.pictures.boxes import Box, noted_boxes
from egan.pictures.files import Picture
from egan.pictures.metrics import rmse
from egan.pictures.sizes import SMALLEST, Size, parse_size
from egan.verbs.batching import keystreams, neutral, repeated, stacked
from egan.verbs.job import Job, Look
from egan.verbs.weights import Weights

if TYPE_CHECKING:
    from egan.verbs.capsules import Robust


# In pixels. The sides of pictures that networks take are multiples of this.
STEP = 16
# RMSE of a whole picture on RGB in [0, 1]; a fair decode has 0.01 to 0.02.
UNREADABLE = 0.1


def composite_job(
    loaded: files.Loaded,
    source: str,
    weights: Weights,
    signing: Signing | None = None,
    size: str | None = None,
    note: bytes = b"",
) -> Job:
    """A composite with a fresh keystream seed, of any size from 64 pixels a side up.

    size: N, the longer side, or WxH, to be resized to. note: travels with it, exactly.
    Where nothing was pasted, the whole picture is the message. Raises EganError for a
    size that is too small, and where there is a note or a signature and no envelope for
    it.
    """
    if not weights.locked and (signing or note):
        raise EganError(
            f"weights without a lock make no envelope for a {'signature' if signing else 'note'}",
            "leave it out, or use other weights",
            2,
        )
    pixels, boxes = files.flatten(loaded), noted_boxes(loaded)
    notes = list(loaded.notes)
    if size is not None:
        pixels, boxes, more = resized(pixels, boxes, size)
        notes += more
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        raise EganError(
            f"{loaded.name} is {width}x{height} pixels: sides must be {SMALLEST} or more",
            f"`egan encrypt --size {-(-SMALLEST * max(width, height) // min(width, height))}` enlarges it",
        )
    job = Job(source, padded(pixels), weights, seed=secrets.token_bytes(SEED_BYTES))
    job.boxes = boxes or ((0, 0, width, height),)
    job.size, job.note, job.notes = (width, height), note, notes
    return job


def resized(
    pixels: Picture, boxes: tuple[Box, ...], size: str
) -> tuple[Picture, tuple[Box, ...], list[Note]]:
    """A picture and its boxes, resized (Lanczos), and a note where that loses much."""
    old = (pixels.shape[1], pixels.shape[0])
    new = parse_size(size, "--size")
    if size.strip().isdecimal():
        scale = new[0] / max(old)
        new = (max(1, round(old[0] * scale)), max(1, round(old[1] * scale)))
    across, down = new[0] / old[0], new[1] / old[1]
    notes = []
    if min(across, down) < 0.5:
        words = f"{old[0]}x{old[1]} pixels become {new[0]}x{new[1]}"
        notes.append(Note(f"the picture shrinks by more than 2: {words}", warning=True))
    if max(abs(old[0] * down - new[0]), abs(old[1] * across - new[1])) > 1:
        words = f"{old[0]}x{old[1]} pixels become {new[0]}x{new[1]}"
        notes.append(Note(f"the picture changes its shape: {words}", warning=True))
    moved = []
    for x, y, w, h in boxes:
        left, top = round(x * across), round(y * down)
        right, bottom = round((x + w) * across), round((y + h) * down)
        moved.append((left, top, max(1, right - left), max(1, bottom - top)))
    picture = Image.fromarray(pixels).resize(new, Image.Resampling.LANCZOS)
    return np.asarray(picture), tuple(moved), notes


def padded(pixels: Picture) -> Picture:
    """The picture with its last column and row repeated up to a multiple of 16."""
    height, width = pixels.shape[:2]
    more = ((0, -height % STEP), (0, -width % STEP), (0, 0))
    return np.pad(pixels, more, mode="edge")


def encrypt(
    jobs: Sequence[Job],
    receivers: Sequence[PublicKey] | Look,
    signing: Signing | None = None,
    flower: files.Loaded | None = None,
    robust: Robust | None = None,
    progress: Progress | None = None,
) -> list[Picture]:
    """Disguises, uint8 (H, W, 3), of composites of one size, envelopes sealed.

    receivers: their public keys; the disguise shows the first one's flower. signing: by
    whom the letters are signed. flower: what the disguises are to look like instead.
    robust: what they are to survive, by a capsule that each job then tells of. progress:
    told of the parts of large pictures. Raises EganError where a disguise could not be read, or has no room for its letter or
    capsule.
    """
    weights = weights_of(jobs)
    keys = keystreams(jobs)
    if isinstance(receivers, Look):
        looks = repeated(receivers.image, len(jobs))
        return list(weights.model.encrypt(stacked(jobs), looks, keys))
    first = receivers[0]
    look = repeated(look_of(weights, first, flower, jobs[0]), len(jobs))
    if not weights.locked:
        painted = weights.model.encrypt(stacked(jobs), look, keys)
    else:
        even = header.mask(jobs[0].pixels.shape, body_of(jobs, receivers, signing))
        if robust is None:
            painted = weights.gan.encrypt(stacked(jobs), look, keys, even, progress)
        else:
            paints = weights.gan.paint("F", stacked(jobs), look, keys, progress)
            painted = np.stack(
                [
                    with_capsule(job, paint, even, receivers, signing, robust)
                    for job, paint in zip(jobs, paints, strict=True)
                ]
            )
    if flower is None and first.network != weights.key_network:
        if weights.locked:
            check_readable(
                jobs,
                weights.model.decrypt(painted, neutral(jobs), keys),
                "public",
                "name a picture to paint with --flower, or those weights with --weights",
            )
        warn_of_other_weights(jobs, first, "the disguise")
    if not weights.locked or robust is not None:
        return list(painted)
    return [
        envelope.seal(disguise, receivers, letter_of(job), weights.id, signing)
        for disguise, job in zip(painted, jobs, strict=True)
    ]


def with_capsule(
    job: Job,
    paint: NDArray[np.float32],
    even: NDArray[np.bool_],
    receivers: Sequence[PublicKey],
    signing: Signing | None,
    robust: Robust,
) -> Picture:
    """The sealed disguise of a paint (H, W, 3), with a capsule, and what that holds noted
    in the job.
    """
    if len(receivers) > 1:
        raise EganError(
            "a capsule is for one receiver", "leave out --robust, or name one --pub", 2
        )
    weights = weights_of([job])
    width, height = job.shown_size
    from egan.verbs import capsules

    carried = capsules.Cargo(
        job.pixels[:height, :width], job.boxes, job.note, receivers[0], signing
    )

    def finished(laid: NDArray[np.float32]) -> Picture:
        disguise = weights.gan.levels("F", laid[None], even)[0]
        return envelope.seal(disguise, receivers, letter_of(job), weights.id, signing)

    disguise, job.laid = capsules.lay(
        paint, weights.gan.carriers("F").matrix, finished, carried, robust
    )
    job.notes.append(Note(job.laid.words))
    return disguise


def letter_of(job: Job) -> Letter:
    return Letter(job.seed, job.shown_size, job.boxes, job.note)


def body_of(
    jobs: Sequence[Job], receivers: Sequence[PublicKey], signing: Signing | None
) -> int:
    """Bytes of the header of the longest letter. Raises EganError where it has no room."""
    words = max(len(job.note) for job in jobs)
    if signing is not None:
        words += len(signing.comment.encode())
    return envelope.plan(jobs[0].pixels.shape, len(receivers), words).body


def look_of(
    weights: Weights, public: PublicKey, flower: files.Loaded | None, job: Job
) -> Picture:
    """The key image, uint8 (H, W, 3), that a disguise of the job's size is painted
    from.

    A key drawn at another size has maps of another scale, which leave fringes where
    they are stretched. So its flower is painted at the key's own size, from a grey
    picture and a keystream by chance, and that flower is drawn anew at the wanted size.
    """
    height, width = job.pixels.shape[:2]
    if flower is not None:
        return drawn_anew(weights, compose.fit_cover(flower, (width, height)))
    fits = public.picture.shape[:2] == (height, width)
    if fits or not weights.locked or public.network != weights.key_network:
        return public.picture
    return enlarged_look(weights, public, (width, height))


def drawn_anew(weights: Weights, flower: Picture) -> Picture:
    layers = weights.options.public_layers  # type: ignore[union-attr]
    return weights.model.key_images(flower[None], layers)[0]


@lru_cache(4)
def enlarged_look(weights: Weights, public: PublicKey, size: Size) -> Picture:
    shape = weights.keystream_shape(*public.picture.shape[:2])
    chance = keystream(secrets.token_bytes(SEED_BYTES), shape)[None]
    grey = np.full_like(public.picture, 128)[None]
    painted = weights.model.encrypt(grey, public.picture[None], chance)[0]
    flower = files.Loaded(painted, None, "the look")
    return drawn_anew(weights, compose.fit_cover(flower, size))


def weights_of(jobs: Sequence[Job]) -> Weights:
    """The weights that all jobs of a batch have in common."""
    weights = jobs[0].weights
    assert weights is not None
    return weights


def warn_of_other_weights(
    jobs: Sequence[Job], key: PublicKey | PrivateKey, what: str
) -> None:
    """Note in every job that its key was drawn by another K than that of its weights."""
    if key.network != weights_of(jobs).key_network:
        half = "public" if isinstance(key, PublicKey) else "private"
        for job in jobs:
            job.warn(
                f"the {half} key was drawn by other weights, so {what} may look worse"
            )


def check_readable(jobs: Sequence[Job], decoded: Picture, key: str, hint: str) -> None:
    """Raises EganError where pictures painted from a key image of other weights are
    lost.

    The meaning of a key image's levels is K's own. Painted by another meaning, a
    picture can be so far beyond black and white that 8 bits cut the payload off.
    """
    worst = max(
        rmse(job.pixels, picture) for job, picture in zip(jobs, decoded, strict=True)
    )
    if not np.isfinite(worst) or worst > UNREADABLE:
        raise EganError(
            f"the {key} key was drawn by other weights: what is painted from it cannot be read",
            hint,
        )
