"""What the commands and `egan.EncryptGAN` do with pictures, keys and weights: the verbs, on batches of jobs.

Everything here works on arrays through the pure parts (keys, envelope, signatures, compose, core); it imports torch only
inside the functions that pass pictures through networks. A job is one picture on its way, so that what was read and
checked for it (seed, boxes, signature) stays with it from file to file. Many files are the business of `egan.many`.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from egan import compose, envelope, files, keys, signatures, spare, terminal
from egan.errors import EganError
from egan.lock import SEED_BYTES, keystream
from egan.signatures import NotVerified, Signature
from egan.weights import find_weights

if TYPE_CHECKING:
    import torch

    from egan.core import EncryptGAN
    from egan.keyless import Look
    from egan.model import Model

Picture = files.NDArray[np.uint8]

# Where the weights carry no threshold of their own (`egan calibrate` measures it): as far apart as two flowers never
# are, and as near as a fair decode is. In RMSE on RGB in [0, 1].
FALLBACK_THRESHOLD = 0.1
RESIZED = "it was cropped or resized; ask for the original file"


def load_model(weights: str | None, device: str) -> EncryptGAN:
    """The model of --weights, $EGAN_WEIGHTS or the package, on a device, with one warning line if it has no lock."""
    path = find_weights(weights)
    from egan.core import EncryptGAN, pick_device

    model = EncryptGAN.load(path, own_device(pick_device(device)))
    if not model.locked:
        terminal.warn("these weights have no lock: anyone can read the message without the private key")
    return model


def own_device(device: torch.device) -> torch.device:
    """The GPU of this process where `torchrun` started one for each; the device itself otherwise."""
    import torch

    local = os.environ.get("LOCAL_RANK", "")
    if device.type != "cuda" or device.index is not None or not local.isdecimal():
        return device
    return torch.device("cuda", int(local) % torch.cuda.device_count())


def one_standard_input(*sources: str | None) -> None:
    """Raises EganError where standard input is named more than once."""
    if sum(source == files.STDIN for source in sources) > 1:
        raise EganError("standard input can be only one of the inputs", "name files for the others", 2)


def read_private(source: str) -> keys.PrivateKey:
    """The private key in a file, with a warning where others can read it."""
    private = keys.read_private(files.read_picture(source).pixels, files.shown(source))
    files.warn_if_shared(source)
    return private


def read_public(source: str) -> keys.PublicKey:
    return keys.read_public(files.read_picture(source).pixels, files.shown(source))


def key_pair(model: EncryptGAN, face: Picture, flower: Picture) -> tuple[keys.PrivateKey, keys.PublicKey]:
    """A fresh key pair from uint8 pictures (H, W, 3) of both domains, of any sizes that the networks take."""
    o = model.options
    return keys.make_pair(
        model.key_images(face[None], o.private_layers)[0],
        model.key_images(flower[None], o.public_layers)[0],
        model.id,
    )


def make_keys(
    face: str, flower: str, pub: str, priv: str, size: int, force: bool, weights: str | None, device: str
) -> str:
    """`egan keygen`: write both key pictures, size x size, and return the fingerprint."""
    one_standard_input(face, flower)
    check_key_files(pub, priv, force)
    side = compose.parse_size(str(size), "--size")
    x, y = (compose.fit_cover(files.read_picture(source), side, "--size") for source in (face, flower))
    private, public = key_pair(load_model(weights, device), x, y)
    write_keys(private, public, pub, priv, force)
    return public.fingerprint


def check_key_files(pub: str, priv: str, force: bool) -> None:
    """Refuse the names of a new key pair before any work is done."""
    if priv == files.STDOUT:
        raise EganError("a private key is written to a file only", "name one with --priv", 2)
    if os.path.realpath(pub) == os.path.realpath(priv):
        raise EganError("the two keys need two files", status=2)
    files.check_output(pub, force)
    files.check_output(priv, force=True)
    if os.path.lexists(priv):
        raise EganError(
            f"{priv} exists already, and a private key is never overwritten",
            "use another name with --priv, or move the old key away",
        )


def write_keys(private: keys.PrivateKey, public: keys.PublicKey, pub: str, priv: str, force: bool) -> None:
    """Both halves, or none: the private one first, since a public key without it invites pictures nobody can open."""
    shared = files.png_bytes(public.picture)
    files.write_private(files.png_bytes(private.picture), priv)
    try:
        files.write_output(shared, pub, force)
    except BaseException:
        if not holds(pub, shared):  # else the pair is whole: an interruption came too late to undo it
            os.unlink(priv)  # half a pair is no use, and would block the next try
        raise


def holds(path: str, data: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(len(data) + 1) == data
    except OSError:
        return False


@dataclass
class Job:
    """One picture on its way: where it came from, pixels, what else is needed to finish it."""

    source: str
    pixels: Picture
    boxes: tuple[envelope.Box, ...] = ()
    seed: bytes = b""  # of the keystream
    sender: str | None = None  # fingerprint of who signed a disguise
    signature: Signature | None = None
    secret: Picture | None = None  # the verifier's copy


def fitting(loaded: files.Loaded, rule: str, hint: str) -> Picture:
    """The pixels of a picture. Raises EganError, with the rule that is broken, where the networks do not take its size."""
    pixels = files.flatten(loaded)
    height, width = pixels.shape[:2]
    if height % 16 or width % 16 or min(height, width) < 64:
        raise EganError(f"{loaded.name} is {width}x{height} pixels: {rule}", hint)
    return pixels


def composite_job(loaded: files.Loaded, source: str = "the composite") -> Job:
    """A composite with a fresh keystream seed. Raises EganError for a size that the networks do not take."""
    pixels = fitting(
        loaded,
        "sides must be multiples of 16 from 64 up",
        "make it so with `egan compose --cover-size 256`",
    )
    return Job(source, pixels, compose.noted_boxes(loaded), secrets.token_bytes(SEED_BYTES))


def read_composite(source: str) -> Job:
    return composite_job(files.read_picture(source), source)


def open_disguise(
    loaded: files.Loaded,
    source: str,
    private: keys.PrivateKey | Look,
    model: Model,
    force: bool,
    sender: keys.PublicKey | None = None,
) -> Job:
    """A disguise with the seed from its envelope; with `force`, and where that does not open, the seed from its spare, or
    one derived from the key where there is no spare either.

    With `sender`, raises EganError where that key did not sign it for this receiver, even with `force`.
    """
    pixels = fitting(loaded, "no disguise has that size", RESIZED)
    if not isinstance(private, keys.PrivateKey) or not model.locked:
        if sender is not None:
            raise EganError(f"{loaded.name} carries no signature: weights without a lock make none")
        return Job(source, pixels)
    try:
        made_by = envelope.weights_of(pixels, loaded.name)
        check_weights(loaded.name, made_by, model)
        opened = envelope.unseal(pixels, private, loaded.name)
        if opened is None:
            raise EganError(
                f"{loaded.name} does not open: this is the wrong private key, or the picture was altered",
                f"the key here belongs to the public key {private.fingerprint[:16]}",
            )
    except EganError as error:
        rest = spare.find(pixels, private, model.id) if model.robust else None
        if rest and sender is None and not force:
            raise EganError(
                f"{loaded.name} was altered since it was encrypted, but its spare envelope opens with this key",
                "--force reads what is left of it",
            ) from error
        if not force or sender is not None:
            raise
        if rest:
            terminal.warn(f"{loaded.name} was altered since it was encrypted: this is what is left of it")
            return Job(source, pixels, rest[1], rest[0])
        digest = envelope.pixel_digest(pixels)
        return Job(source, pixels, (), private.wrong_keystream_seed(digest))
    check_sender(loaded.name, opened.sender, sender)
    return Job(source, pixels, opened.boxes, opened.seed, opened.sender)


def check_sender(name: str, found: str | None, wanted: keys.PublicKey | None) -> None:
    if wanted is None or found == wanted.fingerprint:
        return
    if found is None:
        raise NotVerified(f"{name} is not signed: anyone may have sent it", "without --from it is decoded")
    raise NotVerified(
        f"{name} is signed by another key: {found[:16]}",
        f"the key of --from has the fingerprint {wanted.fingerprint[:16]}",
    )


def check_weights(name: str, made_by: bytes, model: Model) -> None:
    if made_by != model.id:
        raise EganError(
            f"{name} was made with other weights ({made_by.hex()}; these are {model.id.hex()})",
            "name those with --weights",
        )


def secret_job(loaded: files.Loaded, source: str, size: compose.Size | None) -> Job:
    """A secret image to be signed, with a fresh salt, cut and resized where a size is given."""
    return Job(
        source, compose.fit_cover(loaded, size, "--size"), (), secrets.token_bytes(signatures.SALT_BYTES)
    )


def open_signed(
    loaded: files.Loaded,
    source: str,
    public: keys.PublicKey,
    model: EncryptGAN,
    secret: files.Loaded | None = None,
) -> Job:
    """A signed picture whose signature is valid and made with that key; NotVerified where it is not.

    The secret, the verifier's own copy, is cut and resized as `egan sign --size` does where it has another size. In the
    family `paper` a picture carries no signature, and the secret is all that can be checked.
    """
    pixels = fitting(loaded, "no signed picture has that size", RESIZED)
    signature = None
    if model.locked:
        signature = signatures.by(pixels, public, loaded.name)
        check_weights(loaded.name, signature.weights, model)
    copy = None
    if secret is not None:
        copy = compose.fit_cover(secret, (pixels.shape[1], pixels.shape[0]))
    return Job(source, pixels, (), signature.keystream_seed if signature else b"", None, signature, copy)


def keystreams(model: Model, seeds: Sequence[bytes], jobs: Sequence[Job]) -> Picture | None:
    if not model.locked:
        return None
    shape = model.keystream_shape(*jobs[0].pixels.shape[:2])
    return np.stack([keystream(seed, shape) for seed in seeds])


def stacked(jobs: Sequence[Job]) -> Picture:
    return np.stack([job.pixels for job in jobs])


def repeated(key: Picture | None, count: int) -> Any:
    """One key image for every picture of a batch; None where a method without keys goes without."""
    return None if key is None else np.broadcast_to(key, (count, *key.shape))


def warn_of_other_weights(model: Model, public: keys.PublicKey | Look, what: str) -> None:
    if isinstance(public, keys.PublicKey) and public.weights != model.id:
        terminal.warn(f"the public key was drawn by other weights, so {what} may look worse")


def can_sign(model: Model, signer: keys.PrivateKey | None) -> None:
    """Raises EganError where a disguise is to be signed and the weights have no envelope to sign in."""
    if signer is not None and not model.locked:
        raise EganError("weights without a lock make no envelope to sign in", "leave out --sign", 2)


def encrypt_batch(
    model: Model, public: keys.PublicKey | Look, jobs: Sequence[Job], signer: keys.PrivateKey | None = None
) -> list[Picture]:
    """Disguises of composites of one size, envelopes sealed, and signed inside of them where there is a signer."""
    warn_of_other_weights(model, public, "the disguise")
    keystream_bytes = keystreams(model, [job.seed for job in jobs], jobs)
    disguises = list(model.encrypt(stacked(jobs), repeated(public.picture, len(jobs)), keystream_bytes))
    if not isinstance(public, keys.PublicKey) or not model.locked:
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


def decrypt_batch(model: Model, private: keys.PrivateKey | Look, jobs: Sequence[Job]) -> list[Picture]:
    """Recovered composites of disguises of one size."""
    key = repeated(private.image, len(jobs))
    return list(model.decrypt(stacked(jobs), key, keystreams(model, [job.seed for job in jobs], jobs)))


def sign_batch(model: EncryptGAN, private: keys.PrivateKey, jobs: Sequence[Job]) -> list[Picture]:
    """Signed pictures of secret images of one size; without a signature in the family `paper`, as in the paper."""
    seeds = [signatures.keystream_seed(private.identity, model.id, job.seed) for job in jobs]
    key = repeated(private.image, len(jobs))
    signed = model.sign(stacked(jobs), key, keystreams(model, seeds, jobs))
    if not model.locked:
        return list(signed)
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
    score: float | None = None  # None, as the threshold: there was no secret to compare with
    exact: bool | None = None  # whether the signer signed exactly the verifier's copy; None: not known

    @property
    def verified(self) -> bool:
        return self.score is None or self.threshold is None or self.score <= self.threshold

    def check(self, exact: bool = False) -> None:
        """Raises NotVerified where the decoded image is not the secret, or with `exact` not to the last bit."""
        if not self.verified:
            raise NotVerified(
                f"{self.name} does not show this secret: score {self.score:.4f}, threshold {self.threshold:.4f}",
                "the signature is valid, so the signer made this picture from another secret"
                if self.signature == "valid"
                else "",
            )
        if exact and not self.exact:
            raise NotVerified(
                f"{self.name} matches this secret, but the signer signed another copy of it",
                "a resized or re-encoded copy is another one; without --exact the match is enough",
            )


def verify_batch(
    model: EncryptGAN, public: keys.PublicKey, jobs: Sequence[Job], threshold: float | None = None
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


def need_boxes(job: Job) -> None:
    """Raises EganError for a job that `--message` has nothing to cut from."""
    if not job.boxes:
        raise EganError(
            f"{files.shown(job.source)} has no note of where its message is",
            "without --message the whole picture is written; `egan compose` makes the note",
        )


def cut_messages(job: Job, recovered: Picture) -> list[Picture]:
    """The messages in a recovered composite, in the order in which they were pasted."""
    return [recovered[y : y + h, x : x + w] for x, y, w, h in job.boxes]
