"""What a security review asks: shared keys, secrets in output, pickles, bombs, headers
that lie, the source of chance.
"""

from __future__ import annotations

import ast
import json
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE, Run, pixels, smooth
from PIL import Image

from egan.core.weights import read_header
from egan.crypto import keys
from egan.errors import EganError
from egan.train.perceptual import backbone_weights

EGAN = Path(__file__).resolve().parent.parent / "egan"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_private_key_that_others_can_read_is_warned_of(
    mode: int, run: Run, here: Path
) -> None:
    Path("priv.png").chmod(mode)
    unsigned = "not signed: anyone may have sent it\n"
    for command, rest in (
        (("decrypt", "disguise.png"), unsigned),
        (("sign", "composite.png"), ""),
    ):
        done = run(*command, "--priv", "priv.png", "-o", f"{command[0]}.png")
        assert done.status == 0
        assert done.err == (
            f"egan: warning: others can read the private key priv.png (mode {mode:04o}); "
            f"make it yours: chmod 600 priv.png\n{rest}"
        )
    assert run("decrypt", "-q", "--priv", "priv.png", "disguise.png").err == ""
    Path("priv.png").chmod(0o600)
    assert run("decrypt", "--priv", "priv.png", "disguise.png").err == unsigned


def test_no_secret_is_printed_or_written(run: Run, here: Path) -> None:
    """Every output of every command that reads a private key, searched for its seed and
    what is derived from it.
    """
    private = keys.read_private(pixels("priv.png"), "priv.png")
    raw = (
        private.seed,
        private.x25519.private_bytes_raw(),
        private.mlkem.private_bytes_raw(),
        private.signing.private_bytes_raw(),
        private.picture.tobytes()[2000:2064],
    )
    secrets = [
        form for one in raw for form in (one, one.hex().encode(), repr(one).encode())
    ]
    commands = [
        ("sign", "--priv", "priv.png", "composite.png"),
        ("decrypt", "--priv", "priv.png", "disguise.png"),
        ("decrypt", "--priv", "priv.png", "composite.png"),
        ("encrypt", "--pub", "pub.png", "--sign", "priv.png", "composite.png"),
        ("inspect", "priv.png"),
        ("inspect", "--json", "priv.png"),
        ("verify", "--pub", "priv.png", "disguise.png"),
        ("decrypt", "--priv", "priv2.png", "disguise.png"),
    ]
    for command in commands:
        done = run(*command)
        seen = done.out + done.err.encode()
        if done.out.startswith(b"\x89PNG"):
            picture = done.picture
            seen += picture.tobytes() + np.packbits(picture.reshape(-1) & 1).tobytes()
        assert not [one for one in secrets if one in seen], command


def test_nothing_is_unpickled(here: Path) -> None:
    """Python tells an audit hook of every class that a pickle asks for."""
    program = (
        "import sys; sys.addaudithook(lambda event, _: event == 'pickle.find_class' and sys.exit('unpickled'))\n"
        "from egan.__main__ import main\nsys.argv = ['egan', *sys.argv[1:]]; main()"
    )
    for command in (
        "encrypt --pub pub.png composite.png -o e.png",
        "verify --pub pub.png --status disguise.png",
        "inspect priv.png",
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, *command.split()],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1) and "unpickled" not in done.stderr, done.stderr


