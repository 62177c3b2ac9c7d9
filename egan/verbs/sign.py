"""Signing secret images, and verifying signed pictures."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from egan.crypto import header, signatures
from egan.crypto.keys import PrivateKey, PublicKey
from egan.crypto.signatures import NotVerified
from egan.errors import EganError
from egan.pictures import compose, files
from egan.pictures.files import Picture
from egan.pictures.metrics import rmse
from egan.verbs.batching import keystreams, neutral, repeated, stacked
from egan.verbs.hide import check_readable, warn_of_other_weights, weights_of
from egan.verbs.job import RESIZED, Job, fitting
from egan.verbs.weights import Weights, made_by

# Threshold, RMSE in [0, 1], where the weights carry none (`egan calibrate` measures
# it): fair decodes score below it, two different flowers above it.
FALLBACK_THRESHOLD = 0.1


class Verdict(NamedTuple):
    """What `verify` found out of a picture whose signature is valid.

    signer: fingerprint, or that of the key it was checked with where the family has no
    signatures. signature: "valid", or "none" in the family `paper`. picture: the
    decoded secret image, uint8 (H, W, 3). score and threshold: RMSE on RGB in [0, 1],
    None where there was no secret to compare with. exact: whether the signer signed the
    verifier's very copy; None where that is not known.
    """

    name: str
    signer: str
    signature: str
    picture: Picture
    threshold: float | None = None
    score: float | None = None
    exact: bool | None = None

    @property
    def verified(self) -> bool:
        return (
            self.score is None or self.threshold is None or self.score <= self.threshold
        )

    def failure(self, exact: bool = False) -> NotVerified | None:
        """Why the decoded image is not the secret, or with `exact` not to the last bit."""
        if not self.verified and self.exact:
            return NotVerified(
                f"{self.name} is signed for exactly this secret, but decodes to something else: "
                f"score {self.score:.4f}, threshold {self.threshold:.4f}",
                "the signature is valid; ask the signer for another picture",
            )
        if not self.verified:
            return NotVerified(
                f"{self.name} does not show this secret: score {self.score:.4f}, threshold {self.threshold:.4f}",
                "the signature is valid, so the signer made this picture from another secret"
                if self.signature == "valid"
                else "",
            )
        if exact and not self.exact:
            return NotVerified(
                f"{self.name} matches this secret, but the signer signed another copy of it",
                "a resized or re-encoded copy is another one; without --exact the match is enough",
            )
        return None


def secret_job(
    loaded: files.Loaded, source: str, weights: Weights, size: compose.Size | None
) -> Job:
    """A secret image to be signed, with a fresh salt, cut and resized to a given size."""
    salt = secrets.token_bytes(signatures.SALT_BYTES)
    pixels = compose.fit_cover(loaded, size, "--size")
    return Job(source, pixels, weights, seed=salt, notes=list(loaded.notes))


def sign(jobs: Sequence[Job], private: PrivateKey) -> list[Picture]:
    """Signed pictures, uint8 (H, W, 3), of secret images of one size.

    Weights of the family `paper` make no signature, as in the paper.
    """
    weights = weights_of(jobs)
    seeds = [
        signatures.keystream_seed(private.identity, weights.id, job.seed)
        for job in jobs
    ]
    key, keys = repeated(private.image, len(jobs)), keystreams(jobs, seeds)
    even = None
    if weights.locked:
        even = header.mask(jobs[0].pixels.shape, signatures.BODY.size)
    signed = weights.gan.sign(stacked(jobs), key, keys, even)
    if not weights.locked:
        return list(signed)
    if private.network != weights.key_network:
        check_readable(
            jobs,
            weights.gan.unsign(signed, neutral(jobs), keys),
            "private",
            "make a key pair with these weights, or name those with --weights",
        )
        warn_of_other_weights(jobs, private, "the signed picture")
    return [
        signatures.attach(picture, private, weights.id, job.seed, job.pixels)
        for picture, job in zip(signed, jobs, strict=True)
    ]


def open_signed(
    loaded: files.Loaded,
    source: str,
    public: PublicKey,
    weights: Weights,
    secret: files.Loaded | None = None,
    *,
    named: bool = False,
) -> Job:
    """A signed picture whose signature is valid and made with that key.

    named: the caller asked for these weights. The secret, the verifier's own copy, is
    cut and resized as for signing where it has another size. In the family `paper` a
    picture carries no signature, and the secret, which is all that can be checked, has
    to be there. Raises NotVerified where the signature is not valid or of another key,
    else EganError.
    """
    pixels = fitting(loaded, "no signed picture has that size", RESIZED)
    signature = None
    if weights.locked:
        signature = signatures.by(pixels, public, loaded.name)
        weights = made_by(signature.weights, weights, named, loaded.name)
    elif secret is None:
        raise EganError(
            "these weights make no signatures, so there is nothing to check",
            "name a secret image with --secret",
            2,
        )
    elif header.find(pixels, loaded.name) is not None:
        header.expect(pixels, header.Kind.SIGNED, loaded.name)
        raise EganError(
            f"{loaded.name} carries a signature, which weights without a lock cannot check",
            "verify it with the weights that made it; egan finds those that ship by itself",
        )
    copy = None
    if secret is not None:
        copy = compose.fit_cover(secret, (pixels.shape[1], pixels.shape[0]))
    return Job(
        source,
        pixels,
        weights,
        seed=signature.keystream_seed if signature else b"",
        signature=signature,
        secret=copy,
        notes=list(loaded.notes),
    )


def verify(
    jobs: Sequence[Job], public: PublicKey, threshold: float | None = None
) -> list[Verdict]:
    """Decode signed pictures of one size and compare them with their secrets.

    threshold: the largest RMSE in [0, 1] that matches, by default the weights' own.
    """
    weights = weights_of(jobs)
    warn_of_other_weights(jobs, public, "the decoded picture")
    # Grey where there is a lock: whoever changes how a public key looks cannot make a
    # genuine signature fail.
    key = neutral(jobs) if weights.locked else repeated(public.picture, len(jobs))
    decoded = weights.gan.unsign(stacked(jobs), key, keystreams(jobs))
    verdicts = []
    for job, picture in zip(jobs, decoded, strict=True):
        found = job.signature
        score = limit = exact = None
        if job.secret is not None:
            score = rmse(picture, job.secret)
            limit = threshold if threshold is not None else threshold_of(weights, job)
            exact = found.commits_to(job.secret) if found else None
        state = "valid" if found else "none"
        verdicts.append(
            Verdict(job.name, public.fingerprint, state, picture, limit, score, exact)
        )
    return verdicts


def threshold_of(weights: Weights, job: Job) -> float:
    """The calibrated threshold in the weights' metadata, else a fixed one and a note."""
    signing = weights.training.get("signing")
    value = signing.get("threshold") if isinstance(signing, dict) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    job.warn(
        f"these weights have no threshold of their own, so {FALLBACK_THRESHOLD} is used; `egan calibrate` measures one"
    )
    return FALLBACK_THRESHOLD
