"""What the commands and `egan.EncryptGAN` do with pictures and weights: the verbs, on batches of jobs.

A job is one picture that `egan.verbs.intake` has read and checked. Everything here works on arrays through the pure parts (keys,
envelope, signatures, core); it imports torch only inside the functions that load networks. Key files are the business
of `egan.verbs.keygen`, many files that of `egan.commands.batches`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from egan import terminal
from egan.core.lock import keystream
from egan.core.weights import find_weights
from egan.crypto import envelope, keys, signatures, spare
from egan.crypto.signatures import NotVerified
from egan.errors import EganError
from egan.pictures import compose, files
from egan.pictures.files import Picture
from egan.verbs.intake import Job

if TYPE_CHECKING:
    import torch

    from egan.core.encryptgan import EncryptGAN
    from egan.core.model import Model
    from egan.verbs.look import Look

# Where the weights carry no threshold of their own (`egan calibrate` measures it): as far apart as two flowers never
# are, and as near as a fair decode is. In RMSE on RGB in [0, 1].
FALLBACK_THRESHOLD = 0.1
UNREADABLE = 0.1  # RMSE of a whole picture: a fair decode has 0.01 to 0.02


def load_model(weights: str | None, device: str) -> EncryptGAN:
    """The model of --weights, $EGAN_WEIGHTS or the package, on a device, with one warning line if it has no lock."""
    path = find_weights(weights)
    from egan.core.encryptgan import EncryptGAN, pick_device

    model = EncryptGAN.load(path, own_device(pick_device(device)))
    if not model.locked:
        terminal.warn(
            "these weights have no lock: anyone can read the message without the private key"
        )
    return model


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process where `torchrun` started one for each; the device itself otherwise."""
    import torch

    local = os.environ.get("LOCAL_RANK", "")
    if device.type != "cuda" or device.index is not None or not local.isdecimal():
        return device
    return torch.device("cuda", int(local) % torch.cuda.device_count())


def keystreams(
    model: Model, seeds: Sequence[bytes], jobs: Sequence[Job]
) -> Picture | None:
    if not model.locked:
        return None
    shape = model.keystream_shape(*jobs[0].pixels.shape[:2])
    return np.stack([keystream(seed, shape) for seed in seeds])


def stacked(jobs: Sequence[Job]) -> Picture:
    return np.stack([job.pixels for job in jobs])


def neutral(jobs: Sequence[Job]) -> Picture:
    """Grey key images, to decode without the other side's key: what is revealed hangs on the keystream, and little on those."""
    return np.full_like(stacked(jobs), 128)


def repeated(key: Picture | None, count: int) -> Any:
    """One key image for every picture of a batch; None where a method without keys goes without."""
    return None if key is None else np.broadcast_to(key, (count, *key.shape))


def look_of(
    model: Model, public: keys.PublicKey | Look, size: compose.Size
) -> Picture | None:
    """The key image that disguises are painted from: the public key's own, or that of the flower named in its place."""
    if not isinstance(public, keys.PublicKey) or public.flower is None:
        return public.picture
    flower = compose.fit_cover(public.flower, size)
    return cast("EncryptGAN", model).key_images(
        flower[None], model.options.public_layers
    )[0]  # type: ignore[union-attr]


def warn_of_other_weights(
    model: Model, key: keys.PublicKey | keys.PrivateKey, what: str
) -> None:
    if key.network != model.key_network:
        half = "public" if isinstance(key, keys.PublicKey) else "private"
        terminal.warn(
            f"the {half} key was drawn by other weights, so {what} may look worse"
        )


def check_readable(jobs: Sequence[Job], decoded: Picture, key: str, hint: str) -> None:
    """Raises EganError where pictures painted from a key image of other weights do not decode to what was hidden.

    What the levels of a key image mean is K's own. Painted by another meaning, a picture can be so far beyond black and
    white that 8 bits cut the payload off.
    """
    if (
        max(
            rmse(job.pixels, picture)
            for job, picture in zip(jobs, decoded, strict=True)
        )
        > UNREADABLE
    ):
        raise EganError(
            f"the {key} key was drawn by other weights: what is painted from it cannot be read",
            hint,
        )


def can_sign(model: Model, signer: keys.PrivateKey | None) -> None:
    """Raises EganError where a disguise is to be signed and the weights have no envelope to sign in."""
    if signer is not None and not model.locked:
        raise EganError(
            "weights without a lock make no envelope to sign in", "leave out --sign", 2
        )


