"""The commands on many files: for each verb, how one file is read, what is done with a batch, and what is written."""

from __future__ import annotations

import json as codec
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from egan import terminal
from egan.commands import batches
from egan.commands.batches import Result, Source
from egan.crypto import keys
from egan.crypto.signatures import NotVerified
from egan.errors import EganError
from egan.pictures import compose as composing
from egan.pictures import files
from egan.pictures.files import Picture
from egan.verbs import intake, pipeline
from egan.verbs import keygen as keyfiles
from egan.verbs import look as keyless
from egan.verbs.intake import Job

if TYPE_CHECKING:
    from egan.verbs.pipeline import Verdict


def start(
    inputs: list[str] | None,
    directory: str | None,
    output: str | None,
    others: Sequence[str | None],
    force: bool,
    listed: str | None = None,
    several: bool = False,
) -> list[Source]:
    """The inputs of a command, after the checks that need no reading of pictures.

    others: keys and whatever else may be standard input. several: the command takes several files without a folder.
    """
    files.one_standard_input(
        *others, *([listed] if listed else inputs or [files.STDIN])
    )
    if directory is not None and output is not None:
        raise EganError("-o and -d exclude each other", status=2)
    if directory is None and not several:
        if listed is not None:
            raise EganError(
                "--files0-from needs an output folder", "name one with -d", 2
            )
        if len(inputs or ()) > 1:
            raise EganError(
                f"{len(inputs or ())} inputs and one output", "name a folder with -d", 2
            )
        files.check_output(output, force)
        alone()
    sources = batches.find_sources(inputs, listed, directory)
    if directory is None and not several and len(sources) > 1:
        raise EganError(
            f"{len(sources)} inputs and one output", "name a folder with -d", 2
        )
    if directory is not None:
        batches.check_folder(directory, sources)
    return sources


def alone() -> None:
    """Raises EganError in a `torchrun` job without a folder: all processes would write one output."""
    if batches.processes()[1] > 1:
        raise EganError("torchrun is for many files", "name a folder with -d", 2)


def encrypt(
    sources: Sequence[Source],
    folder: str,
    public: keys.PublicKey | keyless.Look,
    signer: keys.PrivateKey | None,
    force: bool,
    weights: str | None,
    device: str,
) -> None:
    model = keyless.load_model(public, weights, device)
    pipeline.can_sign(model, signer)

    def work(jobs: Sequence[Job]) -> list[Result]:
        disguises = pipeline.encrypt_batch(model, public, jobs, signer)
        return [
            Result(job, disguise) for job, disguise in zip(jobs, disguises, strict=True)
        ]

    batches.run_many(
        sources,
        folder,
        force,
        lambda source: intake.read_composite(source.path),
        work,
        batches.batch_size(model),
        "encrypting",
    )


def decrypt(
    sources: Sequence[Source],
    folder: str,
    private: keys.PrivateKey | keyless.Look,
    sender: keys.PublicKey | None,
    message: bool,
    force: bool,
    weights: str | None,
    device: str,
) -> None:
    model = keyless.load_model(private, weights, device)

    def read(source: Source) -> Job:
        loaded = files.read_picture(source.path)
        job = intake.open_disguise(loaded, source.path, private, model, force, sender)
        if message:
            intake.need_boxes(job)
        return job

    def work(jobs: Sequence[Job]) -> list[Result]:
        recovered = pipeline.decrypt_batch(model, private, jobs)
        for job in jobs:
            tell_sender(job, sender, f"{job.source}: ")
        return [
            piece
            for job, picture in zip(jobs, recovered, strict=True)
            for piece in pieces(job, picture, message)
        ]

    def outputs(job: Job) -> list[str]:
        return suffixes(len(job.boxes)) if message else [""]

    batches.run_many(
        sources,
        folder,
        force,
        read,
        work,
        batches.batch_size(model),
        "decrypting",
        outputs,
    )


def tell_sender(job: Job, known: keys.PublicKey | None, start: str = "") -> None:
    """A note of who signed a disguise, if anybody did."""
    if job.sender is not None:
        terminal.note(
            f"{start}signed by: {job.sender}{'' if known else ' (not compared with any key: see --from)'}"
        )


def suffixes(count: int) -> list[str]:
    """What is added to the names of the messages of one picture."""
    return [f"-{i}" for i in range(1, count + 1)] if count > 1 else [""] * count


def pieces(job: Job, picture: Picture, message: bool) -> list[Result]:
    """What decrypt writes of one picture: the composite with its note of boxes, or each message."""
    if not message:
        return [
            Result(
                job, picture, "", composing.boxes_text(job.boxes) if job.boxes else {}
            )
        ]
    intake.need_boxes(job)
    cut = intake.cut_messages(job, picture)
    return [
        Result(job, part, suffix)
        for part, suffix in zip(cut, suffixes(len(cut)), strict=True)
    ]


