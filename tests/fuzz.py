"""Random damage to everything that egan parses: pictures, pixel headers, keys,
envelopes, signatures, weights, names.

Run: python tests/fuzz.py --count 100000 --seed 1

Every input must end in a result or an EganError whose message is one printable line.
Anything else (another exception, more than 10 seconds of work, a file left behind,
words on standard error) stops the run with the input that did it, saved.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import signal
import struct
import sys
import tempfile
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from PIL import Image, ImageCms

from egan.core.weights import WEIGHTS_VERSION, parse_metadata, read_header
from egan.crypto import envelope, header, keys, passphrase, signatures
from egan.crypto.envelope import unseal
from egan.crypto.header import Kind
from egan.errors import EganError
from egan.pictures import files
from egan.pictures.boxes import CHUNK, boxes_text, digest_of, noted_boxes
from egan.pictures.output import png_bytes
from egan.terminal import printable
from egan.verbs.inspect import describe

WEIGHTS = b"weights of tests"
SECONDS = 10  # of CPU time; an input that takes more hangs
FORMATS = (
    *("PNG", "PNG", "PNG", "JPEG", "TIFF", "TIFF", "WEBP", "GIF", "BMP", "PPM", "AVIF"),
    *("MPO", "ICO", "TGA", "PCX", "DDS", "QOI", "SGI", "EPS", "JPEG2000"),
)
# Formats whose decoders start other programs, or are stubs for them.
EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n{} loop\n%%EOF\n"
)
STUBS = (
    EPS,
    b"\xc5\xd0\xd3\xc6" + struct.pack("<6IH", 30, len(EPS), 0, 0, 0, 0, 65535) + EPS,
    b"\xd7\xcd\xc6\x9a\0\0" + bytes(60),
    b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(60),
    b"SIMPLE  =                    T".ljust(2880),
    b"\x89HDF\r\n\x1a\n" + bytes(60),
    b"GRIB\0\0\0\1" + bytes(60),
    b"BUFR" + bytes(60),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
    b"\x1c\2\0\0\0" + bytes(60),
    b"P1 2 2\n0110",
    b"P2 2 1 9\n1 9 # words",
    b"P5 2 1 1023 abcd",
    b"Pf 1 2 -1.0\n\0\0\0?\0\0\x80?",
    b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0",
)
Damage = Callable[[random.Random, bytes], bytes]


class Seeds:
    """Whole files of every kind, small, from which the damaged ones are made."""

    def __init__(self, random: random.Random) -> None:
        rng = np.random.default_rng(random.randrange(2**32))

        def noise() -> header.Picture:
            return rng.integers(0, 256, (64, 80, 3), dtype=np.uint8)

        self.private, self.public = keys.make_pair(noise(), noise(), WEIGHTS)
        self.other, _ = keys.make_pair(noise(), noise(), WEIGHTS)
        boxes = ((1, 2, 8, 8), (0, 0, 80, 64))
        letter = envelope.Letter(b"s" * 32, (80, 64), boxes, b"a note")
        signing = envelope.Signing(self.other, "a comment")
        self.pictures = [
            noise(),
            self.private.picture,
            self.public.picture,
            envelope.seal(noise(), [self.public], letter, WEIGHTS, signing),
            passphrase.lock(self.private, "words", 4),
            signatures.attach(noise(), self.private, WEIGHTS, b"n" * 32, noise()),
        ]
        self.files = []
        for kind in FORMATS:
            buffer = io.BytesIO()
            picture = Image.fromarray(random.choice(self.pictures))
            picture.save(buffer, kind, **options_of(kind, random))
            self.files.append(buffer.getvalue())
        self.files += [png_bytes(p, boxes_text(boxes[:1], p)) for p in self.pictures]
        self.files += STUBS
        self.weights = safetensors({"a": [2, 3], "b": [5]})


def options_of(kind: str, random: random.Random) -> dict[str, object]:
    """Metadata and compression with which a seed of a format is saved."""
    if kind == "TIFF":
        return {"compression": random.choice(("tiff_lzw", "raw", "packbits", "jpeg"))}
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "words"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {"exif": exif, "icc_profile": profile} if kind != "MPO" else {}


def safetensors(shapes: dict[str, list[int]]) -> bytes:
    options = {"family": "egan", "image_size": 64, "phases": 12}
    head: dict[str, object] = {
        "__metadata__": {
            "egan": WEIGHTS_VERSION,
            "options": json.dumps(options),
            "training": '{"steps": 1}',
        }
    }
    at = 0
    for name, shape in shapes.items():
        size = 2 * int(np.prod(shape))
        head[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


# Damage


def flip(random: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        out[random.randrange(min(len(out), random.choice((32, 256, len(out)))))] = (
            random.randrange(256)
        )
    return bytes(out)


def cut(random: random.Random, data: bytes) -> bytes:
    return data[: random.randrange(len(data))]


def splice(random: random.Random, data: bytes) -> bytes:
    a, b, c = (random.randrange(len(data)) for _ in range(3))
    return data[:a] + data[min(b, c) : max(b, c)] + data[b:]


def extremes(random: random.Random, data: bytes) -> bytes:
    """Numbers at the edges of their types, where a length or a size may stand."""
    at = random.randrange(min(len(data), 128))
    number = random.choice(
        (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
    )
    size = random.choice([n for n in (1, 2, 4, 8) if number < 256**n])
    return (
        data[:at]
        + number.to_bytes(size, random.choice(("big", "little")))
        + data[at + size :]
    )


def with_sums(random: random.Random, data: bytes) -> bytes:
    """A damaged PNG whose chunks have right checksums again, so that the damage gets
    past them.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        return flip(random, data)
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        kind, body = data[at + 4 : at + 8], bytearray(data[at + 8 : at + 8 + length])
        if body and random.random() < 0.5:
            body[random.randrange(min(len(body), 64))] = random.randrange(256)
        if random.random() < 0.05:
            kind = random.choice(
                (
                    b"tEXt",
                    b"zTXt",
                    b"iTXt",
                    b"iCCP",
                    b"eXIf",
                    b"tRNS",
                    b"PLTE",
                    b"acTL",
                    b"fcTL",
                )
            )
        out += (
            struct.pack(">I", len(body))
            + kind
            + body
            + struct.pack(">I", zlib.crc32(kind + bytes(body)))
        )
        at += 12 + length
    return bytes(out)


