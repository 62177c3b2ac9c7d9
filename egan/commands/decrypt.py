"""`egan decrypt`: disguises to composites and messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from egan import terminal
from egan.commands.options import (
    PRIV,
    Device,
    Folder,
    Force,
    Json,
    Listed,
    Out,
    PassphraseFd,
    Quiet,
    Status,
    Weights,
    several,
)
from egan.errors import EganError, Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egan.commands.batches import Result
    from egan.crypto.keys import PrivateKey
    from egan.pictures.files import Picture
    from egan.pictures.sources import Source
    from egan.verbs.job import Job, Look
    from egan.verbs.weights import Weights as WeightsFile

EXAMPLES = (
    "egan decrypt --priv priv.png disguise.png -o recovered.png",
    "egan decrypt --priv priv.png --message disguise.png > found.png",
    "egan decrypt --priv priv.png --from friend-pub.png inbox/ -d opened",
    "egan decrypt --priv priv.png --note disguise.png",
    "egan decrypt --priv priv.png --json disguise.png",
)
# The exit status for a picture that was decoded though nobody vouches for it.
DAMAGED = 3


def decrypt(
    inputs: Annotated[list[str] | None, several("DISGUISE", "Disguises")] = None,
    priv: Annotated[str | None, PRIV] = None,
    cover: Annotated[
        str | None,
        typer.Option(
            "--cover",
            metavar="FILE",
            help="For munit and drit: a picture that looks like the cover.",
        ),
    ] = None,
    senders: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="The sender's public key: refuse what this key did not sign. Repeat it for several senders.",
        ),
    ] = None,
    message: Annotated[
        bool, typer.Option("--message", help="Write the cut-out message alone.")
    ] = False,
    number: Annotated[
        int | None,
        typer.Option(
            "--number",
            metavar="N",
            help="Which message, where there are several: 1 is the first that was pasted.",
        ),
    ] = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="All messages of one picture: with -o found.png, found-1.png, found-2.png and so on.",
        ),
    ] = False,
    note: Annotated[
        bool,
        typer.Option(
            "--note", help="Write the note alone, exactly, to standard output."
        ),
    ] = False,
    damaged: Annotated[
        bool,
        typer.Option(
            "--damaged",
            help="Decode also what does not authenticate, and exit 3: nobody vouches for it.",
        ),
    ] = False,
    passphrase_fd: PassphraseFd = None,
    json: Json = False,
    status: Status = False,
    output: Out = None,
    directory: Folder = None,
    listed: Listed = None,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Turn disguises back into composites, or with --message into the messages.

    --json and --status tell what a disguise holds and for whom it opens; without -o or -d
    they write no picture.
    """
    terminal.quiet = quiet or status
    from egan.commands import batches
    from egan.commands import inputs as finding
    from egan.pictures import files
    from egan.verbs import keys, unhide

    check_usage(message, number, every, json, status, directory, output)
    if note and (message or every or json or status or directory or output):
        raise EganError(
            "--note writes the note to standard output, and nothing else",
            "leave out the other options of what is written",
            2,
        )
    writes = directory is not None or output is not None or not (json or status or note)
    found = finding.find(
        inputs,
        listed,
        directory,
        output,
        force,
        (priv, cover, *(senders or ())),
        several=not writes and not note,
        writes=writes,
    )
    weights_file = finding.open_weights(weights, device)
    private = receiver_key(weights_file, priv, cover, passphrase_fd)
    known = [keys.read_public(sender) for sender in senders or ()]
    wanted = Messages(message or every, number, every or directory is not None)
    authentic: list[bool] = []

    def read(source: Source) -> Job:
        try:
            return opened(source)
        except EganError as error:
            if json:
                tell_failure(source.path, error)
            raise

    def opened(source: Source) -> Job:
        loaded = files.read_exact(source.path, lossy=True)
        job = unhide.open_disguise(
            loaded,
            source.path,
            private,
            weights_file,
            named=weights is not None,
            damaged=damaged,
            senders=known,
        )
        wanted.check(job)
        authentic.append(job.authentic or not weights_file.locked)
        if job.authentic:
            note_sender(job, bool(known))
            if job.note and not note:
                words = f"it holds a note of {len(job.note)} bytes: see --note"
                job.notes.append(Note(words))
        if note and not job.note:
            raise EganError(f"{job.name} holds no note")
        return job

    def work(jobs: Sequence[Job]) -> list[Result]:
        if json:
            for job in jobs:
                tell_json(job)
        if note:
            write_note(jobs[0].note)
        if not writes:
            return []
        recovered = unhide.decrypt(jobs, private, terminal.parts(found.alone))
        return [
            result
            for job, picture in zip(jobs, recovered, strict=True)
            for result in wanted.results(job, picture)
        ]

    verb = batches.Verb(
        read,
        work,
        "decrypting",
        wanted.suffixes,
        hushed=EganError if status else None,
        writes=writes,
    )
    try:
        batches.run(found, verb)
    except EganError as error:
        if status and error.status == 1:
            raise typer.Exit(1) from None
        raise
    if not all(authentic):
        raise typer.Exit(DAMAGED)