def encrypt_batch(
    model: Model,
    public: keys.PublicKey | Look,
    jobs: Sequence[Job],
    signer: keys.PrivateKey | None = None,
) -> list[Picture]:
    """Disguises of composites of one size, envelopes sealed, and signed inside of them where there is a signer."""
    keystream_bytes = keystreams(model, [job.seed for job in jobs], jobs)
    height, width = jobs[0].pixels.shape[:2]
    look = look_of(model, public, (width, height))
    disguises = list(
        model.encrypt(stacked(jobs), repeated(look, len(jobs)), keystream_bytes)
    )
    if not isinstance(public, keys.PublicKey):
        return disguises
    if public.flower is None and public.network != model.key_network:
        if model.locked:
            decoded = model.decrypt(np.stack(disguises), neutral(jobs), keystream_bytes)
            check_readable(
                jobs,
                decoded,
                "public",
                "name a picture to paint with --flower, or those weights with --weights",
            )
        warn_of_other_weights(model, public, "the disguise")
    if not model.locked:
        return disguises
    if model.robust:
        disguises = [
            spare.add(disguise, public, job.seed, job.boxes, model.id)
            for disguise, job in zip(disguises, jobs, strict=True)
        ]
    return [
        envelope.seal(disguise, public, job.seed, job.boxes, model.id, signer)
        for disguise, job in zip(disguises, jobs, strict=True)
    ]


def decrypt_batch(
    model: Model, private: keys.PrivateKey | Look, jobs: Sequence[Job]
) -> list[Picture]:
    """Recovered composites of disguises of one size."""
    key = repeated(private.image, len(jobs))
    return list(
        model.decrypt(
            stacked(jobs), key, keystreams(model, [job.seed for job in jobs], jobs)
        )
    )


def sign_batch(
    model: EncryptGAN, private: keys.PrivateKey, jobs: Sequence[Job]
) -> list[Picture]:
    """Signed pictures of secret images of one size; without a signature in the family `paper`, as in the paper."""
    seeds = [
        signatures.keystream_seed(private.identity, model.id, job.seed) for job in jobs
    ]
    key = repeated(private.image, len(jobs))
    keystream_bytes = keystreams(model, seeds, jobs)
    signed = model.sign(stacked(jobs), key, keystream_bytes)
    if not model.locked:
        return list(signed)
    if private.network != model.key_network:
        decoded = model.unsign(signed, neutral(jobs), keystream_bytes)
        check_readable(
            jobs,
            decoded,
            "private",
            "make a key pair with these weights, or name those with --weights",
        )
        warn_of_other_weights(model, private, "the signed picture")
    return [
        signatures.attach(picture, private, model.id, job.seed, job.pixels)
        for picture, job in zip(signed, jobs, strict=True)
    ]


@dataclass(frozen=True)
class Verdict:
    """What `verify` found out of a picture whose signature is valid; `score` is an RMSE on RGB in [0, 1]."""

    name: str
    signer: str  # fingerprint; of the key that it was checked with where the family has no signatures
    signature: str  # "valid", or "none" in the family `paper`
    picture: Picture  # the decoded secret image
    threshold: float | None = None
    score: float | None = (
        None  # None, as the threshold: there was no secret to compare with
    )
    exact: bool | None = (
        None  # whether the signer signed exactly the verifier's copy; None: not known
    )

    @property
    def verified(self) -> bool:
        return (
            self.score is None or self.threshold is None or self.score <= self.threshold
        )

    def failure(self, exact: bool = False) -> NotVerified | None:
        """Why the decoded image is not the secret, or with `exact` not to the last bit; None where it is."""
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

    def check(self, exact: bool = False) -> None:
        """Raises `failure` where there is one."""
        if failure := self.failure(exact):
            raise failure


def verify_batch(
    model: EncryptGAN,
    public: keys.PublicKey,
    jobs: Sequence[Job],
    threshold: float | None = None,
) -> list[Verdict]:
    """Decode signed pictures of one size and compare them with their secrets."""
    warn_of_other_weights(model, public, "the decoded picture")
    if threshold is None and any(job.secret is not None for job in jobs):
        threshold = threshold_of(model)
    decoded = model.unsign(
        stacked(jobs),
        repeated(public.picture, len(jobs)),
        keystreams(model, [job.seed for job in jobs], jobs),
    )
    verdicts = []
    for job, picture in zip(jobs, decoded, strict=True):
        found = job.signature
        score = exact = None
        if job.secret is not None:
            score = rmse(picture, job.secret)
            exact = found.commits_to(job.secret) if found else None
        verdicts.append(
            Verdict(
                files.shown(job.source),
                public.fingerprint,
                "valid" if found else "none",
                picture,
                threshold if job.secret is not None else None,
                score,
                exact,
            )
        )
    return verdicts


def rmse(one: Picture, two: Picture) -> float:
    """Root of the mean squared difference of two uint8 pictures of one shape, on RGB in [0, 1]."""
    return float(np.sqrt(np.mean((one.astype(np.float64) - two) ** 2)) / 255)


def threshold_of(model: EncryptGAN) -> float:
    """The calibrated threshold in the weights' metadata; a fixed one, with a warning, where there is none."""
    signing = model.training_summary.get("signing")
    value = signing.get("threshold") if isinstance(signing, dict) else None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1:
        return float(value)
    terminal.warn(
        f"these weights have no threshold of their own, so {FALLBACK_THRESHOLD} is used; `egan calibrate` measures one"
    )
    return FALLBACK_THRESHOLD
