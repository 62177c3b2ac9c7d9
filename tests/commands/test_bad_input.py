"""Bad input of every kind. Each time: one `egan: error:` line that names the cause, a hint where there is one, exit 1 or
2, nothing written, and everything that was there untouched."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE, Run, Shell, pixels, smooth
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from egan.core.weights import weights_id
from egan.crypto import envelope, header, signatures
from egan.verbs import keys as keyfiles
from egan.verbs.weights import shipped_file

ENCRYPT = ("encrypt", "--pub", "pub.png", "-o", "out.png")
DECRYPT = ("decrypt", "--priv", "priv.png", "-o", "out.png")
COMPOSE = ("compose", "-o", "out.png", "--cover-size", 64)
KEYGEN = ("keygen", "--size", 64, "--pub", "new.png", "--priv", "new-priv.png")


def everything() -> dict[str, bytes]:
    """All files of the current folder, hidden ones too."""
    return {
        str(path): path.read_bytes() for path in Path().rglob("*") if path.is_file()
    }


def one_error(text: str, cause: str, hint: str = "") -> None:
    """`text` is one error line with the cause, and a hint line where there is one, with nothing else."""
    lines = text.splitlines()
    assert lines and lines[0].startswith("egan: error: "), text
    assert cause in lines[0]
    assert not lines[0].endswith(".")
    assert (
        all(line.startswith("egan: hint: ") for line in lines[1:]) and len(lines) <= 2
    ), text
    assert hint in "".join(lines[1:])
    assert len(lines) == 2 or not hint


@pytest.fixture
def refused(run: Run, here: Path):
    def refused(
        *command: object,
        cause: str,
        hint: str = "",
        status: int = 1,
        stdin: bytes = b"",
    ) -> None:
        before = everything()
        result = run(*command, stdin=stdin)
        one_error(result.err, cause, hint)
        assert result.status == status
        assert result.out == b""
        assert everything() == before

    return refused


def chunk(kind: bytes, data: bytes) -> bytes:
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
    )


def huge_png(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", b"")
        + chunk(b"IEND", b"")
    )


def animation(kind: str) -> bytes:
    frames = [Image.fromarray(smooth(64, 64, seed)) for seed in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


# Pictures that are none


BAD = {
    "empty": (lambda png: b"", "is empty"),
    "truncated": (lambda png: png[: len(png) // 2], "is damaged or truncated"),
    "of the signature alone": (
        lambda png: png[:8],
        "is not a picture that can be read",
    ),
    "text": (lambda png: b"not a picture\n" * 99, "is not a picture that can be read"),
    "with a flipped bit": (
        lambda png: png[:200] + bytes([png[200] ^ 1]) + png[201:],
        "is damaged or truncated",
    ),
    "huge": (lambda png: huge_png(100_000, 100_000), "is too large"),
    "quite large": (
        lambda png: huge_png(10_000, 6_000),
        "is too large: 10000x6000 pixels",
    ),
    "an animated gif": (
        lambda png: animation("GIF"),
        "is animated or has several pages",
    ),
    "an animated png": (
        lambda png: animation("PNG"),
        "is animated or has several pages",
    ),
    "an animated webp": (
        lambda png: animation("WEBP"),
        "is animated or has several pages",
    ),
    "of two pages": (lambda png: animation("TIFF"), "is animated or has several pages"),
}


@pytest.mark.parametrize("kind", BAD)
def test_no_picture(kind: str, refused, here: Path) -> None:
    spoil, cause = BAD[kind]
    data = spoil(Path("disguise.png").read_bytes())
    Path("bad").write_bytes(data)
    hint = (
        "megapixels" if "large" in cause else "one frame" if "animated" in cause else ""
    )
    for command in (
        (*ENCRYPT, "bad"),
        (*DECRYPT, "bad"),
        (*COMPOSE, "bad", "message.png"),
        (*COMPOSE, "face.png", "bad"),
        (*KEYGEN, "bad", "flower.png"),
        (*KEYGEN, "face.png", "bad"),
        ("encrypt", "--pub", "bad", "-o", "out.png", "composite.png"),
        ("decrypt", "--priv", "bad", "-o", "out.png", "disguise.png"),
        ("inspect", "bad"),
    ):
        refused(*command, cause=f"bad {cause}", hint=hint)
    refused(*ENCRYPT, stdin=data, cause=f"standard input {cause}", hint=hint)


# Composites


@pytest.mark.parametrize(
    ("note", "cause"),
    [
        ("[[-1, 8, 32, 24]]", "are damaged"),
        ("[[8, 8, 0, 24]]", "are damaged"),
        ("[[8, 8, 32]]", "are damaged"),
        ("[[8, 8, 32.5, 24]]", "are damaged"),
        ("[8]", "are damaged"),
        ("{}[", "are damaged"),
        ("", "are damaged"),
        ("[" * 100_000, "are damaged"),
        (f"[[{'9' * 5000}, 8, 1, 1]]", "are damaged"),
        (str([[8, 8, 1, 1]] * 17), "holds 17 messages"),
    ],
)
def test_an_edited_note_of_boxes(note: str, cause: str, refused, here: Path) -> None:
    text = PngInfo()
    text.add_text("egan:boxes", note)
    Image.open("composite.png").save("edited.png", pnginfo=text)
    for command in ((*ENCRYPT, "edited.png"), ("inspect", "edited.png")):
        refused(*command, cause=cause)


# Keys


# Samples of a picture: the header's magic, kind, length, body and checksum, then pixels
FLIPPED = [0, 31, 47, 50, 63, 64, 100, 180, 250, 2000, 6000, 64 * 64 * 3 - 1]


def flip(source: str, target: str, sample: int) -> None:
    changed = pixels(source)
    changed.reshape(-1)[sample] ^= 1
    Image.fromarray(changed).save(target)


@pytest.mark.parametrize("sample", FLIPPED)
def test_one_flipped_pixel(sample: int, refused, here: Path) -> None:
    for source in ("pub", "priv", "disguise"):
        flip(f"{source}.png", f"bad-{source}.png", sample)
    for command, name in (
        (
            ("encrypt", "--pub", "bad-pub.png", "composite.png", "-o", "out.png"),
            "bad-pub.png",
        ),
        (
            ("decrypt", "--priv", "bad-priv.png", "disguise.png", "-o", "out.png"),
            "bad-priv.png",
        ),
        ((*DECRYPT, "bad-disguise.png"), "bad-disguise.png"),
        (("inspect", "bad-pub.png"), "bad-pub.png"),
        (("inspect", "bad-disguise.png"), "bad-disguise.png"),
    ):
        refused(*command, cause=f"{name} is a", hint="one changed pixel is enough")
        refused(
            *command,
            cause="that was altered: its pixels do not have the checksum in its header",
        )


def test_a_header_of_a_newer_version(refused, here: Path) -> None:
    for source in ("pub", "priv", "disguise"):
        version_bit = header.positions((64, 64, 3), 0)[39]
        flip(f"{source}.png", f"new-{source}.png", version_bit)
    cause = "has an egan header of version 3, which this egan does not know"
    refused(
        "encrypt",
        "--pub",
        "new-pub.png",
        "-o",
        "out.png",
        "composite.png",
        cause=cause,
        hint="altered",
    )
    refused(
        "decrypt",
        "--priv",
        "new-priv.png",
        "-o",
        "out.png",
        "disguise.png",
        cause=cause,
        hint="newer",
    )
    refused(*DECRYPT, "new-disguise.png", cause=cause)


# Disguises


def test_a_disguise_made_with_weights_that_ship(
    run: Run, refused, made: Path, weights: Path
) -> None:
    """The receiver need not know which: what ships is found by the name in the header."""
    shipped = shipped_file("egan")
    assert shipped is not None
    private, public = (
        keyfiles.read_private(str(made / "priv.png"))[0],
        keyfiles.read_public(str(made / "pub.png")),
    )
    grey = np.full((64, 64, 3), 128, np.uint8)
    for name, picture in (
        (
            "sealed.png",
            envelope.seal(
                grey,
                [public],
                envelope.Letter(bytes(32), (64, 64)),
                weights_id(shipped),
            ),
        ),
        (
            "signed.png",
            signatures.attach(grey, private, weights_id(shipped), bytes(32), grey),
        ),
    ):
        Image.fromarray(picture).save(name)
    cause = "was made with other weights"
    hint = "the weights egan, which ship with egan"
    verify = ("verify", "--pub", "pub.png", "signed.png", "-o", "out.png")
    for command in ((*DECRYPT, "sealed.png"), verify):
        refused(*command, "--weights", weights, cause=cause, hint=hint)
        done = run(*command)
        assert done.status == 0, done.err
        Path("out.png").unlink()


# Weights


def edit_metadata(source: Path, target: Path, **changes: object) -> None:
    """A copy of a safetensors file with other metadata, its tensors untouched."""
    data = source.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] |= changes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


def bad_option(**options: object) -> dict[str, str]:
    return {"options": json.dumps(options)}


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        (
            {"egan": "weights/9"},
            "has format 'weights/9', which this egan does not know",
        ),
        (
            {"egan": "checkpoint/1"},
            "bad.safetensors is a training checkpoint, and no weights file",
        ),
        ({"options": "{"}, "the description in bad.safetensors is damaged"),
        ({"options": "[1]"}, "the description in bad.safetensors is damaged"),
        ({"options": "null"}, "the description in bad.safetensors is damaged"),
        ({"training": "7"}, "the description in bad.safetensors is damaged"),
        (bad_option(wdith=8), "unknown model options: wdith"),
        (bad_option(width="8"), "model option width has the wrong type"),
        (bad_option(width=True), "model option width has the wrong type"),
        (
            bad_option(width=10**9),
            "model option width = 1000000000 is not between 1 and 512",
        ),
        (bad_option(image_size=100), "image size 100 is not a multiple of 16"),
        (bad_option(family="other"), "unknown model family 'other'"),
        (
            bad_option(public_layers=["1", "2", "3"]),
            "are not three numbers from 1 to 6",
        ),
        (bad_option(private_layers=[1.5, 2, 3]), "are not three numbers from 1 to 6"),
        (bad_option(private_layers=[1, 2]), "are not three numbers from 1 to 6"),
        (bad_option(width=16), "do not fit their own description"),
        (bad_option(family="paper"), "do not fit their own description"),
    ],
)
def test_weights_of_another_kind(
    changes: dict, cause: str, refused, here: Path, weights: Path
) -> None:
    bad = Path("bad.safetensors")
    edit_metadata(weights, bad, **changes)
    refused(*ENCRYPT, "--weights", bad, "composite.png", cause=cause)
    refused(*KEYGEN, "--weights", bad, "face.png", "flower.png", cause=cause)
    if "fit" not in cause and "checkpoint" not in cause:
        refused("inspect", bad, cause=cause)


def test_weights_that_are_damaged(refused, here: Path, weights: Path) -> None:
    data, bad = weights.read_bytes(), Path("bad.safetensors")
    for spoilt in (
        data[:-1],
        data[: len(data) // 2],
        data[:100],
        data[:5],
        b"",
        b"no tensors" * 99,
        data + b"x",
    ):
        bad.write_bytes(spoilt)
        cause = "the weights file bad.safetensors is damaged or truncated"
        refused(*DECRYPT, "--weights", bad, "disguise.png", cause=cause)
        refused("inspect", bad, cause="bad.safetensors is damaged or truncated")
    Path("none").mkdir()
    for name in ("missing.safetensors", "none"):
        refused(
            *DECRYPT,
            "--weights",
            name,
            "disguise.png",
            cause=f"no weights file {name}",
            hint="--weights",
            status=2,
        )


@pytest.mark.parametrize(
    "header",
    [
        {"__metadata__": {"egan": "checkpoint/1", "state": "["}},
        {"__metadata__": {"egan": "checkpoint/1", "state": "[]"}},
        {"__metadata__": {"egan": "weights/1", "options": 5}},
        {"__metadata__": [1]},
        {"F.x": {"data_offsets": [0, 0]}},
        {"F.x": {"data_offsets": [0, 0], "shape": ["a"]}},
        {"F.x": 5},
        [],
        {},
    ],
)
def test_a_strange_safetensors_header(header: object, refused, here: Path) -> None:
    text = json.dumps(header).encode()
    Path("odd.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    refused("inspect", "odd.safetensors", cause="odd.safetensors")
    refused(
        *ENCRYPT,
        "--weights",
        "odd.safetensors",
        "composite.png",
        cause="odd.safetensors",
    )


# Outputs


def test_a_full_device(refused, shell: Shell, here: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")
    for cover in (
        "face.png --cover-size 64",
        "noise.png",
    ):  # less and more than a buffer
        done = shell(f"egan compose {cover} message.png > /dev/full")
        assert done.returncode == 1
        one_error(done.stderr, "cannot write standard output: no space left on device")
    for command in (
        "inspect face.png",
        "inspect --json face.png",
        "--version",
        "--help",
    ):
        done = shell(f"egan {command} > /dev/full")
        assert done.returncode == 1
        one_error(done.stderr, "no space left on device")
    refused(
        "compose",
        "--cover-size",
        64,
        "-o",
        "/dev/full",
        "face.png",
        "message.png",
        cause="cannot write /dev/full: no space left",
    )


def test_a_full_disk(shell: Shell, here: Path) -> None:
    Path("small").mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "none", "small"],
        capture_output=True,
        check=False,
    )
    full = mounted.returncode == 0
    # who may not mount gets a limit on the size of a file instead
    limit, cause = (
        ("", "no space left on device") if full else ("ulimit -f 1; ", "file too large")
    )
    try:
        done = shell(f"{limit}egan compose face.png message.png -o small/out.png")
        assert done.returncode == 1
        one_error(done.stderr, f"cannot write small/out.png: {cause}")
        assert os.listdir("small") == []
    finally:
        if full:
            subprocess.run(["umount", "small"], check=True)


def test_a_limit_on_the_size_of_a_file(shell: Shell, here: Path) -> None:
    done = shell("ulimit -f 1; egan compose face.png message.png -o out.png")
    assert done.returncode == 1
    one_error(done.stderr, "cannot write out.png: file too large")
    done = shell(
        "cp face.png old.png; ulimit -f 1; egan compose --force face.png message.png -o old.png"
    )
    assert done.returncode == 1
    assert Path("old.png").read_bytes() == Path("face.png").read_bytes()
    assert not list(Path().glob(".*"))


# Interruptions


def test_sigterm_while_reading_leaves_nothing(here: Path) -> None:
    before = everything()
    command = [sys.executable, "-m", "egan", *map(str, COMPOSE), "-", "message.png"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    assert running.stdin and running.stderr
    running.stdin.write(b"\x89PNG")
    running.stdin.flush()
    while b"\0" not in Path(
        f"/proc/{running.pid}/cmdline"
    ).read_bytes() or "PIL" not in mapped(running.pid):
        assert running.poll() is None
    running.send_signal(signal.SIGTERM)
    assert running.wait(PATIENCE) == 143
    assert running.stderr.read() == b"egan: error: interrupted\n"
    running.stdin.close()
    running.stderr.close()
    assert everything() == before


def mapped(pid: int) -> str:
    """The libraries that a process has loaded, by which it can be seen to be past its imports."""
    return Path(f"/proc/{pid}/maps").read_text()


# Usage


@pytest.mark.parametrize("limit", [60_000, 100_000, 150_000])
def test_too_little_memory_is_one_line(shell: Shell, here: Path, limit: int) -> None:
    done = shell(f"ulimit -v {limit}; egan inspect face.png")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("egan: error: not enough memory: this process may")
    assert lines[1].startswith("egan: hint: `ulimit -v ") and len(lines) == 2


def test_a_small_picture_needs_little_memory(shell: Shell, here: Path) -> None:
    # A picture of 512 MiB may be read, but is not allowed for before it comes.
    done = shell("ulimit -v 400000; egan compose face.png message.png -o out.png")
    assert done.returncode == 0, done.stderr