def without_prose(path: Path) -> str:
    """The code of a file, without comments and docstrings."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value = ast.Constant(...)
    return ast.unparse(tree)


def test_no_code_that_could_unpickle_or_evaluate() -> None:
    forbidden = re.compile(
        r"\bpickle|\bmarshal|\bshelve|joblib|\byaml\b|allow_pickle=True|\beval\(|\bexec\(|os\.system|shell=True|mktemp\("
    )
    for path in EGAN.rglob("*.py"):
        code = re.sub(r"[\w.]*\.eval\(\)", "", without_prose(path))
        for line in code.splitlines():
            assert forbidden.search(line) is None, f"{path.name}: {line}"
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(call), path.name


def test_published_weights_are_read_without_their_pickled_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: dict[str, object] = {}
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url",
        lambda _url, **kw: asked.update(kw),
    )
    backbone_weights("squeeze", None)
    assert asked["weights_only"] is True and asked["check_hash"] is True


def test_chance_is_the_operating_systems_where_it_matters() -> None:
    """Keys, seeds and salts come from `secrets`; numpy's and Python's generators are
    for places, figures and training.
    """
    for path in (*(EGAN / "crypto").glob("*.py"), EGAN / "core/lock.py"):
        text = path.read_text()
        assert "np.random" not in text and "import random" not in text, path.name
    hide, sign = ((EGAN / f"verbs/{name}.py").read_text() for name in ("hide", "sign"))
    assert "secrets.token_bytes(SEED_BYTES)" in hide
    assert "secrets.token_bytes(signatures.SALT_BYTES)" in sign
    keys_text = (EGAN / "crypto/keys.py").read_text()
    assert "secrets.token_bytes(private_image.size)" in keys_text


# Bombs


def chunk(kind: bytes, data: bytes) -> bytes:
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
    )


def test_bombs_are_refused_in_little_memory(here: Path) -> None:
    """A kilobyte or a megabyte that would become gigabytes: of pixels, of text, of a
    profile.
    """
    zeros = zlib.compressobj(9)
    # 1 GiB.
    packed = (
        b"".join(zeros.compress(bytes(1 << 20)) for _ in range(1024)) + zeros.flush()
    )
    small = b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    )
    end = chunk(b"IDAT", zlib.compress(bytes(8 * 25))) + chunk(b"IEND", b"")
    bombs = {
        "pixels": b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 12_000, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", packed)
        + chunk(b"IEND", b""),
        "text": small + chunk(b"zTXt", b"egan:boxes\0\0" + packed) + end,
        "itxt": small + chunk(b"iTXt", b"egan:boxes\0\1\0\0\0" + packed) + end,
        "profile": small + chunk(b"iCCP", b"x\0\0" + packed) + end,
    }
    program = (
        "import resource, sys; from egan.__main__ import main\n"
        "limit = 2 << 30; resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "sys.argv = ['egan', 'inspect', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0], file=sys.stderr)"
    )
    for name, data in bombs.items():
        Path(name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", program, *bombs],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    *words, peak = done.stderr.split("\n")[:-1]
    assert done.returncode in (0, 1) and "Traceback" not in done.stderr
    assert any("pixels is too large" in line for line in words)
    # KiB; the bombs hold 1 GiB each.
    assert int(peak) < 400_000


# Safetensors headers that lie


def container(head: object, data: bytes = bytes(8), length: int | None = None) -> bytes:
    text = head if isinstance(head, bytes) else json.dumps(head).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(
    start: int, end: int, dtype: str = "F16", shape: object = (2,)
) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


LIES = {
    "a header longer than the file": container(
        {"a": tensor(0, 4), "b": tensor(4, 8)}, length=10**6
    ),
    "a header of 2^63 bytes": container({}, length=2**63),
    "tensors that overlap": container({"a": tensor(0, 4), "b": tensor(2, 6)}, bytes(6)),
    "a gap": container({"a": tensor(0, 4), "b": tensor(6, 10)}, bytes(10)),
    "bytes that nobody owns": container({"a": tensor(0, 4)}, bytes(8)),
    "an end before the start": container(
        {"a": tensor(4, 0), "b": tensor(0, 8, shape=(4,))}
    ),
    "an unknown type": container({"a": tensor(0, 8, "F12")}),
    "a shape of another size": container({"a": tensor(0, 8, shape=(3,))}),
    "a negative side": container({"a": tensor(0, 8, shape=(-2, -2))}),
    "a side of 2^62": container({"a": tensor(0, 8, shape=(2**62, 4))}),
    "a side that is true": container({"a": tensor(0, 2, shape=(True,))}, bytes(2)),
    "one name twice": container(
        b'{"a":%b,"a":%b}' % ((json.dumps(tensor(0, 4)).encode(),) * 2), bytes(4)
    ),
    "metadata that is no text": container(
        {"__metadata__": {"egan": 1}, "a": tensor(0, 8, shape=(4,))}
    ),
    "no object": container([1, 2]),
    "brackets without end": container(b"[" * 100_000),
    "not UTF-8": container(b'{"\xff": 1}'),
}


@pytest.mark.parametrize("lie", LIES)
def test_headers_that_lie_are_refused(lie: str, run: Run, here: Path) -> None:
    import io

    with pytest.raises(EganError, match="damaged or truncated"):
        read_header(io.BytesIO(LIES[lie]), len(LIES[lie]), "w.safetensors")
    Path("w.safetensors").write_bytes(LIES[lie])
    for command in (
        ("encrypt", "--pub", "pub.png", "--weights", "w.safetensors", "composite.png"),
        ("inspect", "w.safetensors"),
    ):
        done = run(*command)
        assert (done.status, done.out) == (1, b"")
        assert "w.safetensors" in done.err and "Traceback" not in done.err


def test_a_true_header_is_read_also_from_standard_input(
    run: Run, weights: Path
) -> None:
    by_name = json.loads(run("inspect", "--json", weights).out)
    piped = json.loads(run("inspect", "--json", "-", stdin=weights.read_bytes()).out)
    assert piped | {"file": ""} == by_name | {"file": ""}


def test_libtiff_has_nothing_to_say(here: Path) -> None:
    Image.fromarray(smooth(40, 40, 3)).save("a.tiff", compression="tiff_lzw")
    data = bytearray(Path("a.tiff").read_bytes())
    data[60:80] = b"\xff" * 20
    Path("a.tiff").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "egan", "inspect", "a.tiff"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert all(
        line.startswith(("egan: ", "kind: ")) for line in done.stderr.splitlines()
    ), done.stderr
