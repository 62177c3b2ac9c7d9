"""Weights files without torch: finding out whether they are whole, and reading their
description.
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from egan.core.options import FAMILIES, BaselineOptions, ModelOptions
from egan.errors import EganError

WEIGHTS_VERSION = "weights/2"
# Graphs are stored as tensors of bytes whose names begin so.
PREFIX = "graphs."
SUMS = "SHA256SUMS"
# Weights, and the K in them, are named by this many bytes of a SHA-256.
ID_BYTES = 16


def listed(folder: Path) -> list[tuple[str, str]]:
    """Names and digests, 64 hexadecimal digits, in the SHA256SUMS of a folder, if any.

    sha256sum puts a space or, for binary mode, a star before the name. Raises OSError
    and UnicodeDecodeError.
    """
    sums = folder / SUMS
    lines = sums.read_text().splitlines() if sums.is_file() else []
    parts = (line.partition(" ") for line in lines)
    return [(name[1:], digest) for digest, _, name in parts]


def weights_id(path: Path) -> bytes:
    """The first 16 bytes of the file's SHA-256, after checking it against SHA256SUMS in
    its folder, if listed there.

    Raises EganError where the digest is another.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        sums = listed(path.parent)
    except (OSError, UnicodeDecodeError) as error:
        raise EganError(f"cannot read weights {path}: {error}") from error
    for name, expected in sums:
        if name == path.name and expected != digest.hexdigest():
            raise EganError(
                f"weights {path} do not have the digest in {SUMS}",
                "the file is damaged or was replaced; install egan again",
            )
    return digest.digest()[:ID_BYTES]


def listed_id(path: Path) -> bytes | None:
    """The id of a weights file by SHA256SUMS in its folder, without reading the file;
    None where it is not listed. `weights_id` tells whether it is true.
    """
    try:
        found = [
            bytes.fromhex(text) for n, text in listed(path.parent) if n == path.name
        ]
    except (OSError, ValueError):
        return None
    return found[0][:ID_BYTES] if found and len(found[0]) == 32 else None


def key_network_id(
    file: BinaryIO, header: dict[str, Any], options: ModelOptions | BaselineOptions
) -> bytes:
    """16 bytes that name the K in a weights file, with what makes key images of its
    maps; zeros where there is no K.

    Weights that were trained on around the same K have the same, so keys that one of
    them drew are at home in all. header is the file's, as `read_header` gives it. The
    bytes begin a SHA-256 over a description and K's numbers as stored.
    """
    if not isinstance(options, ModelOptions):
        return bytes(ID_BYTES)
    parts = sorted(name for name in header if name.startswith("K."))
    layout = [(name, header[name]["dtype"], header[name]["shape"]) for name in parts]
    meaning = [
        options.key_levels,
        options.public_layers,
        options.private_layers,
        layout,
    ]
    digest = hashlib.sha256(b"egan/2 key network" + json.dumps(meaning).encode())
    file.seek(0)
    first = 8 + struct.unpack("<Q", file.read(8))[0]
    for name in parts:
        start, end = header[name]["data_offsets"]
        file.seek(first + start)
        digest.update(file.read(end - start))
    return digest.digest()[:ID_BYTES]


# Bytes of one number of each type that a safetensors file can hold
DTYPES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}
# Files by egan have a header of less than 100 KiB.
MOST_HEADER = 4 * 1024 * 1024


