"""What the commands do with pictures, keys and weights, once the command line is read.

Everything here works on files and arrays through the pure parts (keys, envelope, compose, core); it imports torch only
inside the functions that pass pictures through networks.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from egan import compose, envelope, files, keys, terminal
from egan.errors import EganError
from egan.lock import SEED_BYTES, keystream
from egan.weights import find_weights

if TYPE_CHECKING:
    from egan.core import EncryptGAN

Picture = files.NDArray[np.uint8]


def load_model(weights: str | None, device: str) -> EncryptGAN:
    """The model of --weights, $EGAN_WEIGHTS or the package, on a device, with one warning line if it has no lock."""
    path = find_weights(weights)
    from egan.core import EncryptGAN, pick_device

    model = EncryptGAN.load(path, pick_device(device))
    if not model.locked:
        terminal.warn("these weights have no lock: anyone can read the message without the private key")
    return model


def one_standard_input(*sources: str) -> None:
    """Raises EganError where standard input is named more than once."""
    if sum(source == files.STDIN for source in sources) > 1:
        raise EganError("standard input can be only one of the inputs", "name files for the others", 2)


def make_keys(
    face: str, flower: str, pub: str, priv: str, size: int, force: bool, weights: str | None, device: str
) -> str:
    """`egan keygen`: write both key pictures, size x size, and return the fingerprint."""
    one_standard_input(face, flower)
    if priv == files.STDOUT:
        raise EganError("a private key is written to a file only", "name one with --priv", 2)
    if os.path.realpath(pub) == os.path.realpath(priv):
        raise EganError("the two keys need two files", status=2)
    files.check_output(pub, force)
    files.check_output(priv, force=True)
    if Path(priv).exists():
        raise EganError(
            f"{priv} exists already, and a private key is never overwritten",
            "use another name with --priv, or move the old key away",
        )
    side = compose.parse_size(str(size), "--size")
    x, y = (compose.fit_cover(files.read_picture(source), side, "--size") for source in (face, flower))
    model = load_model(weights, device)
    o = model.options
    private, public = keys.make_pair(
        model.key_images(x[None], o.private_layers)[0],
        model.key_images(y[None], o.public_layers)[0],
        model.id,
    )
    files.write_private(files.png_bytes(private.picture), priv)
    try:
        files.write_output(files.png_bytes(public.picture), pub, force)
    except BaseException:
        Path(priv).unlink(missing_ok=True)  # half a pair is no use, and would block the next try
        raise
    return public.fingerprint


@dataclass
class Job:
    """One picture on its way: where it came from, pixels, what else is needed to finish it."""

    source: str
    pixels: Picture
    boxes: tuple[envelope.Box, ...]
    seed: bytes


def read_composite(source: str) -> Job:
    loaded = files.read_picture(source)
    pixels = files.flatten(loaded)
    height, width = pixels.shape[:2]
    if height % 16 or width % 16 or min(height, width) < 64:
        raise EganError(
            f"{loaded.name} is {width}x{height} pixels: sides must be multiples of 16 from 64 up",
            "make it so with `egan compose --cover-size 256`",
        )
    return Job(source, pixels, compose.noted_boxes(loaded), secrets.token_bytes(SEED_BYTES))


def open_disguise(
    loaded: files.Loaded, source: str, private: keys.PrivateKey, model: EncryptGAN, force: bool
) -> Job:
    """A disguise with the seed from its envelope; with --force, and a wrong key, a seed derived from that key."""
    pixels = files.flatten(loaded)
    height, width = pixels.shape[:2]
    if height % 16 or width % 16 or min(height, width) < 64:
        raise EganError(
            f"{loaded.name} is {width}x{height} pixels: no disguise has that size",
            "it was cropped or resized; ask for the original file",
        )
    if not model.locked:
        return Job(source, pixels, (), b"")
    try:
        made_by = envelope.weights_of(pixels, loaded.name)
        if made_by != model.id:
            raise EganError(
                f"{loaded.name} was made with other weights ({made_by.hex()}; these are {model.id.hex()})",
                "name those with --weights",
            )
        opened = envelope.unseal(pixels, private, loaded.name)
        if opened is None:
            raise EganError(
                f"{loaded.name} does not open: this is the wrong private key, or the picture was altered",
                f"the key here belongs to the public key {private.fingerprint[:16]}",
            )
    except EganError:
        if not force:
            raise
        digest = envelope.pixel_digest(pixels)
        return Job(source, pixels, (), private.wrong_keystream_seed(digest))
    return Job(source, pixels, opened.boxes, opened.seed)


def keystreams(model: EncryptGAN, jobs: Sequence[Job]) -> Picture | None:
    if not model.locked:
        return None
    shape = model.keystream_shape(*jobs[0].pixels.shape[:2])
    return np.stack([keystream(job.seed, shape) for job in jobs])


def repeated(key: Picture, count: int) -> Picture:
    return np.broadcast_to(key, (count, *key.shape))


def encrypt_batch(model: EncryptGAN, public: keys.PublicKey, jobs: Sequence[Job]) -> list[Picture]:
    """Disguises of composites of one size, envelopes sealed."""
    if public.weights != model.id:
        terminal.warn("the public key was drawn by other weights, so the disguise may look worse")
    disguises = model.encrypt(
        np.stack([job.pixels for job in jobs]),
        repeated(public.picture, len(jobs)),
        keystreams(model, jobs),
    )
    if not model.locked:
        return list(disguises)
    return [
        envelope.seal(disguise, public, job.seed, job.boxes, model.id)
        for disguise, job in zip(disguises, jobs, strict=True)
    ]


def decrypt_batch(model: EncryptGAN, private: keys.PrivateKey, jobs: Sequence[Job]) -> list[Picture]:
    """Recovered composites of disguises of one size."""
    return list(
        model.decrypt(
            np.stack([job.pixels for job in jobs]),
            repeated(private.picture, len(jobs)),
            keystreams(model, jobs),
        )
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


def batches(jobs: Iterator[Job], size: int) -> Iterator[list[Job]]:
    """Runs of pictures of one size, at most `size` long, so memory stays flat."""
    run: list[Job] = []
    for job in jobs:
        if run and (len(run) == size or job.pixels.shape != run[0].pixels.shape):
            yield run
            run = []
        run.append(job)
    if run:
        yield run


def many(
    sources: Sequence[str],
    folder: str,
    force: bool,
    read: Callable[[str], Job],
    work: Callable[[Sequence[Job]], list[tuple[Job, str, Picture, dict[str, str]]]],
    size: int,
    words: str,
) -> int:
    """Read, pass through the networks and write many pictures into a folder; the number that failed.

    `work` gives, for every picture to be written, its job, a suffix for the name, pixels and PNG text. One bad picture
    is reported and does not stop the rest.
    """
    check_folder(folder, sources)
    failed: set[str] = set()

    def fail(error: EganError, *ones: str) -> None:
        terminal.report(error)
        failed.update(ones)

    def readable() -> Iterator[Job]:
        for source in terminal.progress(sources, len(sources), words):
            try:
                files.check_output(str(place(folder, source, "")), force)
                job = read(source)
            except EganError as error:
                fail(error, source)
            else:
                yield job

    def write(job: Job, suffix: str, pixels: Picture, text: dict[str, str]) -> None:
        try:
            data = files.png_bytes(pixels, text)
            files.write_output(data, str(place(folder, job.source, suffix)), force)
        except EganError as error:
            fail(error, job.source)

    # One batch is compressed and written while the next is in the networks, and no more are waiting: flat memory.
    with ThreadPoolExecutor(2) as writer:
        writing: list[Future[None]] = []
        for run in batches(readable(), size):
            try:
                results = work(run)
            except EganError as error:
                fail(error, *(job.source for job in run))
                continue
            for done in writing:
                done.result()
            writing = [writer.submit(write, *result) for result in results]
        for done in writing:
            done.result()
    return len(failed)


def place(folder: str, source: str, suffix: str) -> Path:
    return Path(folder) / (Path(source).stem + suffix + ".png")


def check_folder(folder: str, sources: Sequence[str]) -> None:
    """Raises EganError where the output folder is missing or two inputs would be written to one name."""
    if not Path(folder).is_dir():
        raise EganError(f"there is no output folder {folder}", f"make it with: mkdir {folder}", 2)
    if files.STDIN in sources:
        raise EganError("standard input cannot be one of many files", "name files with -d", 2)
    names: dict[str, str] = {}
    for source in sources:
        stem = Path(source).stem
        if stem in names and names[stem] != source:
            raise EganError(f"{names[stem]} and {source} would be written to one file, {stem}.png", status=2)
        names[stem] = source
