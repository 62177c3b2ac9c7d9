"""`egan encrypt`: composites to disguises."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from egan import terminal
from egan.commands.options import (
    Device,
    Folder,
    Force,
    Json,
    Listed,
    Out,
    PassphraseFd,
    Quiet,
    Weights,
    several,
)
from egan.errors import EganError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egan.commands.batches import Result
    from egan.crypto.envelope import Signing
    from egan.crypto.keys import PublicKey
    from egan.pictures.files import Loaded
    from egan.pictures.sources import Source
    from egan.verbs.job import Job, Look
    from egan.verbs.weights import Weights as WeightsFile

EXAMPLES = (
    "egan encrypt --pub friend-pub.png composite.png -o disguise.png",
    "egan compose cover.jpg note.png | egan encrypt --pub friend-pub.png > disguise.png",
    "egan encrypt --pub ann-pub.png --pub ben-pub.png --note 'until Friday' photo.jpg > disguise.png",
    "egan encrypt --pub friend-pub.png --sign priv.png composites/ -d disguises",
)


def encrypt(
    inputs: Annotated[list[str] | None, several("COMPOSITE", "Composites")] = None,
    pub: Annotated[
        list[str] | None,
        typer.Option(
            "--pub",
            metavar="FILE",
            help="The receiver's public key [default: $EGAN_PUB]. Repeat it for several receivers.",
        ),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="FINGERPRINT",
            help="Refuse a public key with another fingerprint; repeat it for several receivers.",
        ),
    ] = None,
    flower: Annotated[
        str | None,
        typer.Option(
            "--flower",
            metavar="FILE",
            help="A picture for the disguise to look like, instead of the public key's flower.",
        ),
    ] = None,
    sign: Annotated[
        str | None,
        typer.Option(
            "--sign",
            metavar="FILE",
            help="Your private key: tell the receiver, and nobody else, who you are.",
        ),
    ] = None,
    comment: Annotated[
        str | None,
        typer.Option(
            "--comment",
            metavar="TEXT",
            help="A short text that is signed with the letter and shown to the receiver.",
        ),
    ] = None,
    note: Annotated[
        str | None,
        typer.Option("--note", metavar="TEXT", help="A text that travels exactly."),
    ] = None,
    note_file: Annotated[
        str | None,
        typer.Option(
            "--note-file", metavar="FILE", help="A small file that travels exactly."
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="N|WxH",
            help="Resize first: the longer side, or width and height [default: as it is].",
        ),
    ] = None,
    robust: Annotated[
        bool,
        typer.Option(
            "--robust",
            help="Add a capsule that JPEG and resizing leave readable, with smaller copies of the messages.",
        ),
    ] = False,
    jpeg_only: Annotated[
        bool,
        typer.Option(
            "--jpeg-only",
            help="With --robust: better copies, which survive JPEG of quality 75 or more and no resizing.",
        ),
    ] = False,
    passphrase_fd: PassphraseFd = None,
    json: Json = False,
    output: Out = None,
    directory: Folder = None,
    listed: Listed = None,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Turn composites, or any pictures, into disguises that only the holder of the private key turns back.

    Where nothing was pasted, the whole picture is the message. A picture of any size from 64
    pixels a side up comes back in its own size.
    """
    terminal.quiet = quiet
    from egan.commands import batches
    from egan.commands import inputs as finding
    from egan.pictures import files
    from egan.verbs import hide
    from egan.verbs.job import Look

    if comment is not None and sign is None:
        raise EganError("--comment is for --sign", status=2)
    if jpeg_only and not robust:
        raise EganError("--jpeg-only is for --robust", status=2)
    if json and directory is None and output in (None, "-"):
        raise EganError(
            "standard output takes either the picture or the words",
            "name a file with -o",
            2,
        )
    others = (*(pub or ()), sign, flower, note_file)
    found = finding.find(inputs, listed, directory, output, force, others)
    exact = note_of(note, note_file)
    weights_file = finding.open_weights(weights, device)
    receivers, look = receivers_of(weights_file, pub, expect or (), flower)
    survives = None
    if robust:
        from egan.verbs.capsules import Robust

        survives = Robust.JPEG if jpeg_only else Robust.ANY
        if not weights_file.locked:
            raise EganError("--robust needs weights with a lock", "leave it out", 2)
    signing = None
    if sign is not None:
        signing = signing_of(sign, comment or "", passphrase_fd)

    def read(source: Source) -> Job:
        loaded = files.read_picture(source.path)
        job = hide.composite_job(
            loaded, source.path, weights_file, signing, size, exact
        )
        if not isinstance(receivers, Look):
            hide.body_of([job], receivers, signing)
        return job

    def work(jobs: Sequence[Job]) -> list[Result]:
        disguises = hide.encrypt(
            jobs, receivers, signing, look, survives, terminal.parts(found.alone)
        )
        for job in jobs if json else ():
            tell_json(job)
        return [
            batches.Result(job, disguise)
            for job, disguise in zip(jobs, disguises, strict=True)
        ]

    batches.run(found, batches.Verb(read, work, "encrypting"))