def check_usage(
    message: bool,
    number: int | None,
    every: bool,
    json: bool,
    status: bool,
    directory: str | None,
    output: str | None,
) -> None:
    """Raises EganError for options that do not go together."""
    if number is not None and (not message or every or directory is not None):
        raise EganError("--number is for --message and one picture", status=2)
    if every and directory is None and output in (None, "-"):
        raise EganError(
            "--all writes several files",
            "name them with -o FILE.png, or a folder with -d",
            2,
        )
    if status and json:
        raise EganError("--status and --json exclude each other", status=2)
    if (status or json) and output == "-":
        raise EganError(
            "standard output takes either the picture or the words", status=2
        )


def write_note(note: bytes) -> None:
    """A note to standard output: exactly, or on a terminal without control characters."""
    import sys

    if not sys.stdout.isatty():
        sys.stdout.buffer.write(note)
        return
    for line in note.decode(errors="backslashreplace").splitlines():
        print(terminal.printable(line))


def receiver_key(
    weights: WeightsFile,
    priv: str | None,
    cover: str | None,
    passphrase_fd: int | None,
) -> PrivateKey | Look:
    """A private key, or for a method without keys a picture like the cover, or nothing."""
    from egan.commands import inputs
    from egan.core.options import ModelOptions
    from egan.pictures import files
    from egan.verbs import keys
    from egan.verbs.job import Look

    options = weights.options
    if isinstance(options, ModelOptions):
        if cover is not None:
            raise EganError("--cover is for methods without keys", "leave it out", 2)
        if priv is None:
            raise EganError("missing option '--priv'", "see egan decrypt --help", 2)
        private, notes = keys.read_private(priv, inputs.passphrases(passphrase_fd))
        terminal.tell(notes)
        return private
    if priv is not None:
        raise EganError(f"{options.TITLE} has no keys", "leave out --priv", 2)
    if cover is not None and not options.uses_cover:
        raise EganError(f"{options.TITLE} does not take --cover", "leave it out", 2)
    loaded = files.read_picture(cover) if cover is not None else None
    return Look.of(loaded, options)


class Messages:
    """Which pictures decrypt writes of one disguise: the composite, one message, or all."""

    def __init__(self, cut: bool, number: int | None, every: bool) -> None:
        self.cut = cut
        self.number = number
        self.every = every

    def check(self, job: Job) -> None:
        """Raises EganError for a message that is not there; notes those that are left out."""
        from egan.verbs import unhide

        if not self.cut:
            return
        unhide.need_boxes(job)
        count = len(job.boxes)
        number = 1 if self.number is None else self.number
        if not 1 <= number <= count:
            raise EganError(
                f"there is no message {number}: the picture holds {count}", status=2
            )
        if count > 1 and not self.every and self.number is None:
            text = (
                f"{job.name} holds {count} messages, and this is the first; "
                f"--number 2 writes the next, --all -o NAME.png writes all of them"
            )
            job.notes.append(Note(text, warning=True))

    def suffixes(self, job: Job) -> list[str]:
        if self.cut and self.every and len(job.boxes) > 1:
            return [f"-{i}" for i in range(1, len(job.boxes) + 1)]
        return [""]

    def results(self, job: Job, picture: Picture) -> list[Result]:
        """The composite with its note of boxes, or the messages that are wanted."""
        from egan.commands.batches import Result
        from egan.pictures.boxes import boxes_text
        from egan.verbs import unhide

        if not self.cut:
            pasted = job.boxes and job.boxes != ((0, 0, *job.shown_size),)
            text = boxes_text(job.boxes, picture) if pasted else {}
            return [Result(job, picture, "", text)]
        cut = unhide.cut_messages(job, picture)
        if not self.every:
            return [Result(job, cut[(self.number or 1) - 1])]
        pairs = zip(cut, self.suffixes(job), strict=True)
        return [Result(job, part, suffix) for part, suffix in pairs]


def note_sender(job: Job, compared: bool) -> None:
    """Note who vouches for a letter: its signer, or nobody."""
    from datetime import UTC, datetime

    from egan.crypto.keys import grouped

    if job.sender is None:
        job.notes.append(Note("not signed: anyone may have sent it"))
        return
    try:
        date = (
            f"{datetime.fromtimestamp(job.sender.seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
    except (OverflowError, ValueError, OSError):
        date = f"{job.sender.seconds} seconds after 1970"
    rest = "" if compared else " (not compared with any key: see --from)"
    lines = [
        f"signed by: {grouped(job.sender.fingerprint)}{rest}",
        f"signed on: {date}, by the sender's clock",
    ]
    if job.sender.comment:
        lines.append(f"comment: {terminal.printable(job.sender.comment)}")
    job.notes += [Note(line) for line in lines]


def tell_json(job: Job) -> None:
    """One JSON object about a disguise that opened."""
    import json as codec

    width, height = job.shown_size
    facts: dict[str, Any] = {
        "file": job.name,
        "opens": job.authentic,
        "authentic": job.authentic,
        "width": width,
        "height": height,
        "messages": [list(box) for box in job.boxes],
        "sender": job.sender.fingerprint if job.sender else None,
        "signed_at": job.sender.seconds if job.sender else None,
        "comment": job.sender.comment if job.sender else None,
        "note_bytes": len(job.note),
        "weights": job.weights.id.hex() if job.weights else None,
        "source": "network" if job.found is None else "capsule",
        "capsule": job.found.facts() if job.found else None,
    }
    print(codec.dumps(facts))


def tell_failure(path: str, error: EganError) -> None:
    """One JSON object about a disguise that did not open."""
    import json as codec

    from egan.pictures import files

    facts = {"file": files.shown(path), "opens": False, "reason": str(error)}
    print(codec.dumps(facts))
