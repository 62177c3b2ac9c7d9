"""`egan inspect`: what a file is, from its bytes alone, without torch."""

from __future__ import annotations

import io
import json
import math
import struct
from pathlib import Path
from typing import Any

from egan import compose, envelope, files, header, keys
from egan.errors import EganError
from egan.header import Kind
from egan.weights import parse_metadata, weights_id

Facts = dict[str, Any]


def describe(source: str) -> Facts:
    """Facts about a PNG or safetensors file as plain data. Raises EganError for what can be neither."""
    if source != files.STDIN and Path(source).is_file() and is_safetensors(Path(source)):
        return describe_weights(Path(source))
    return describe_picture(source)


def is_safetensors(path: Path) -> bool:
    """8 bytes of length, little-endian, then a JSON object."""
    try:
        with path.open("rb") as file:
            return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"
    except OSError as error:
        raise EganError(f"cannot read {path}: {files.reason(error)}") from error


def read_header(path: Path) -> Facts:
    """The JSON header of a safetensors file, its lengths checked against the file."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size - 8, 100_000_000):
                raise ValueError("header longer than the file")
            parsed = json.load(io.BytesIO(file.read(length)))
        ends = [v["data_offsets"][1] for k, v in parsed.items() if k != "__metadata__"]
        if size != 8 + length + max(ends, default=0):
            raise ValueError("truncated")
        if not all(type(n) is int for k, v in parsed.items() if k != "__metadata__" for n in v["shape"]):
            raise ValueError("not a shape")
        return parsed
    except (
        OSError,
        struct.error,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        IndexError,
        RecursionError,
    ) as error:
        raise EganError(f"{path} is damaged or truncated", "copy or download it again") from error


def describe_weights(path: Path) -> Facts:
    parsed = read_header(path)
    metadata = parsed.pop("__metadata__", None)
    if isinstance(metadata, dict) and str(metadata.get("egan", "")).startswith("checkpoint/"):
        try:
            step = json.loads(metadata.get("state", "{}")).get("step")
        except (ValueError, TypeError, AttributeError) as error:
            raise EganError(f"the description in {path} is damaged") from error
        return {"kind": "training checkpoint", "file": str(path), "step": step}
    options, training = parse_metadata(metadata, str(path))
    numbers = {
        part: sum(math.prod(v["shape"]) for name, v in parsed.items() if name.startswith(part + "."))
        for part in sorted({name.partition(".")[0] for name in parsed})
    }
    return {
        "kind": "weights",
        "file": str(path),
        "bytes": path.stat().st_size,
        "id": weights_id(path).hex(),
        "family": options.family,
        "parameters": numbers,
        "options": json.loads(options.to_json()),
        "training": training,
    }


def describe_picture(source: str) -> Facts:
    loaded = files.read_picture(source)
    height, width = loaded.pixels.shape[:2]
    facts: Facts = {"kind": "picture", "file": loaded.name, "width": width, "height": height}
    found = header.find(loaded.pixels, loaded.name)
    boxes = compose.noted_boxes(loaded)
    if found is None:
        if boxes:
            facts |= {"kind": "composite", "messages": [list(box) for box in boxes]}
        return facts
    kind, body = found
    facts["kind"] = kind.words.removeprefix("a ")
    if kind is Kind.PUBLIC_KEY:
        public = keys.read_public(loaded.pixels, loaded.name)
        facts |= {"fingerprint": public.fingerprint, "weights": public.weights.hex()}
    elif kind is Kind.PRIVATE_KEY:
        private = keys.read_private(loaded.pixels, loaded.name)
        facts |= {"fingerprint": private.fingerprint, "weights": body.hex()}
    else:
        facts |= {"weights": envelope.weights_of(loaded.pixels, loaded.name).hex(), "whole": True}
    return facts


def show(facts: Facts) -> None:
    """Print facts for a person, one a line; nested ones with a dotted name."""
    for name, value in flat(facts):
        print(f"{name}: {value}")


def flat(facts: Facts, prefix: str = "") -> list[tuple[str, Any]]:
    out: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, dict):
            out += flat(value, f"{prefix}{name}.")
        else:
            out.append((prefix + name, value))
    return out
