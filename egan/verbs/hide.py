"""Encrypting: composites to disguises, with their envelopes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import numpy as np

from egan.crypto import envelope, header, spare
from egan.crypto.keys import PrivateKey, PublicKey
from egan.crypto.keystream import SEED_BYTES
from egan.errors import EganError
from egan.pictures import compose, files
from egan.pictures.boxes import noted_boxes
from egan.pictures.files import Picture
from egan.pictures.metrics import rmse
from egan.verbs.batching import keystreams, neutral, repeated, stacked
from egan.verbs.job import Job, Look, fitting
from egan.verbs.weights import Weights

# RMSE of a whole picture on RGB in [0, 1]; a fair decode has 0.01 to 0.02.
UNREADABLE = 0.1


def composite_job(
    loaded: files.Loaded,
    source: str,
    weights: Weights,
    signer: PrivateKey | None = None,
) -> Job:
    """A composite with a fresh keystream seed.

    Raises EganError for a size that the networks do not take, and where there is a signer
    and the weights have no envelope to sign in.
    """
    if signer is not None and not weights.locked:
        raise EganError(
            "weights without a lock make no envelope to sign in", "leave out --sign", 2
        )
    pixels = fitting(
        loaded,
        "sides must be multiples of 16 from 64 up",
        "make it so with `egan compose --cover-size 256`",
    )
    boxes = noted_boxes(loaded)
    seed = secrets.token_bytes(SEED_BYTES)
    return Job(source, pixels, weights, boxes, seed, notes=list(loaded.notes))


def encrypt(
    jobs: Sequence[Job],
    public: PublicKey | Look,
    signer: PrivateKey | None = None,
    flower: files.Loaded | None = None,
) -> list[Picture]:
    """Disguises, uint8 (H, W, 3), of composites of one size, envelopes sealed.

    signer: signs inside of the envelopes. flower: what the disguises are to look like
    instead of the public key's flower. Raises EganError where a disguise could not be read.
    """
    weights = weights_of(jobs)
    height, width = jobs[0].pixels.shape[:2]
    if not isinstance(public, PublicKey):
        look = public.image
    elif flower is None:
        look = public.picture
    else:
        drawn = compose.fit_cover(flower, (width, height))[None]
        look = weights.model.key_images(drawn, weights.options.public_layers)[0]  # type: ignore[union-attr]
    keys = keystreams(jobs)
    looks = repeated(look, len(jobs))
    if not isinstance(public, PublicKey) or not weights.locked:
        painted = weights.model.encrypt(stacked(jobs), looks, keys)
    else:
        shape = jobs[0].pixels.shape
        even = header.mask(shape, envelope.plan(shape, 1).body)
        painted = weights.gan.encrypt(stacked(jobs), looks, keys, even)
    disguises = list(painted)
    if not isinstance(public, PublicKey):
        return disguises
    if flower is None and public.network != weights.key_network:
        if weights.locked:
            check_readable(
                jobs,
                weights.model.decrypt(painted, neutral(jobs), keys),
                "public",
                "name a picture to paint with --flower, or those weights with --weights",
            )
        warn_of_other_weights(jobs, public, "the disguise")
    if not weights.locked:
        return disguises
    if weights.robust:
        disguises = [
            spare.add(disguise, public, job.seed, job.boxes, weights.id)
            for disguise, job in zip(disguises, jobs, strict=True)
        ]
    signing = envelope.Signing(signer) if signer is not None else None
    return [
        envelope.seal(
            disguise,
            [public],
            envelope.Letter(job.seed, (width, height), job.boxes),
            weights.id,
            signing,
        )
        for disguise, job in zip(disguises, jobs, strict=True)
    ]


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
    """Raises EganError where pictures painted from a key image of other weights are lost.

    The meaning of a key image's levels is K's own. Painted by another meaning, a picture can
    be so far beyond black and white that 8 bits cut the payload off.
    """
    worst = max(
        rmse(job.pixels, picture) for job, picture in zip(jobs, decoded, strict=True)
    )
    if not np.isfinite(worst) or worst > UNREADABLE:
        raise EganError(
            f"the {key} key was drawn by other weights: what is painted from it cannot be read",
            hint,
        )