def read_header(file: BinaryIO, size: int, name: str) -> dict[str, Any]:
    """The JSON header of a safetensors file of `size` bytes, checked to the last byte
    before anything is believed.

    Checked are the header's length, every type, shape and offset, that a tensor has as
    many bytes as its shape says, and that the tensors follow each other without gap or
    overlap to the end of the file. Raises EganError.
    """
    try:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(size - 8, MOST_HEADER):
            raise ValueError("header too long")
        parsed = json.loads(file.read(length), object_pairs_hook=without_twins)
        metadata = parsed.get("__metadata__", {})
        if not all(isinstance(text, str) for pair in metadata.items() for text in pair):
            raise ValueError("metadata is not text")
        tensors = [tensor for key, tensor in parsed.items() if key != "__metadata__"]
        spans = sorted(map(span_of, tensors))
        for (_, end), (start, _) in pairwise(
            [(0, 0), *spans, (size - 8 - length, size)]
        ):
            if start != end:
                raise ValueError("gap or overlap")
        return parsed
    except (
        OSError,
        struct.error,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise EganError(
            f"{name} is damaged or truncated", "copy or download it again"
        ) from error


def with_header(data: bytes, header: dict[str, Any]) -> bytes:
    """The bytes of a safetensors file with this header and the numbers of `data`.

    The names in its metadata are put in order, which the library shuffles, so that
    equal models are equal files.
    """
    numbers = 8 + struct.unpack("<Q", data[:8])[0]
    header = header | {"__metadata__": dict(sorted(header["__metadata__"].items()))}
    text = json.dumps(header, separators=(",", ":")).encode()
    # The numbers begin at a multiple of 8.
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data[numbers:]


def span_of(tensor: dict[str, Any]) -> tuple[int, int]:
    """First and last offset of a tensor's bytes. Raises ValueError where they do not
    fit its type and shape.
    """
    (start, end), shape = tensor["data_offsets"], tensor["shape"]
    if not all(type(n) is int and n >= 0 for n in (start, end, *shape)):
        raise ValueError("not whole numbers")
    if end - start != DTYPES[tensor["dtype"]] * math.prod(shape):
        raise ValueError("size and shape do not agree")
    return start, end


def without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("one name twice")
    return found


class Described(NamedTuple):
    """What a weights file says of itself: options and training summary, ids of the file
    and of its K, tensors.

    tensors: the file's header, name to dtype and shape. graphs_fit: its graphs, if any,
    were made for these options.
    """

    path: Path
    options: ModelOptions | BaselineOptions
    training: dict[str, Any]
    id: bytes
    key_network: bytes
    tensors: dict[str, dict[str, Any]]
    graphs_fit: bool
    checked: bool

    def check(self) -> None:
        """Raises EganError where the file is not the one that SHA256SUMS lists. It is
        read for that when its numbers are needed, and not before.
        """
        if not self.checked:
            weights_id(self.path)

    def graph_names(self) -> set[str]:
        """The stages of which the file holds a graph."""
        return {n.removeprefix(PREFIX) for n in self.tensors if n.startswith(PREFIX)}


def read_description(path: Path) -> Described:
    """Everything about a weights file but its numbers.

    A file that SHA256SUMS lists has the id that stands there, until `check` reads it.
    Raises EganError for a file of which anything but the numbers themselves is not as
    it should be.
    """
    promised = listed_id(path)
    identity = promised or weights_id(path)
    try:
        with path.open("rb") as file:
            header = read_header(file, path.stat().st_size, f"the weights file {path}")
            metadata = header.pop("__metadata__", None)
            options, training = parse_metadata(metadata, str(path))
            graphs_fit = metadata.get("graphs") == mark_of(metadata["options"])
            key_network = key_network_id(file, header, options)
    except OSError as error:
        raise EganError(f"cannot read weights {path}: {error}") from error
    return Described(
        path, options, training, identity, key_network, header, graphs_fit, not promised
    )


def mark_of(options: str) -> str:
    """What metadata says of the options, as JSON, that the file's graphs were made for."""
    return hashlib.sha256(options.encode()).hexdigest()[: 2 * ID_BYTES]


def parse_metadata(
    metadata: Any, name: str
) -> tuple[ModelOptions | BaselineOptions, dict[str, Any]]:
    """Model options and training summary. Raises EganError for what is not egan's or of
    an unknown version.
    """
    version = metadata.get("egan") if isinstance(metadata, dict) else None
    if version is None:
        raise EganError(f"{name} holds no egan weights", "make some with `egan train`")
    if str(version).startswith("checkpoint/"):
        raise EganError(
            f"{name} is a training checkpoint, and no weights file",
            "`egan train --resume` goes on with it",
        )
    if version != WEIGHTS_VERSION:
        raise EganError(
            f"{name} has format {version!r}, which this egan does not know",
            "a newer egan may read it",
        )
    try:
        options = json.loads(metadata["options"])
        training = json.loads(metadata.get("training", "{}"))
        if not isinstance(options, dict) or not isinstance(training, dict):
            raise TypeError("not an object")
        return options_class(options.get("family")).from_dict(options), training
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise EganError(f"the description in {name} is damaged") from error


def options_class(family: object) -> type[ModelOptions | BaselineOptions]:
    """The class of a family's options; ModelOptions, which refuses it, for an unknown
    one.
    """
    if family in FAMILIES or not isinstance(family, str):
        return ModelOptions
    from egan.core.baseline_options import BASELINE_OPTIONS

    return BASELINE_OPTIONS.get(family, ModelOptions)
