"""Which weights files a bench run measures: those named, and for `--methods` one per
family out of folders.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError, safe_open

from egan import terminal
from egan.core.baseline_options import BASELINE_OPTIONS
from egan.core.options import FAMILIES
from egan.core.weights import parse_metadata
from egan.errors import EganError
from egan.verbs.weights import SHIPPED, find_weights

KNOWN = (*FAMILIES, *BASELINE_OPTIONS)


def parse_methods(names: Sequence[str]) -> tuple[str, ...]:
    """Families in the order of KNOWN; each name may be a list with commas, or `all`.
    Raises EganError for others.
    """
    split = [
        part.strip().lower()
        for name in names
        for part in name.split(",")
        if part.strip()
    ]
    unknown = sorted(set(split) - {"all", *KNOWN})
    if unknown:
        raise EganError(
            f"unknown method {', '.join(unknown)}", f"known: all, {', '.join(KNOWN)}", 2
        )
    return KNOWN if "all" in split else tuple(name for name in KNOWN if name in split)


def chosen_weights(weights: Sequence[Path], methods: Sequence[str]) -> dict[str, Path]:
    """Weights files by the name of their row.

    Without methods every file named is a row, and the installed weights where none is.
    With methods the files of those families are looked for among `weights`, of which
    folders are searched, or where the installed weights lie. Raises EganError where a
    folder holds two files of a family; a family without any is an error if it is all
    that was asked for, else a warning.
    """
    weights = [
        p if is_folder(p) else find_weights(str(p), option="--weights") for p in weights
    ]
    files, folders = (
        [p for p in weights if not p.is_dir()],
        [p for p in weights if p.is_dir()],
    )
    if not methods and not folders:
        paths = files or [find_weights(None)]
        return dict(zip(row_names(paths), paths, strict=True))
    found: dict[str, Path] = {}
    listed = in_folders(folders or ([] if files else [installed()]))
    for path in [*files, *listed]:
        family = family_of(path)
        if family is None and path in files:
            raise EganError(f"{path} is no weights file", status=2)
        if family is None or (methods and family not in methods):
            continue
        if family in found:
            raise EganError(
                f"two weights files of the method {family}: {found[family]} and {path}",
                "name one of them",
                2,
            )
        found[family] = path
    tell_missing([name for name in methods if name not in found], bool(found))
    return {name: found[name] for name in KNOWN if name in found}


def tell_missing(missing: Sequence[str], some: bool) -> None:
    """Warn of methods without weights. Raises EganError where there are no others."""
    hint = "".join(
        f"egan train {how_to_train(name)} ... --out {name}.safetensors"
        for name in missing[:1]
    )
    if not some:
        raise EganError(
            f"no weights of {', '.join(missing) or 'any method'} here",
            hint or "see egan train --help",
        )
    if missing:
        terminal.warn(
            f"no weights of {', '.join(missing)}: left out; make some with {hint}"
        )


def is_folder(path: Path) -> bool:
    """Whether a path is a folder to search; weights that ship go before an empty one."""
    return path.is_dir() and (str(path) not in SHIPPED or bool(in_folders([path])))


def how_to_train(family: str) -> str:
    return f"--preset {family}" if family in FAMILIES else f"--method {family}"


def installed() -> Path:
    """The folder of $EGAN_WEIGHTS or of the installed weights."""
    return find_weights(None).parent


def in_folders(folders: Sequence[Path]) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]


def family_of(path: Path) -> str | None:
    """The family that a weights file names, without torch; None for another file."""
    try:
        with safe_open(str(path), "np") as file:
            return parse_metadata(file.metadata(), str(path))[0].family
    except (SafetensorError, OSError, EganError):
        return None


def row_names(paths: Sequence[Path]) -> list[str]:
    """One name per weights file: the family for one alone, else the
    file's stem, else its whole path.
    """
    if len(paths) == 1:
        return [family_of(paths[0]) or "egan"]
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else str(path) for path in paths]
    if len(set(names)) < len(names):
        raise EganError("one weights file is named twice", status=2)
    return names
