"""The commands about signatures: sign, verify and calibrate. `egan.commands.app` registers them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from egan import terminal
from egan.commands.options import (
    LIMIT,
    SEED,
    Device,
    Folder,
    Force,
    Json,
    Listed,
    Out,
    Quiet,
    Weights,
    several,
)
from egan.errors import EganError


def sign(
    priv: Annotated[
        str, typer.Option("--priv", metavar="FILE", help="Your private key.")
    ],
    inputs: Annotated[list[str] | None, several("SECRET", "Secret images")] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--size",
            metavar="N|WxH",
            help="Crop the secret around its centre and resize it [default: as it is].",
        ),
    ] = None,
    output: Out = None,
    directory: Folder = None,
    listed: Listed = None,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Turn secret images into signed pictures, which anyone with your public key can check and decode."""
    terminal.quiet = quiet
    from egan.commands import batch
    from egan.pictures import compose, files
    from egan.verbs import intake, pipeline
    from egan.verbs import keygen as keyfiles

    sources = batch.start(inputs, directory, output, (priv,), force, listed)
    private = keyfiles.read_private(priv)
    wanted = compose.parse_size(size, "--size") if size is not None else None
    if directory is not None:
        batch.sign(sources, directory, private, wanted, force, weights, device)
        return
    job = intake.secret_job(
        files.read_picture(sources[0].path), sources[0].path, wanted
    )
    (signed,) = pipeline.sign_batch(
        pipeline.load_model(weights, device), private, [job]
    )
    files.write_output(files.png_bytes(signed), output, force)


def verify(
    pub: Annotated[
        str, typer.Option("--pub", metavar="FILE", help="The signer's public key.")
    ],
    inputs: Annotated[list[str] | None, several("SIGNED", "Signed pictures")] = None,
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            metavar="FILE",
            help="Your copy of the secret image, or a folder with one for each name.",
        ),
    ] = None,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            help="The signer must have signed this very copy, every bit of it.",
        ),
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(
            "--threshold",
            metavar="RMSE",
            help="The largest score that matches [default: the weights' own].",
        ),
    ] = None,
    status: Annotated[
        bool,
        typer.Option("--status", help="Print nothing: the exit status is the answer."),
    ] = False,
    json: Json = False,
    output: Out = None,
    directory: Folder = None,
    listed: Listed = None,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Check signed pictures against the signer's key and, with --secret, against your copy of the secret image."""
    terminal.quiet = quiet or status
    from egan.commands import batch
    from egan.commands.batches import SomeFailed
    from egan.crypto.signatures import NotVerified
    from egan.pictures import files
    from egan.verbs import intake, pipeline
    from egan.verbs import keygen as keyfiles

    if secret is None and (exact or threshold is not None):
        raise EganError("--exact and --threshold are for --secret", status=2)
    if threshold is not None and not 0 < threshold < 1:
        raise EganError(f"--threshold {threshold} is not between 0 and 1", status=2)
    if status and json:
        raise EganError("--status and --json exclude each other", status=2)
    several = len(inputs or ()) > 1 or listed is not None
    writes = (
        not several
        and directory is None
        and (output is not None or not (secret or json or status))
    )
    sources = batch.start(
        inputs, directory, output, (pub, secret), force, listed, several=not writes
    )
    if output is not None and len(sources) > 1:
        raise EganError(
            f"{len(sources)} inputs and one output", "name a folder with -d", 2
        )
    public = keyfiles.read_public(pub)

    def tell(path: str, found: pipeline.Verdict | EganError) -> None:
        if not status:
            show(
                path,
                found,
                exact,
                json,
                several or directory is not None,
                writes and output is None,
            )

    try:
        if several or directory is not None or len(sources) > 1:
            batch.verify(
                sources,
                directory,
                public,
                secret,
                threshold,
                exact,
                force,
                weights,
                device,
                tell,
                status,
            )
            return
        try:
            loaded = files.read_picture(sources[0].path)
            copy = files.read_picture(secret) if secret is not None else None
            model = pipeline.load_model(weights, device)
            job = intake.open_signed(loaded, sources[0].path, public, model, copy)
        except EganError as error:
            if json:
                tell(sources[0].path, error)
            raise
        (verdict,) = pipeline.verify_batch(model, public, [job], threshold)
        if json:
            tell(sources[0].path, verdict)
        verdict.check(exact)
        if writes:
            files.write_output(files.png_bytes(verdict.picture), output, force)
        if not json:
            tell(sources[0].path, verdict)
    except (NotVerified, SomeFailed):
        if status:
            raise typer.Exit(1) from None
        raise


def show(
    path: str,
    found: Any,
    exact: bool,
    json: bool,
    several: bool,
    to_standard_error: bool,
) -> None:
    """Print what verify found: one JSON object, one line a file of many, or a few lines about one."""
    import json as codec

    from egan.pictures import files

    name = files.shown(path)
    error = found if isinstance(found, EganError) else found.failure(exact)
    if json:
        facts: dict[str, Any] = {"file": name, "verified": error is None}
        if error is not None:
            facts["reason"] = str(error)
        if error is not found:
            facts |= {
                "signature": found.signature,
                "fingerprint": found.signer,
                "score": found.score,
                "threshold": found.threshold,
                "exact": found.exact,
            }
        print(codec.dumps(facts))
        return
    if several:
        print(
            terminal.printable(
                f"{name}: {'verified' if error is None else 'NOT VERIFIED'}"
            )
        )
        return
    lines = [f"signature: {found.signature}", f"fingerprint: {found.signer}"]
    if found.score is not None:
        lines += [f"score: {found.score:.4f}", f"threshold: {found.threshold:.4f}"]
    if found.exact is not None:
        lines.append(f"exact copy: {'yes' if found.exact else 'no'}")
    if to_standard_error:
        terminal.note("\n".join(lines))
    else:
        print("\n".join(lines))


def calibrate(
    x: Annotated[
        str,
        typer.Option(
            "--x", metavar="DIR", help="Folder of covers: keys are made from them."
        ),
    ],
    y: Annotated[
        str,
        typer.Option(
            "--y",
            metavar="DIR",
            help="Folder of pictures of the disguise's kind: the secrets.",
        ),
    ],
    limit: Annotated[int, LIMIT] = 400,
    seed: Annotated[int, SEED] = 0,
    forgeries: Annotated[
        int,
        typer.Option(
            "--forgeries",
            metavar="N",
            help="Attacks by gradient search to try; each takes seconds.",
        ),
    ] = 8,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Write weights that carry the threshold here.",
        ),
    ] = None,
    json: Json = False,
    force: Force = False,
    weights: Weights = None,
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Measure how well verify tells secrets apart, choose its threshold, and with -o write it into the weights."""
    terminal.quiet = quiet
    from egan.bench.signing import run_calibrate

    run_calibrate(x, y, limit, seed, forgeries, output, json, force, weights, device)
