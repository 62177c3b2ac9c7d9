"""The inputs of a command and its output, checked before anything heavy is imported."""

from __future__ import annotations

import contextlib
import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from egan.errors import EganError
from egan.pictures import files
from egan.pictures.output import check_made, check_output
from egan.pictures.sources import Source, walk, why_no_file
from egan.pictures.streams import ENDINGS
from egan.verbs.batching import processes

if TYPE_CHECKING:
    from egan.verbs.weights import Weights

if TYPE_CHECKING:
    from egan.crypto.keys import PublicKey

# Bytes that are read from a file descriptor, at most.
MOST_PASSPHRASE = 4096


@dataclass(frozen=True)
class Inputs:
    """The inputs of a command, and its output: a folder, a file, or standard output.

    several: the command prints about many inputs, and needs no folder for it.
    skipped: things in folders that are no files, which fail at the end.
    """

    sources: list[Source]
    folder: str | None = None
    output: str | None = None
    force: bool = False
    several: bool = False
    skipped: list[EganError] = field(default_factory=list)

    @property
    def alone(self) -> bool:
        """Whether there is one input, whose failure is the command's."""
        many = self.several and len(self.sources) > 1
        return self.folder is None and not many


def find(
    inputs: Sequence[str] | None,
    listed: str | None = None,
    folder: str | None = None,
    output: str | None = None,
    force: bool = False,
    others: Sequence[str | None] = (),
    several: bool = False,
    writes: bool = True,
) -> Inputs:
    """The inputs of a command, after the checks that need no reading of pictures.

    inputs: files, folders (read recursively) and patterns; standard input where there
    are none. listed: a file of NUL-separated names instead. others: keys and whatever
    else may be standard input. several: the command takes several files without a
    folder. writes: it writes pictures. Raises EganError for what does not fit together.
    """
    names = [listed] if listed is not None else list(inputs or [files.STDIN])
    files.one_standard_input(*others, *names)
    if folder is not None and output is not None:
        raise EganError("-o and -d exclude each other", status=2)
    if folder is None and not several:
        if listed is not None:
            raise EganError(
                "--files0-from needs an output folder", "name one with -d", 2
            )
        one_output(names)
        alone()
    if folder is None and writes and not (several and (listed or len(names) > 1)):
        check_output(output, force)
    sources, skipped = find_sources(inputs, listed, folder)
    if folder is None and not several:
        one_output([source.path for source in sources])
    if folder is not None:
        check_folder(folder, sources)
    return Inputs(sources, folder, output, force, several, skipped)


def one_output(names: Sequence[str]) -> None:
    if len(names) > 1:
        raise EganError(
            f"{len(names)} inputs and one output", "name a folder with -d", 2
        )


def find_sources(
    inputs: Sequence[str] | None, listed: str | None, folder: str | None
) -> tuple[list[Source], list[EganError]]:
    """Files of names, folders and patterns, and what is wrong with some of them.

    The output folder is left out where it lies in a folder that is read, and with one a
    file that is named twice counts once.
    """
    if listed is not None:
        if inputs:
            raise EganError(
                "--files0-from and named files exclude each other", status=2
            )
        names = read_names(listed)
    else:
        names = list(inputs or [files.STDIN])
    found: list[Source] = []
    skipped: list[EganError] = []
    for name in names:
        if name != files.STDIN and Path(name).is_dir() and folder is not None:
            below = walk(Path(name), Path(folder))
            found += below.sources
            skipped += below.skipped
        elif any(c in name for c in "*?") and not os.path.lexists(name):
            matches = sorted(glob.glob(name, recursive=True))
            if not matches:
                raise EganError(f"no file matches {name}", status=2)
            for match in matches:
                if reason := why_no_file(Path(match)):
                    text = f"{match} is {reason}, so it is skipped"
                    skipped.append(EganError(text))
                else:
                    found.append(Source(match, Path(match).stem))
        else:
            found.append(Source(name, Path(name).stem))
    if folder is not None:
        by_path = {os.path.normpath(s.path): s for s in reversed(found)}
        found = apart(list(by_path.values())[::-1])
    return found, skipped


def apart(sources: list[Source]) -> list[Source]:
    """The same with names of outputs that differ: a.jpg and a.png keep their endings.

    Two files of one whole name, in two folders, stay as they are, to be refused.
    """
    stems = Counter(source.stem for source in sources)
    whole = Counter(whole_name(source) for source in sources)
    return [
        Source(s.path, whole_name(s))
        if stems[s.stem] > 1 and whole[whole_name(s)] == 1
        else s
        for s in sources
    ]


def whole_name(source: Source) -> str:
    return source.stem + Path(source.path).suffix


def read_names(listed: str) -> list[str]:
    """The names in a file, or in standard input for `-`, as `find -print0` writes them."""
    text = files.read_bytes(listed).removesuffix(b"\0")
    names = [os.fsdecode(name) for name in text.split(b"\0")]
    if "" in names:
        raise EganError(
            f"name {names.index('') + 1} in {files.shown(listed)} is empty",
            "each name must be that of a file, ended by one NUL byte",
            2,
        )
    if files.STDIN in names:
        raise EganError("standard input cannot be one of many files", status=2)
    if len(names) == 1 and "\n" in names[0]:
        raise EganError(
            f"the names in {files.shown(listed)} are not separated by NUL bytes",
            "write them with `find ... -print0` or `printf '%s\\0' *.png`",
            2,
        )
    return names