def tell_json(job: Job) -> None:
    """One JSON object about a disguise."""
    import json as codec

    width, height = job.shown_size
    facts = {
        "file": job.name,
        "width": width,
        "height": height,
        "messages": [list(box) for box in job.boxes],
        "note_bytes": len(job.note),
        "weights": job.weights.id.hex() if job.weights else None,
        "capsule": job.laid.facts() if job.laid else None,
    }
    print(codec.dumps(facts))


def note_of(text: str | None, file: str | None) -> bytes:
    """The bytes of a note. Raises EganError where two are given, or an empty one."""
    from egan.pictures import files

    if text is not None and file is not None:
        raise EganError("--note and --note-file exclude each other", status=2)
    if file is None:
        return b"" if text is None else text.encode(errors="surrogateescape")
    found = files.read_bytes(file)
    if not found:
        raise EganError(f"{files.shown(file)} is empty, so there is no note", status=2)
    return found


def signing_of(sign: str, comment: str, passphrase_fd: int | None) -> Signing:
    from egan.commands import inputs
    from egan.crypto.envelope import Signing
    from egan.verbs import keys

    private, notes = keys.read_private(sign, inputs.passphrases(passphrase_fd))
    terminal.tell(notes)
    return Signing(private, comment)


def receivers_of(
    weights: WeightsFile,
    pub: Sequence[str] | None,
    expected: Sequence[str],
    flower: str | None,
) -> tuple[list[PublicKey] | Look, Loaded | None]:
    """The receivers' public keys and the flower to paint, if any.

    A method without keys takes no public key; some need a flower.
    """
    from egan.commands import inputs
    from egan.core.options import ModelOptions
    from egan.pictures import files
    from egan.verbs.job import Look

    options = weights.options
    if isinstance(options, ModelOptions):
        receivers = inputs.public_keys(pub, expected)
        if not receivers:
            raise EganError("missing option '--pub'", "see egan encrypt --help", 2)
        if len(receivers) > 1 and not weights.locked:
            raise EganError(
                "weights without a lock take one receiver", "name one --pub", 2
            )
        loaded = files.read_picture(flower) if flower is not None else None
        return receivers, loaded
    if pub:
        raise EganError(f"{options.TITLE} has no keys", "leave out --pub", 2)
    if options.uses_disguise and flower is None:
        raise EganError(
            f"{options.TITLE} needs a picture that the disguise is to look like",
            "name one with --flower",
            2,
        )
    if flower is not None and not options.uses_disguise:
        raise EganError(f"{options.TITLE} does not take --flower", "leave it out", 2)
    loaded = files.read_picture(flower) if flower is not None else None
    return Look.of(loaded, options), None