DAMAGE: tuple[Damage, ...] = (flip, flip, cut, splice, extremes, with_sums)


def damaged(random: random.Random, data: bytes) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        if data:
            data = random.choice(DAMAGE)(random, data)
    return data


# Targets: each makes one input and what is done with it


def picture_file(
    random: random.Random, seeds: Seeds
) -> tuple[bytes, Callable[[bytes], object]]:
    exact = random.random() < 0.5

    def read(data: bytes) -> None:
        if exact:
            loaded = files.exact_picture_of(data, "x.png", lossy=True)
        else:
            loaded = files.picture_of(data, "x.png")
        header.find(loaded.pixels, loaded.name)
        noted_boxes(loaded)

    return damaged(random, random.choice(seeds.files)), read


def key_pixels(
    random: random.Random, seeds: Seeds
) -> tuple[bytes, Callable[[bytes], object]]:
    """Damage inside of the pixel header, mostly with a checksum that fits again, as an
    adversary would make it.
    """
    picture = random.choice(seeds.pictures[1:])
    found = header.find(picture)
    assert found is not None
    kind, body = found
    if random.random() < 0.8:
        body = damaged(random, body)[: header.capacity(picture.shape)]
        kind = random.choice(list(Kind)) if random.random() < 0.3 else kind
        picture = header.embed(picture, kind, body)
    else:
        picture = picture.copy()
        where = header.positions(picture.shape, len(body))
        picture.reshape(-1)[where[random.randrange(len(where))]] ^= 1

    def read(data: bytes) -> None:
        pixels = np.frombuffer(data, np.uint8).reshape(picture.shape)
        for reader in (
            lambda: keys.read_private(pixels, "x.png").fingerprint,
            lambda: keys.read_public(pixels, "x.png").fingerprint,
            lambda: unseal(pixels, seeds.private, "x.png"),
            lambda: signatures.by(pixels, seeds.public, "x.png"),
            lambda: unlocked(pixels),
        ):
            expect_words(reader)

    return picture.tobytes(), read


def unlocked(pixels: header.Picture) -> None:
    """Costs that take seconds are read and not paid."""
    if passphrase.read_locked(pixels, "x.png").log_n <= 10:
        passphrase.unlock(pixels, "words", "x.png")


def sealed_content(
    random: random.Random, seeds: Seeds
) -> tuple[bytes, Callable[[bytes], object]]:
    """What somebody with the public key can seal: any content, which opens and must
    still be judged.
    """
    picture = seeds.pictures[0]
    plain = envelope.LETTER.pack(
        b"s" * 32, 80, 64, 1, bytes((0, 1, 0, 2, 0, 8, 0, 8)), b"", 0, 0, 6, b""
    )
    content = damaged(random, random.choice((plain + b"a note", plain + bytes(99))))
    if random.random() < 0.2:
        content = random.randbytes(random.choice((0, 1, 305, 306, 400)))
    content = content[:400]

    def read(data: bytes) -> None:
        body = envelope.Plan(1, len(data) - envelope.LETTER.size).body
        bound = envelope.binding(picture, WEIGHTS, body)
        key, info = bytes(32), envelope.slot_info(bound)
        slots = envelope.sealed_slots([seeds.public], 1, key, info)
        context = envelope.letter_context(bound, slots)
        sealed = ChaCha20Poly1305(key).encrypt(envelope.NONCE, data, context)
        made = header.embed(picture, Kind.DISGUISE, WEIGHTS + slots + sealed)
        unseal(made, seeds.private, "x.png")

    return content, read