def sign(
    sources: Sequence[Source],
    folder: str,
    private: keys.PrivateKey,
    size: composing.Size | None,
    force: bool,
    weights: str | None,
    device: str,
) -> None:
    model = pipeline.load_model(weights, device)

    def read(source: Source) -> Job:
        return intake.secret_job(files.read_picture(source.path), source.path, size)

    def work(jobs: Sequence[Job]) -> list[Result]:
        signed = pipeline.sign_batch(model, private, jobs)
        return [Result(job, picture) for job, picture in zip(jobs, signed, strict=True)]

    batches.run_many(
        sources, folder, force, read, work, batches.batch_size(model), "signing"
    )


def verify(
    sources: Sequence[Source],
    folder: str | None,
    public: keys.PublicKey,
    secret: str | None,
    threshold: float | None,
    exact: bool,
    force: bool,
    weights: str | None,
    device: str,
    tell: Callable[[str, Verdict | EganError], None],
    hushed: bool,
) -> None:
    """Check many signed pictures, tell what came out of each, and write the verified ones into a folder, if any."""
    batches.check_partner(secret, sources)
    model = pipeline.load_model(weights, device)

    def read(source: Source) -> Job:
        try:
            copy = (
                files.read_picture(batches.partner(secret, source))
                if secret is not None
                else None
            )
            return intake.open_signed(
                files.read_picture(source.path), source.path, public, model, copy
            )
        except EganError as error:
            tell(source.path, error)
            raise

    def work(jobs: Sequence[Job]) -> list[Result | EganError]:
        results: list[Result | EganError] = []
        verdicts = pipeline.verify_batch(model, public, jobs, threshold)
        for job, verdict in zip(jobs, verdicts, strict=True):
            results.append(verdict.failure(exact) or Result(job, verdict.picture))
            tell(job.source, verdict)
        return results

    batches.run_many(
        sources,
        folder,
        force,
        read,
        work,
        batches.batch_size(model),
        "verifying",
        hushed=NotVerified if hushed else None,
    )


def compose(
    sources: Sequence[Source],
    message: str,
    recipe: composing.Recipe,
    folder: str,
    force: bool,
) -> None:
    """Paste a message, or from a folder of messages the one of the cover's name, on every cover."""
    notes: dict[str, dict[str, str]] = {}

    def read(source: Source) -> Job:
        pasted = files.read_picture(batches.partner(message, source))
        pixels, notes[source.path] = recipe.apply(
            files.read_picture(source.path), pasted
        )
        return Job(source.path, pixels)

    def work(jobs: Sequence[Job]) -> list[Result]:
        return [Result(job, job.pixels, "", notes.pop(job.source)) for job in jobs]

    batches.check_partner(message, sources)
    batches.run_many(sources, folder, force, read, work, 8, "composing")


def keygen(
    face: str,
    flower: str,
    folder: str,
    size: int,
    force: bool,
    weights: str | None,
    device: str,
) -> None:
    """A key pair for every face, with one flower for all or from a folder the one of the face's name."""
    sources = batches.find_sources([face], None, folder)
    batches.check_folder(folder, sources)
    batches.check_partner(flower, sources)
    alone()
    side = composing.parse_size(str(size), "--size")
    model = pipeline.load_model(weights, device)
    failures = batches.Failures()
    for source in terminal.progress(sources, len(sources), "making keys"):
        pub, priv = (
            batches.target(folder, source.stem, suffix) for suffix in ("-pub", "-priv")
        )
        try:
            with files.reporting(pub):
                Path(pub).parent.mkdir(parents=True, exist_ok=True)
            keyfiles.check_key_files(pub, priv, force)
            x, y = (
                composing.fit_cover(files.read_picture(path), side, "--size")
                for path in (source.path, batches.partner(flower, source))
            )
            private, public = keyfiles.key_pair(model, x, y)
            keyfiles.write_keys(private, public, pub, priv, force)
            terminal.note(f"{pub}: {public.fingerprint}")
        except EganError as error:
            failures.add(error, source.path)
    failures.finish(len(sources))


def inspect(sources: Sequence[Source], json: bool) -> None:
    """Print the facts of every file: JSON lines, or paragraphs."""
    from egan.commands.inspect import describe, show

    if len(sources) == 1:
        facts = describe(sources[0].path)
        print(codec.dumps(facts)) if json else show(facts)
        return
    failures = batches.Failures()
    shown = 0
    for source in sources:
        try:
            facts = describe(source.path)
        except EganError as error:
            failures.add(error, source.path)
            continue
        if json:
            print(codec.dumps(facts))
        else:
            print(end="\n" if shown else "")
            show(facts)
        shown += 1
    failures.finish(len(sources))
