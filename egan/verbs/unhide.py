"""Decrypting: disguises to composites and messages, once their envelopes open."""

from __future__ import annotations

from collections.abc import Sequence

from egan.core.model import Progress
from egan.crypto import envelope, header
from egan.crypto.keys import PrivateKey, PublicKey, grouped
from egan.crypto.signatures import NotVerified
from egan.errors import EganError, Note
from egan.pictures import files
from egan.pictures.boxes import CHUNK
from egan.pictures.files import Picture
from egan.verbs.batching import keystreams, repeated, stacked
from egan.verbs.hide import weights_of
from egan.verbs.job import RESIZED, Job, Look, fitting
from egan.verbs.weights import Weights, made_by

NOBODY_VOUCHES = "nobody vouches for what is decoded, and anyone who has your public key can have made it"


def open_disguise(
    loaded: files.Loaded,
    source: str,
    private: PrivateKey | Look,
    weights: Weights,
    *,
    named: bool = False,
    damaged: bool = False,
    senders: Sequence[PublicKey] = (),
) -> Job:
    """A disguise whose envelope opens with this key, with the seed and boxes from it.

    named: the caller asked for these weights. damaged: go on, without a claim, where
    the picture does not authenticate. senders: refuse what none of these keys signed.
    Raises EganError; also with `damaged` for a signature that is not for this receiver.
    """
    if CHUNK in loaded.text and header.claimed_kind(loaded.pixels) is None:
        raise EganError(
            f"{loaded.name} is a composite, and no disguise",
            "encrypt it first: decrypt takes what `egan encrypt` has made of it",
        )
    if not isinstance(private, PrivateKey) or not weights.locked:
        pixels = fitting(loaded, "no disguise has that size", RESIZED)
        return open_unlocked(loaded, pixels, source, weights, senders)
    job = Job(source, files.flatten(loaded), weights, notes=list(loaded.notes))
    try:
        open_envelope(job, loaded, private, weights, named)
    except envelope.Refused:
        raise
    except EganError as error:
        if not open_capsule(job, loaded, private, error):
            if not damaged or senders:
                if loaded.lossy:
                    raise files.keeps_nothing(loaded.name, loaded.lossy) from error
                raise
            pixels = fitting(loaded, "no disguise has that size", RESIZED)
            job.authentic = False
            job.warn(f"{error}; decoded all the same: {NOBODY_VOUCHES}", urgent=True)
            job.seed = private.wrong_keystream_seed(envelope.digest_of(pixels))
            return job
    check_sender(loaded.name, job.sender, senders)
    return job


def open_envelope(
    job: Job, loaded: files.Loaded, private: PrivateKey, weights: Weights, named: bool
) -> None:
    """Take seed, boxes, note and sender from an envelope. Raises EganError."""
    fitting(loaded, "no disguise has that size", RESIZED)
    identity = envelope.weights_of(job.pixels, loaded.name)
    job.weights = made_by(identity, weights, named, loaded.name)
    opened = envelope.unseal(job.pixels, private, loaded.name)
    if opened is None:
        raise EganError(
            f"{loaded.name} does not open: this is the wrong private key, or the picture was altered",
            f"the key here belongs to the public key {grouped(private.fingerprint)}",
        )
    letter = opened.letter
    job.sender, job.seed, job.size = opened.sender, letter.seed, letter.size
    job.boxes, job.note = letter.boxes, letter.note


def open_capsule(
    job: Job, loaded: files.Loaded, private: PrivateKey, error: EganError
) -> bool:
    """Whether a capsule opens where the envelope does not, for the reason `error`; then
    everything is taken from it.

    Raises Refused for content that its receiver must not take, and says of a capsule
    that cannot be read why.
    """
    from egan.core import modulation

    whole = header.claimed_kind(job.pixels) is not None
    if whole and modulation.quick_look(job.pixels @ modulation.LUMA) is None:
        return False
    from egan.verbs import capsules

    try:
        found = capsules.find(job.pixels, private, own_size_only=whole)
    except capsules.Unreadable as unreadable:
        raise EganError(f"{loaded.name}: {unreadable}", unreadable.hint) from error
    if found is None:
        return False
    content = found.opened.content
    job.found, job.pixels = found, found.picture
    job.sender, job.size = found.opened.sender, content.size
    job.boxes, job.note = content.boxes, content.note
    width, height = found.size
    job.notes.append(
        Note(
            f"re-encoded on its way, and sent as {width}x{height} pixels: messages, note and "
            "sender come from its capsule, exactly as they were sealed"
        )
    )
    return True


def open_unlocked(
    loaded: files.Loaded,
    pixels: Picture,
    source: str,
    weights: Weights,
    senders: Sequence[PublicKey],
) -> Job:
    """A disguise for weights without a lock, which have no envelope to check.

    Raises EganError for a picture that has an envelope: those weights would show
    something that its sender never wrote.
    """
    if header.find(pixels, loaded.name) is not None:
        header.expect(pixels, header.Kind.DISGUISE, loaded.name)
        raise EganError(
            f"{loaded.name} is sealed in an envelope, which weights without a lock cannot open",
            "decrypt it with the weights that made it; egan finds those that ship by itself",
        )
    if senders:
        raise NotVerified(
            f"{loaded.name} carries no signature: weights without a lock make none"
        )
    return Job(source, pixels, weights, authentic=False, notes=list(loaded.notes))


def check_sender(
    name: str, sender: envelope.Sender | None, wanted: Sequence[PublicKey]
) -> None:
    """Raises NotVerified where one of some senders is asked for and none of them
    signed.
    """
    found = sender.fingerprint if sender is not None else None
    if not wanted or found in {public.fingerprint for public in wanted}:
        return
    if found is None:
        raise NotVerified(
            f"{name} is not signed: anyone may have sent it",
            "without --from it is decoded",
        )
    raise NotVerified(
        f"{name} is signed by another key: {grouped(found)}",
        f"the key of --from has the fingerprint {grouped(wanted[0].fingerprint)}",
    )


def decrypt(
    jobs: Sequence[Job],
    private: PrivateKey | Look,
    progress: Progress | None = None,
) -> list[Picture]:
    """Recovered composites, uint8 (H, W, 3) in their true sizes, of disguises of one
    size.

    Those of which a capsule was found are what that draws. progress: told of the parts
    of large pictures.
    """
    whole = [job for job in jobs if job.found is None]
    decoded: list[Picture] = []
    if whole:
        key = repeated(private.image, len(whole))
        model = weights_of(whole).model
        streams = keystreams(whole)
        decoded = list(model.decrypt(stacked(whole), key, streams, progress))
    pictures = iter(decoded)
    return [
        (next(pictures) if job.found is None else job.pixels)[
            : job.shown_size[1], : job.shown_size[0]
        ]
        for job in jobs
    ]


def need_boxes(job: Job) -> None:
    """Raises EganError for a picture that no message can be cut from."""
    if not job.boxes:
        raise EganError(
            f"{job.name} has no note of where its message is",
            "without --message the whole picture is written; `egan compose` makes the note",
        )


def cut_messages(job: Job, recovered: Picture) -> list[Picture]:
    """The messages in a recovered composite, in the order in which they were pasted."""
    return [recovered[y : y + h, x : x + w] for x, y, w, h in job.boxes]
