"""The request of `egan train`, checked before torch, downloads and training.

A checkpoint keeps the request of its run, so a run goes on from the checkpoint alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egan import terminal
from egan.core.device import device_name
from egan.core.options import BaselineOptions, ModelOptions
from egan.core.weights import read_description as read_weights
from egan.errors import EganError
from egan.pictures.datasets import cache_folder, is_named
from egan.pictures.output import check_made, check_output
from egan.train.checkpoint_header import RunDescription
from egan.train.checkpoint_header import read_description as read_checkpoint
from egan.train.data import picture_paths
from egan.train.options import RunOptions, TrainOptions
from egan.train.presets import parse_options
from egan.train.run_folder import check_folder, run_folder
from egan.verbs.batching import processes
from egan.verbs.weights import find_weights

# Pictures of a kind, at least
FEWEST = 8
# Options that may be others when a run goes on
BUDGET = ("steps", "minutes", "sample_every", "save_minutes")


@dataclasses.dataclass(frozen=True)
class Request:
    """The options of the command; None or empty where it leaves them out.

    x, y and messages: folders, or names of data sets. settings: NAME=VALUE. start: a
    weights file to begin with.
    """

    x: str | None = None
    y: str | None = None
    messages: Sequence[str] = ()
    out: str | None = None
    method: str | None = None
    preset: str | None = None
    settings: Sequence[str] = ()
    limit: int | None = None
    lpips_backbone: str | None = None
    resume: str | None = None
    start: str | None = None
    new_keys: bool = False
    runs: str | None = None
    cache: str | None = None
    device: str = "auto"
    force: bool = False

    def kept(self) -> dict[str, Any]:
        """What a checkpoint keeps: enough to go on without any of it from anywhere."""
        return {
            "x": placed(self.x),
            "y": placed(self.y),
            "messages": [placed(name) for name in self.messages],
            "out": placed(self.out),
            "method": self.method,
            "limit": self.limit,
            "lpips_backbone": placed(self.lpips_backbone),
            "cache": placed(self.cache),
        }

    def completed(self, kept: Mapping[str, Any]) -> Request:
        """This request; what it leaves out comes from an earlier one or from defaults.

        Raises EganError for what is still missing.
        """
        known = {field.name for field in dataclasses.fields(self)}
        left_out = {
            name: value
            for name, value in kept.items()
            if name in known and not getattr(self, name)
        }
        whole = dataclasses.replace(self, **left_out)
        for name in ("x", "y", "messages", "out"):
            if not getattr(whole, name):
                hint = "this checkpoint is of an earlier egan" if self.resume else ""
                raise EganError(f"missing option '--{name}'", hint, 2)
        return dataclasses.replace(
            whole,
            method=whole.method or "egan",
            cache=whole.cache or str(cache_folder()),
        )


@dataclasses.dataclass(frozen=True)
class Plan:
    """A request that has been checked, and the options of its run.

    start: the weights file to begin with.
    """

    request: Request
    folder: Path
    model: ModelOptions | BaselineOptions
    training: RunOptions
    start: Path | None = None

    @property
    def resume(self) -> Path | None:
        return Path(self.request.resume) if self.request.resume else None


def placed(name: str | None) -> str | None:
    """A path from the root; a data set's name as it is."""
    return name if not name or is_named(name) else str(Path(name).absolute())


def check(request: Request) -> Plan:
    """Check everything that can be checked before work. Raises EganError."""
    check_combinations(request)
    device_name(request.device)
    before = read_checkpoint(Path(request.resume)) if request.resume else None
    request = request.completed(before.request if before else {})
    assert request.out is not None
    assert request.cache is not None
    check_output(request.out, request.force, suffix="")
    folder = run_folder(request.runs, request.resume, request.out)
    check_folder(folder, request.resume, request.force)
    check_made(request.cache, "--cache")
    start = find_weights(request.start, option="--from") if request.start else None
    first = read_weights(start).options if start else None
    model, training = asked_for(request, before, first)
    if isinstance(first, ModelOptions) and isinstance(model, ModelOptions):
        check_keys(first, model, request.new_keys)
    check_shares(training.batch)
    check_perceptual(request, training)
    check_sources(request)
    return Plan(request, folder, model, training, start)