def check_folder(folder: str, sources: Sequence[Source]) -> None:
    """Raises EganError where the output folder cannot be made, or two inputs have one
    name.
    """
    check_made(folder, "-d")
    names: dict[str, str] = {}
    for source in sources:
        if source.path == files.STDIN:
            raise EganError(
                "standard input cannot be one of many files", "name files with -d", 2
            )
        if names.setdefault(source.stem, source.path) != source.path:
            raise EganError(
                f"{names[source.stem]} and {source.path} would be written to one file, {source.stem}.png",
                status=2,
            )


def partner(other: str, source: Source) -> str:
    """The file that belongs to an input: `other` itself, or the picture of the same
    name in that folder.
    """
    if other == files.STDIN or not Path(other).is_dir():
        return other
    near = Path(other, source.stem)
    matches = sorted(
        path
        for path in (near.parent.iterdir() if near.parent.is_dir() else ())
        if near.name in (path.stem, path.name) and path.suffix.lower() in ENDINGS
    )
    if not matches:
        raise EganError(
            f"the folder {other} has no picture for {source.path}",
            f"it would be {near}.png",
        )
    if reason := why_no_file(matches[0]):
        raise EganError(f"{matches[0]} is {reason}, and no picture for {source.path}")
    return str(matches[0])


def check_partner(other: str | None, sources: Sequence[Source]) -> None:
    """Raises EganError where standard input would go with every one of many inputs."""
    if other == files.STDIN and len(sources) > 1:
        raise EganError(
            f"standard input cannot go with each of {len(sources)} inputs",
            "name a file, or a folder, instead of -",
            2,
        )


def alone() -> None:
    """Raises EganError in a `torchrun` job without a folder: all would write one
    output.
    """
    if processes()[1] > 1:
        raise EganError("torchrun is for many files", "name a folder with -d", 2)


def passphrases(fd: int | None) -> Callable[[str], str]:
    """A function that returns passphrases: from the lines of a file descriptor, or from
    the terminal.

    Raises EganError with status 2 for a descriptor that cannot be read.
    """
    from egan import terminal

    if fd is None:
        return terminal.ask_passphrase
    lines: list[str] = []
    with os_errors(fd), open(fd, "rb", closefd=fd > 2) as file:
        lines = file.read(MOST_PASSPHRASE).decode().splitlines()

    def next_line(words: str) -> str:
        if not lines or not lines[0]:
            raise EganError(f"--passphrase-fd {fd} gave no {words}")
        return lines.pop(0)

    return next_line


@contextlib.contextmanager
def os_errors(fd: int) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        raise EganError(
            f"cannot read a passphrase from file descriptor {fd}",
            "open it as in: --passphrase-fd 3 3< FILE",
            2,
        ) from error


def public_keys(
    named: Sequence[str] | None, expected: Sequence[str]
) -> list[PublicKey]:
    """The public keys of --pub, else of $EGAN_PUB.

    expected: fingerprints, of which each must be that of a key, and each key must have
    one. Raises EganError for another key, and for none.
    """
    from egan.crypto.keys import grouped, parse_fingerprint
    from egan.verbs import keys

    names = list(named or filter(None, [os.environ.get("EGAN_PUB")]))
    found = [keys.read_public(name) for name in names]
    wanted = [parse_fingerprint(text) for text in expected]
    for name, key in zip(names, found, strict=True):
        if wanted and not any(key.fingerprint.startswith(text) for text in wanted):
            raise EganError(
                f"{files.shown(name)} is not the expected key: its fingerprint is {grouped(key.fingerprint)}",
                "ask its owner for the fingerprint on another way, and use the right key",
            )
    for text in wanted:
        if not any(key.fingerprint.startswith(text) for key in found):
            raise EganError(f"no public key has the fingerprint {grouped(text)}")
    return found


def open_weights(named: str | None, device: str, keys_needed: bool = False) -> Weights:
    """The weights of --weights, $EGAN_WEIGHTS or the package.

    Weights without a lock are taken only where the command itself names them, and their
    `note` is for the caller to tell. keys_needed: refuse methods without keys.
    """
    from egan.verbs.weights import Weights, find_weights

    weights = Weights(find_weights(named, "--weights"), device)
    if keys_needed and not weights.keyed:
        raise EganError(
            f"{weights.path} holds weights of {weights.options.TITLE}, which has no keys",  # type: ignore[union-attr]
            "encrypt and decrypt take them without --pub and --priv",
        )
    if weights.note is not None and named is None:
        raise EganError(
            f"EGAN_WEIGHTS names {weights.path}, which keeps nothing secret: {weights.note}",
            "to use such weights all the same, name them with --weights on the command itself",
            2,
        )
    return weights