def weights_file(
    random: random.Random, seeds: Seeds
) -> tuple[bytes, Callable[[bytes], object]]:
    data = seeds.weights
    if random.random() < 0.5:
        data = damaged(random, data)
    else:  # valid JSON with wrong values in it
        length = struct.unpack("<Q", data[:8])[0]
        head = json.loads(data[8 : 8 + length])
        for _ in range(random.choice((1, 2))):
            part = random.choice(
                [head, *[v for v in head.values() if isinstance(v, dict)]]
            )
            name = random.choice([*part, "extra"])
            part[name] = random.choice(
                (
                    None,
                    -1,
                    2**70,
                    1.5,
                    True,
                    "F16",
                    "Q9",
                    [],
                    [1],
                    [-1, 2],
                    [[1]],
                    {},
                    "x" * 99,
                    "[" * 9999,
                    "\x1b[2J",
                )
            )
        text = json.dumps(head).encode()
        data = struct.pack("<Q", len(text)) + text + data[8 + length :]

    def read(data: bytes) -> None:
        parsed = read_header(io.BytesIO(data), len(data), "x.safetensors")
        parse_metadata(parsed.get("__metadata__"), "x.safetensors")

    return data, read


def notes(
    random: random.Random, seeds: Seeds
) -> tuple[bytes, Callable[[bytes], object]]:
    numbers = (
        (1, 8, 16) if random.random() < 0.2 else (0, 1, 8, 40, -1, 1.5, True, 2**40)
    )
    pixels = seeds.pictures[0]
    boxes = [[random.choice(numbers) for _ in range(random.choice((4, 4, 3)))]]
    data = json.dumps({"boxes": boxes, "sha256": digest_of(pixels)}).encode()
    data = damaged(random, data) if random.random() < 0.7 else data

    def read(data: bytes) -> None:
        text = {CHUNK: data.decode("latin-1")}
        noted_boxes(files.Loaded(pixels, None, "x.png", text))

    return data, read


def whole_file(
    random: random.Random, seeds: Seeds
) -> tuple[bytes, Callable[[bytes], object]]:
    """A file on the disk, as `egan inspect` meets it."""
    data = damaged(random, random.choice((*seeds.files, seeds.weights)))

    def read(data: bytes) -> None:
        path = Path(random.choice(("x.png", "x.safetensors", "x")))
        path.write_bytes(data)
        try:
            describe(str(path))
        finally:
            path.unlink()

    return data, read


TARGETS = (
    picture_file,
    picture_file,
    key_pixels,
    key_pixels,
    sealed_content,
    weights_file,
    notes,
    whole_file,
)


def expect_words(read: Callable[[], object]) -> bool:
    """Whether something was read; False for an EganError in plain words. Any other
    exception goes through.
    """
    try:
        read()
    except EganError as error:
        for text in (str(error), error.hint):
            assert "Traceback" not in text
            printable(text).encode()
        return False
    return True


def fuzz(
    count: int, seed: int, report: Callable[[str], None] = lambda _text: None
) -> dict[str, int]:
    """Run `count` inputs; the number per target that were read all the same. Raises
    what an input raised.
    """
    chance = random.Random(seed)
    seeds = Seeds(chance)
    survived = dict.fromkeys(sorted({target.__name__ for target in TARGETS}), 0)
    signal.signal(signal.SIGPROF, hanging)
    start = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, captured_stderr() as words:
        os.chdir(folder)
        try:
            for number in range(count):
                target = chance.choice(TARGETS)
                data, read = target(chance, seeds)
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                try:
                    survived[target.__name__] += expect_words(lambda: read(data))  # noqa: B023
                    signal.setitimer(signal.ITIMER_PROF, 0)
                    assert not os.listdir(folder), f"left behind: {os.listdir(folder)}"
                    assert not words.tell(), "words on standard error"
                except BaseException as error:
                    bad = Path(start) / f"fuzz-{seed}-{number}.bin"
                    bad.write_bytes(data)
                    error.add_note(
                        f"input {number} of seed {seed}, {target.__name__}, saved as {bad.name}"
                    )
                    raise
                if number % 10_000 == 9_999:
                    report(f"{number + 1} inputs")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            os.chdir(start)
    return survived


class captured_stderr:
    """Standard error, that of C libraries too, into a file while this lasts."""

    def __enter__(self) -> io.BufferedRandom:
        sys.stderr.flush()
        self.kept = os.dup(2)
        self.file = tempfile.TemporaryFile()
        os.dup2(self.file.fileno(), 2)
        return self.file  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        os.dup2(self.kept, 2)
        os.close(self.kept)
        self.file.close()


def starting(*_: object, **__: object) -> None:
    raise AssertionError("another program would have been started")


def hanging(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds of work")


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0] if __doc__ else ""
    )
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begin = time.monotonic()
    survived = fuzz(options.count, options.seed, lambda text: print(text, flush=True))
    rate = options.count / (time.monotonic() - begin)
    print(
        f"{options.count} inputs of seed {options.seed}: no traceback, no hang, no file left behind ({rate:.0f}/s)"
    )
    for name, number in survived.items():
        print(f"  {name}: {number} were read all the same")


if __name__ == "__main__":
    main()