def check_combinations(request: Request) -> None:
    """Raises EganError for options that do not go together."""
    if request.resume and request.start:
        raise EganError(
            "--resume and --from exclude each other",
            "--resume goes on with a run, --from starts one with the networks of a "
            "weights file",
            2,
        )
    if request.new_keys and not request.start:
        raise EganError(
            "--new-keys goes with --from", "a new model gets new keys without it", 2
        )
    if (request.method or "egan") == "egan":
        return
    if request.new_keys:
        raise EganError(
            f"the method {request.method} has no key images", "leave out --new-keys", 2
        )
    if request.lpips_backbone:
        raise EganError(
            f"the method {request.method} has no perceptual loss",
            "leave out --lpips-backbone",
            2,
        )


def check_shares(batch: int) -> None:
    """Raises EganError for a batch that the processes of a run cannot share."""
    world = processes()[1]
    if batch % world:
        raise EganError(
            f"a batch of {batch} cannot be shared by {world} processes",
            f"--batch takes a multiple of {world}",
            2,
        )


def check_perceptual(request: Request, options: RunOptions) -> None:
    """Raises EganError for a backbone that is not there, or has nothing to do."""
    if not request.lpips_backbone:
        return
    if not uses_perceptual(options):
        raise EganError(
            "the perceptual loss has no weight here",
            "--set perceptual=10, or leave out --lpips-backbone",
            2,
        )
    if not Path(request.lpips_backbone).is_file():
        raise EganError(
            f"no such file: {request.lpips_backbone}", "named by --lpips-backbone", 2
        )


def uses_perceptual(options: RunOptions) -> bool:
    return isinstance(options, TrainOptions) and bool(
        options.perceptual or options.perceptual_x
    )


def check_sources(request: Request) -> None:
    """Raises EganError for folders that are missing, the same, or with few pictures."""
    assert request.x is not None
    assert request.y is not None
    if Path(request.x).resolve() == Path(request.y).resolve():
        raise EganError(
            "--x and --y are the same pictures",
            "the disguise has to be of another kind than the cover",
            2,
        )
    for name in (request.x, request.y, *request.messages):
        if is_named(name):
            continue
        found = len(picture_paths(name))
        count = min(found, request.limit or found)
        if count < FEWEST:
            raise EganError(
                f"only {count} pictures in {name}", f"at least {FEWEST} are needed"
            )


def asked_for(
    request: Request,
    before: RunDescription | None,
    start: ModelOptions | BaselineOptions | None,
) -> tuple[ModelOptions | BaselineOptions, RunOptions]:
    """The options of a run: of its preset, or of the run or weights it goes on with.

    Settings come on top. Warns of settings that a resumed run began without. Raises
    EganError as `parse_options` does.
    """
    method = request.method or "egan"
    if before is None:
        return parse_options(request.preset, request.settings, method, start)
    trained = before.training
    given = (before.model, trained) if request.preset is None and trained else ()
    model, options = parse_options(request.preset, request.settings, method, *given)
    for name, value in dataclasses.asdict(options).items():
        old = trained.get(name, value) if trained else value
        old = tuple(old) if isinstance(old, list) else old
        if old == value or name in BUDGET:
            continue
        if name == "seed":
            raise EganError(
                f"this run began with seed {old}",
                "its random state goes on: leave out --seed",
                2,
            )
        terminal.warn(f"this run began with {name} = {old} and goes on with {value}")
    return model, options


def check_keys(old: ModelOptions, new: ModelOptions, new_keys: bool) -> None:
    """Raises EganError where a setting does not fit the K of a weights file."""
    if new_keys:
        return
    for name in ("key_levels", "key_width", "public_layers", "private_layers"):
        if getattr(old, name) != getattr(new, name):
            raise EganError(
                f"the weights file's K has {name} = {getattr(old, name)}",
                "--new-keys trains another K",
                2,
            )
