"""`egan verify`: check signed pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egan import terminal
from egan.commands.options import (
    Device,
    Folder,
    Force,
    Json,
    Listed,
    Out,
    Quiet,
    Status,
    Weights,
    public,
    several,
)
from egan.errors import EganError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egan.commands.batches import Result
    from egan.pictures.sources import Source
    from egan.verbs.job import Job
    from egan.verbs.sign import Verdict

EXAMPLES = (
    "egan verify signed.png --pub friend-pub.png --secret secret.png",
    "egan verify signed.png --pub friend-pub.png -o decoded.png",
    "egan verify --status signed.png --pub friend-pub.png && echo genuine",
    "egan verify signed/ --pub friend-pub.png --secret secrets/ -d decoded",
)


def verify(
    pub: Annotated[str, public("The signer's")],
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
    status: Status = False,
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
    from egan.commands import batches
    from egan.commands import inputs as finding
    from egan.crypto.signatures import NotVerified
    from egan.pictures import files
    from egan.verbs import keys
    from egan.verbs import sign as signing

    check_usage(secret, exact, threshold, status, json)
    many = len(inputs or ()) > 1 or listed is not None or directory is not None
    writes = output is not None or directory is not None
    writes = writes or not (many or secret or json or status)
    found = finding.find(
        inputs,
        listed,
        directory,
        output,
        force,
        (pub, secret),
        several=directory is None and output is None,
        writes=writes,
    )
    finding.check_partner(secret, found.sources)
    weights_file = finding.open_weights(weights, device, keys_needed=True)
    signer = keys.read_public(pub)
    telling = Telling(exact, json, many, status, writes and output is None)

    def read(source: Source) -> Job:
        try:
            copy = None
            if secret is not None:
                copy = files.read_picture(finding.partner(secret, source))
            loaded = files.read_exact(source.path, not weights_file.locked)
            return signing.open_signed(
                loaded,
                source.path,
                signer,
                weights_file,
                copy,
                named=weights is not None,
            )
        except EganError as error:
            if many or json:
                telling.tell(source.path, error)
            raise

    def work(jobs: Sequence[Job]) -> list[Result | EganError]:
        results: list[Result | EganError] = []
        verdicts = signing.verify(jobs, signer, threshold)
        for job, verdict in zip(jobs, verdicts, strict=True):
            failure = verdict.failure(exact)
            results.append(failure or batches.Result(job, verdict.picture))
            if many or json or failure is None:
                telling.tell(job.source, verdict)
        return results

    verb = batches.Verb(
        read, work, "verifying", hushed=NotVerified if status else None, writes=writes
    )
    try:
        batches.run(found, verb)
    except (NotVerified, batches.SomeFailed):
        if status:
            raise typer.Exit(1) from None
        raise


def check_usage(
    secret: str | None,
    exact: bool,
    threshold: float | None,
    status: bool,
    json: bool,
) -> None:
    """Raises EganError for options that do not go together."""
    if secret is None and (exact or threshold is not None):
        raise EganError("--exact and --threshold are for --secret", status=2)
    if threshold is not None and not 0 < threshold < 1:
        raise EganError(f"--threshold {threshold} is not between 0 and 1", status=2)
    if status and json:
        raise EganError("--status and --json exclude each other", status=2)


@dataclass
class Telling:
    """How what verify found is printed: one JSON object, one line of many, or a few lines.

    to_standard_error: standard output is the picture's.
    """

    exact: bool
    json: bool
    many: bool
    status: bool
    to_standard_error: bool

    def tell(self, path: str, found: Verdict | EganError) -> None:
        from egan.pictures import files

        if self.status:
            return
        name = files.shown(path)
        error = found if isinstance(found, EganError) else found.failure(self.exact)
        if self.json:
            import json as codec

            print(codec.dumps(facts(name, found, error)))
        elif self.many:
            answer = "verified" if error is None else "NOT VERIFIED"
            print(terminal.printable(f"{name}: {answer}"))
        elif not isinstance(found, EganError):
            text = "\n".join(lines(found))
            terminal.note(text) if self.to_standard_error else print(text)


def facts(
    name: str, found: Verdict | EganError, error: EganError | None
) -> dict[str, Any]:
    """The facts that verify found, for --json."""
    out: dict[str, Any] = {"file": name, "verified": error is None}
    if error is not None:
        out["reason"] = str(error)
    if not isinstance(found, EganError):
        out |= {
            "signature": found.signature,
            "fingerprint": found.signer,
            "score": found.score,
            "threshold": found.threshold,
            "exact": found.exact,
        }
    return out


def lines(found: Verdict) -> list[str]:
    """The facts that verify found about one picture, for a person."""
    from egan.crypto.keys import grouped

    out = [f"signature: {found.signature}", f"fingerprint: {grouped(found.signer)}"]
    if found.score is not None:
        out += [f"score: {found.score:.4f}", f"threshold: {found.threshold:.4f}"]
    if found.exact is not None:
        out.append(f"exact copy: {'yes' if found.exact else 'no'}")
    return out
