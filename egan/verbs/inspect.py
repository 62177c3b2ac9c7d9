"""Inspecting: the facts about a file, from its bytes alone, without its networks."""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from egan.core import modulation
from egan.core.weights import (
    ID_BYTES,
    key_network_id,
    parse_metadata,
    read_header,
    weights_id,
)
from egan.crypto import envelope, header, keys, passphrase, signatures
from egan.crypto.header import Kind
from egan.errors import EganError
from egan.pictures import files
from egan.pictures.boxes import noted_boxes
from egan.verbs.weights import shipped_as

Facts = dict[str, Any]


def describe(source: str) -> Facts:
    """Facts about a PNG or safetensors file as plain data. Raises EganError for any
    other file.
    """
    if source == files.STDIN:
        data = files.read_bytes(source)
        if data[8:9] == b"{":
            digest = hashlib.sha256(data).digest()[:ID_BYTES]
            return describe_weights(
                io.BytesIO(data), len(data), files.shown(source), digest
            )
        name = files.shown(source)
        return describe_picture(files.exact_picture_of(data, name, lossy=True))
    path = Path(source)
    if path.is_file() and is_safetensors(path):
        with files.reading(source), path.open("rb") as file:
            return describe_weights(file, path.stat().st_size, source, None)
    return describe_picture(files.read_exact(source, lossy=True))


def is_safetensors(path: Path) -> bool:
    """8 bytes of length, little-endian, then a JSON object."""
    with files.reading(str(path)), path.open("rb") as file:
        return path.suffix == ".safetensors" or file.read(9)[8:] == b"{"


def describe_weights(
    file: BinaryIO, size: int, name: str, digest: bytes | None
) -> Facts:
    parsed = read_header(file, size, name)
    metadata = parsed.pop("__metadata__", None)
    if isinstance(metadata, dict) and str(metadata.get("egan", "")).startswith(
        "checkpoint/"
    ):
        try:
            step = json.loads(metadata.get("state", "{}")).get("step")
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise EganError(f"the description in {name} is damaged") from error
        return {"kind": "training checkpoint", "file": name, "step": step}
    options, training = parse_metadata(metadata, name)
    numbers = {
        part: sum(
            math.prod(v["shape"])
            for name, v in parsed.items()
            if name.startswith(part + ".")
        )
        for part in sorted({name.partition(".")[0] for name in parsed})
    }
    network = key_network_id(file, parsed, options)
    identity = digest or weights_id(Path(name))
    shipped = shipped_as(identity)
    return {
        "kind": "weights",
        "file": name,
        "bytes": size,
        "id": identity.hex(),
        **({"name": f"{shipped.stem}, which ships with egan"} if shipped else {}),
        **({"key network": network.hex()} if any(network) else {}),
        "family": options.family,
        "parameters": numbers,
        "options": json.loads(options.to_json()),
        "training": training,
    }


def describe_picture(loaded: files.Loaded) -> Facts:
    """Facts about a picture, and a warning where programs show it otherwise."""
    facts = picture_facts(loaded)
    if loaded.notes:
        facts["warning"] = "; ".join(map(str, loaded.notes))
    return facts


def picture_facts(loaded: files.Loaded) -> Facts:
    height, width = loaded.pixels.shape[:2]
    facts: Facts = {
        "kind": "picture",
        "file": loaded.name,
        "width": width,
        "height": height,
    }
    found = header.find(loaded.pixels, loaded.name)
    boxes = noted_boxes(loaded)
    if found is None:
        if boxes:
            facts |= {"kind": "composite", "messages": [list(box) for box in boxes]}
        return facts | capsule_facts(loaded, modulation.find)
    kind, _ = found
    facts["kind"] = kind.words.removeprefix("a ")
    if kind is Kind.PUBLIC_KEY:
        public = keys.read_public(loaded.pixels, loaded.name)
        facts |= {
            "fingerprint": public.fingerprint,
            "key network": public.network.hex(),
        }
    elif kind is Kind.PRIVATE_KEY:
        private = keys.read_private(loaded.pixels, loaded.name)
        facts |= {
            "fingerprint": private.fingerprint,
            "key network": private.network.hex(),
        }
    elif kind is Kind.LOCKED_KEY:
        locked = passphrase.read_locked(loaded.pixels, loaded.name)
        costs = f"scrypt, N = 2^{locked.log_n}, r = {locked.r}, p = {locked.p}"
        facts |= {"fingerprint": locked.fingerprint, "passphrase": costs}
    elif kind is Kind.SIGNED:
        found_signature = signatures.read(loaded.pixels, loaded.name)
        facts |= {
            "signature": "valid",
            "fingerprint": found_signature.fingerprint,
            **weights_named(found_signature.weights),
        }
    else:
        parts = envelope.parts_of(loaded.pixels, loaded.name)
        facts |= {
            **weights_named(parts.weights),
            "receivers at most": len(parts.each_slot()),
            "whole": True,
            **capsule_facts(loaded, modulation.quick_look),
        }
    return facts


def capsule_facts(
    loaded: files.Loaded, look: Callable[..., modulation.Reading | None]
) -> Facts:
    """Bytes and KEM of a capsule that the picture shows at its own size, if any.

    look: how closely to look for one.
    """
    reading = look(loaded.pixels @ modulation.LUMA)
    if reading is None:
        return {}
    from egan.crypto import capsule
    from egan.verbs import capsules

    height, width = loaded.pixels.shape[:2]
    blocks = modulation.block_count(height, width)
    length = capsule.sealed_bytes(reading.rung, blocks)
    kem = capsules.kem_name(capsule.is_hybrid(length))
    return {"capsule": {"bytes": length, "kem": kem}}


def weights_named(identity: bytes) -> Facts:
    """The id of the weights that made a picture, and their name where they ship."""
    shipped = shipped_as(identity)
    facts: Facts = {"weights": identity.hex()}
    return facts | ({"weights name": shipped.stem} if shipped else {})
