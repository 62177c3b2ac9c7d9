"""Pictures on their way: what is read and checked of one picture before and after it goes through the networks, without torch.

A job is one picture, so that what was read and checked for it (seed, boxes, signature) stays with it from file to file.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from egan import terminal
from egan.core.lock import SEED_BYTES
from egan.core.options import fits
from egan.core.weights import shipped_as
from egan.crypto import envelope, keys, signatures, spare
from egan.crypto.signatures import NotVerified, Signature
from egan.errors import EganError
from egan.pictures import compose, files
from egan.pictures.files import Picture

if TYPE_CHECKING:
    from egan.core.encryptgan import EncryptGAN
    from egan.core.model import Model
    from egan.verbs.look import Look

RESIZED = "it was cropped or resized; ask for the original file"


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
    if not fits(height, width):
        raise EganError(f"{loaded.name} is {width}x{height} pixels: {rule}", hint)
    return pixels


def composite_job(loaded: files.Loaded, source: str = "the composite") -> Job:
    """A composite with a fresh keystream seed. Raises EganError for a size that the networks do not take."""
    pixels = fitting(
        loaded,
        "sides must be multiples of 16 from 64 up",
        "make it so with `egan compose --cover-size 256`",
    )
    return Job(
        source, pixels, compose.noted_boxes(loaded), secrets.token_bytes(SEED_BYTES)
    )


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

    Even with `force` raises EganError for an envelope that opens and carries somebody else's signature, and, with `sender`,
    where that key did not sign it for this receiver.
    """
    pixels = fitting(loaded, "no disguise has that size", RESIZED)
    if not isinstance(private, keys.PrivateKey) or not model.locked:
        if sender is not None:
            raise EganError(
                f"{loaded.name} carries no signature: weights without a lock make none"
            )
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
    except envelope.Refused:
        raise
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
            alarm(
                f"{loaded.name} was altered since it was encrypted: this is what is left of it"
            )
            return Job(source, pixels, rest[1], rest[0])
        alarm(
            f"{error}; decoded all the same, with a wrong keystream, so to nothing of the message"
        )
        digest = envelope.pixel_digest(pixels)
        return Job(source, pixels, (), private.wrong_keystream_seed(digest))
    check_sender(loaded.name, opened.sender, sender)
    return Job(source, pixels, opened.boxes, opened.seed, opened.sender)


def alarm(text: str) -> None:
    """A warning that --quiet does not hush: --force may have been meant for the output file alone."""
    terminal.say("warning", text)


def check_sender(name: str, found: str | None, wanted: keys.PublicKey | None) -> None:
    if wanted is None or found == wanted.fingerprint:
        return
    if found is None:
        raise NotVerified(
            f"{name} is not signed: anyone may have sent it",
            "without --from it is decoded",
        )
    raise NotVerified(
        f"{name} is signed by another key: {found[:16]}",
        f"the key of --from has the fingerprint {wanted.fingerprint[:16]}",
    )


def check_weights(name: str, made_by: bytes, model: Model) -> None:
    if made_by != model.id:
        shipped = shipped_as(made_by)
        raise EganError(
            f"{name} was made with other weights ({made_by.hex()}; these are {model.id.hex()})",
            f"it takes --weights {shipped}" if shipped else "name those with --weights",
        )


def secret_job(loaded: files.Loaded, source: str, size: compose.Size | None) -> Job:
    """A secret image to be signed, with a fresh salt, cut and resized where a size is given."""
    return Job(
        source,
        compose.fit_cover(loaded, size, "--size"),
        (),
        secrets.token_bytes(signatures.SALT_BYTES),
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
    family `paper` a picture carries no signature, and the secret, which is all that can be checked, has to be there.
    """
    pixels = fitting(loaded, "no signed picture has that size", RESIZED)
    if not model.locked and secret is None:
        raise EganError(
            "these weights make no signatures, so there is nothing to check",
            "name a secret image with --secret",
            2,
        )
    signature = None
    if model.locked:
        signature = signatures.by(pixels, public, loaded.name)
        check_weights(loaded.name, signature.weights, model)
    copy = None
    if secret is not None:
        copy = compose.fit_cover(secret, (pixels.shape[1], pixels.shape[0]))
    return Job(
        source,
        pixels,
        (),
        signature.keystream_seed if signature else b"",
        None,
        signature,
        copy,
    )


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
