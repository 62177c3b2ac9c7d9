"""Terminals, closed pipes, start-up, demo, and whatever of the commands no session can show."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import pty
import re
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE, Run, Shell, pixels
from PIL import Image
from rich.console import Console
from safetensors.torch import load_file

from egan import terminal
from egan.core.encryptgan import EncryptGANNetworks
from egan.core.load import load_model
from egan.core.options import ModelOptions
from egan.pictures import compose, files
from egan.verbs import hide, keys
from egan.verbs.weights import Weights

COLOUR = re.compile(r"\x1b\[[\d;]*3\d[\d;]*m")


def noise(path: Path, side: int) -> None:
    """A picture whose PNG is larger than the buffer of a pipe."""
    random = np.random.default_rng(5)
    Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


def test_sixteen_messages_and_no_more(run: Run, here: Path) -> None:
    picture = Path("face.png").read_bytes()
    for i in range(16):
        picture = run(
            "compose",
            "-",
            "message.png",
            *(() if i else ("--cover-size", 64)),
            "--size",
            8,
            "--at",
            f"{3 * i},{2 * i}",
            stdin=picture,
        ).out
    more = run("compose", "-", "message.png", "--size", 8, stdin=picture)
    assert (more.status, more.out) == (1, b"")
    assert "16 messages" in more.err
    sealed = run("encrypt", "--pub", "pub.png", stdin=picture)
    last = run(
        "decrypt", "--priv", "priv.png", "--message", "--number", 16, stdin=sealed.out
    )
    assert last.picture.shape == (6, 8, 3)
    none = run(
        "decrypt", "--priv", "priv.png", "--message", "--number", 17, stdin=sealed.out
    )
    assert none.err == "egan: error: there is no message 17: the picture holds 16\n"


def test_progress_only_on_a_terminal(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name in ("out", "in"):
        Path(name).mkdir()
    many = [Path("in", f"{i}.png") for i in range(2)]
    for path in many:
        path.write_bytes(Path("composite.png").read_bytes())
    command = ("encrypt", "--pub", "pub.png", "-d", "out", "--force", *many)
    shown = run(*command, terminals="err").err
    assert "encrypting" in shown and COLOUR.search(shown)
    assert run(*command).err == ""
    assert run(*command, "-q", terminals="err").err == ""
    monkeypatch.setenv("NO_COLOR", "1")
    plain = run(*command, terminals="err").err
    assert "encrypting" in plain and not COLOUR.search(plain)


def test_no_picture_is_written_to_a_terminal(run: Run, here: Path) -> None:
    for command in (
        ("compose", "face.png", "message.png"),
        ("encrypt", "--pub", "pub.png", "composite.png"),
        ("decrypt", "--priv", "priv.png", "disguise.png"),
    ):
        refused = run(*command, terminals="out")
        assert (refused.status, refused.out) == (2, b"")
        assert refused.err.startswith(
            "egan: error: refusing to write a picture to a terminal\negan: hint: "
        )
        assert run(*command, "-o", "-", terminals="out").out.startswith(b"\x89PNG")


def test_no_picture_is_read_from_a_terminal(run: Run, here: Path) -> None:
    refused = run("encrypt", "--pub", "pub.png", terminals="in")
    assert refused.status == 2
    assert refused.err.startswith(
        "egan: error: no input: standard input is a terminal\negan: hint: "
    )


def test_a_real_terminal(here: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "egan", "compose", "face.png", "message.png"]
    done = subprocess.run(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    os.set_blocking(ours, False)
    with pytest.raises(BlockingIOError):
        os.read(ours, 1)  # nothing came
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 2
    assert b"refusing to write a picture to a terminal" in done.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_is_quiet(unbuffered: str, here: Path, shell: Shell) -> None:
    noise(here / "big.png", 512)
    compose = "egan compose big.png message.png --cover-size keep"
    done = shell(
        f"export PYTHONUNBUFFERED={unbuffered}; {compose} | head -c 8 | wc -c; echo ${{PIPESTATUS[0]}} >&2"
    )
    assert done.stderr == "141\n"
    done = shell(
        "egan inspect --json disguise.png | true; egan --help | true; egan --version | true"
    )
    assert done.stderr == ""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_slow_reader_gets_the_whole_picture(
    unbuffered: str, here: Path, shell: Shell
) -> None:
    noise(here / "big.png", 512)
    done = shell(
        f"export PYTHONUNBUFFERED={unbuffered}\n"
        "egan compose big.png message.png --cover-size keep | (sleep 0.5; cat) > slow.png\n"
        "egan compose big.png message.png --cover-size keep -o whole.png\n"
        "ulimit -f 100; egan compose big.png message.png --cover-size keep > cut.png"
    )
    assert Path("slow.png").read_bytes() == Path("whole.png").read_bytes()
    assert done.returncode == 1
    assert done.stderr == "egan: error: cannot write standard output: file too large\n"


def test_closed_streams(here: Path, shell: Shell) -> None:
    compose = "egan compose face.png message.png --cover-size 64"
    done = shell(f"{compose} >&-")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "egan: error: cannot write standard output: it is closed",
    )
    done = shell(f"{compose} -o made.png >&-")
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("made.png").exists()
    done = shell("egan inspect <&-")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        2,
        "egan: error: no input: standard input is closed",
    )
    done = shell("egan inspect missing.png 2>&-")
    assert (done.returncode, done.stdout) == (
        1,
        "",
    )  # the words do not go among the pixels


def test_version_help_and_nothing_at_all(run: Run) -> None:
    assert re.fullmatch(rb"egan \d+\.\d+\.\d+\n", run("--version").out)
    for command in (
        "",
        "keygen",
        "compose",
        "encrypt",
        "decrypt",
        "inspect",
        "train",
        "demo",
    ):
        help = run(*command.split(), "--help")
        assert (help.status, help.err) == (0, "")
        assert help.out.startswith(f"Usage: egan {command}".strip().encode())
        assert run(*command.split(), "-h").out == help.out
    nothing = run()
    assert (nothing.status, nothing.out) == (2, b"")
    assert nothing.err.startswith("Usage: egan ")


def imported(*commands: str, statuses: tuple[int, ...] = (0,)) -> set[str]:
    """The modules that one process has imported after some commands."""
    program = (
        "import sys; from egan.__main__ import main\n"
        "for command in sys.argv[1:]:\n"
        "    sys.argv = ['egan', *command.split()]\n"
        "    try: main()\n"
        "    except SystemExit as end: print('status', end.code, file=sys.stderr)\n"
        "print('modules', *sys.modules, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *commands],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    lines = done.stderr.splitlines()
    found = [int(line.split()[1]) for line in lines if line.startswith("status ")]
    assert found == list(statuses * len(commands))[: len(commands)], done.stderr
    return set(lines[-1].split()[1:])


def test_slow_modules_are_imported_only_where_needed(here: Path) -> None:
    version = imported("--version")
    assert not version & {"torch", "numpy", "typer", "PIL", "egan.commands.app"}
    slow = {"torch", "torchvision", "onnxruntime", "skimage", "lpips", "scipy"}
    light = imported(
        "--help",
        "encrypt --help",
        "compose face.png message.png -o c.png",
        "inspect priv.png",
    )
    assert not light & slow
    # What cannot be done is told before the networks are looked for.
    altered = pixels("disguise.png")
    altered[40, 40] ^= 1
    Image.fromarray(altered).save("altered.png")
    failing = imported(
        "decrypt --priv priv2.png disguise.png",
        "decrypt --priv priv.png altered.png",
        "decrypt --priv priv.png --from pub2.png disguise.png",
        "decrypt --priv priv.png --message --number 2 disguise.png -o m.png",
        "verify --pub pub2.png disguise.png",
        "encrypt --pub priv.png composite.png",
        "bench --limit 0",
        statuses=(1, 1, 1, 2, 1, 1, 2),
    )
    assert not failing & slow
    daily = imported(
        "keygen -q --size 64 face.png flower.png --pub p.png --priv q.png --device cpu",
        "encrypt --pub pub.png composite.png -o d.png --device cpu",
        "encrypt --pub pub.png composite.png -d many --device cpu",
        "decrypt --priv priv.png disguise.png -o r.png --device cpu",
        "sign -q --priv priv.png flower.png --size 64 -o s.png --device cpu",
        "verify -q --pub pub.png s.png -o v.png --device cpu",
        "demo -q -d demo --device cpu",
    )
    assert "onnxruntime" in daily
    assert not daily & (slow - {"onnxruntime"})


def test_inspect_says_what_every_file_is(run: Run, here: Path, weights: Path) -> None:
    kinds = {
        "face.png": "picture",
        "composite.png": "composite",
        "disguise.png": "disguise",
        "pub.png": "public key",
        "priv.png": "private key",
        str(weights): "weights",
    }
    facts = {}
    for name, kind in kinds.items():
        facts[name] = json.loads(run("inspect", "--json", name).out)
        assert facts[name]["kind"] == kind
        shown = run("inspect", name)
        assert shown.status == 0
        assert shown.out.decode().startswith(f"kind: {kind}\nfile: {name}\n")
    assert facts["disguise.png"]["weights"] == facts[str(weights)]["id"]
    drawn_by = {facts[name]["key network"] for name in ("pub.png", "priv.png")}
    assert drawn_by == {facts[str(weights)]["key network"]}
    assert facts["composite.png"]["messages"] == [[8, 24, 32, 24]]
    assert facts[str(weights)]["options"]["image_size"] == 64


def test_the_demo_leaves_a_contact_sheet(run: Run, here: Path) -> None:
    made = run("demo", "-d", "trip/one")
    assert made.status == 0
    assert made.err.splitlines()[-1] == "look at trip/one/contact-sheet.png"
    (warning,) = [line for line in made.err.splitlines() if "warning" in line]
    assert warning.startswith("egan: warning: disguise.png does not open"), (
        "under its plain name, as the commands above it"
    )
    assert pixels("trip/one/contact-sheet.png").shape[2] == 3
    assert stat.S_IMODE(Path("trip/one/priv.png").stat().st_mode) == 0o600
    keys = {
        name: Path("trip/one", name).read_bytes() for name in ("priv.png", "pub.png")
    }
    assert run("demo", "-d", "trip/one").status == 0, "a second time, too"
    assert {name: Path("trip/one", name).read_bytes() for name in keys} == keys
    Path("trip/one/cover.png").write_bytes(b"mine")
    changed = run("demo", "-d", "trip/one")
    assert changed.status == 1 and "was changed since the last demo" in changed.err
    assert run("demo", "-d", "trip/one", "--force").status == 0


def test_the_demo_of_the_family_paper_goes_to_its_end(run: Run, here: Path) -> None:
    options = ModelOptions(
        family="paper", image_size=64, key_width=4, resnet_width=4, resnet_blocks=1
    )
    EncryptGANNetworks(options).save("paper.safetensors", {})
    assert run("demo", "-d", "trip", "--weights", "paper.safetensors").status == 0
    assert stat.S_IMODE(Path("trip/priv.png").stat().st_mode) == 0o600


def test_keys_are_at_home_in_all_weights_with_their_k(
    run: Run, here: Path, weights: Path, other_weights: Path
) -> None:
    """F and G trained further around the same K: the weights have another id, and no key is foreign to them."""
    mine, other = load_file(weights), load_file(other_weights)
    further = load_model(weights)
    further.F.load_state_dict(
        {k[2:]: v.float() for k, v in other.items() if k.startswith("F.")}
    )
    further.save("further.safetensors", {"steps": 1})
    model, model_further, model_other = map(
        load_model, (weights, "further.safetensors", other_weights)
    )
    assert model_further.id != model.id
    meaning = f"[false, [1, 2, 3], [3, 5, 6], {json.dumps([(n, 'F16', list(mine[n].shape)) for n in sorted(mine) if n[0] == 'K'])}]"
    numbers = b"".join(mine[n].numpy().tobytes() for n in sorted(mine) if n[0] == "K")
    digest = hashlib.sha256(b"egan/2 key network" + meaning.encode() + numbers).digest()
    assert model.key_network == model_further.key_network == digest[:16]
    assert model_other.key_network != model.key_network
    encrypt = ("encrypt", "--pub", "pub.png", "composite.png", "-o", "d.png")
    sign = ("sign", "--priv", "priv.png", "flower.png", "--size", 64, "-o", "s.png")
    verify = ("verify", "--pub", "pub.png", "s.png", "-o", "v.png")
    for command in (encrypt, sign, verify):
        done = run(*command, "--weights", "further.safetensors")
        assert (done.status, "warning" in done.err) == (0, False), done.err


def test_keys_of_other_weights_work_with_a_warning_where_they_can_be_read(
    run: Run, here: Path, other_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What untrained networks make of a picture is no likeness of it, so one limit lets all pass, the other none."""
    commands = {
        "public": (
            "encrypt",
            "--pub",
            "pub.png",
            "--weights",
            other_weights,
            "composite.png",
            "-o",
            "other.png",
        ),
        "private": (
            "sign",
            "flower.png",
            "--size",
            64,
            "--priv",
            "priv.png",
            "--weights",
            other_weights,
            "-o",
            "s.png",
        ),
    }
    for half, command in commands.items():
        monkeypatch.setattr(hide, "UNREADABLE", 0.0)
        refused = run(*command)
        assert refused.status == 1
        assert (
            f"the {half} key was drawn by other weights: what is painted from it cannot be read"
            in refused.err
        )
        assert "egan: hint: " in refused.err
        assert not Path(command[-1]).exists()
        monkeypatch.setattr(hide, "UNREADABLE", 1.0)
        done = run(*command)
        assert done.status == 0
        assert f"warning: the {half} key was drawn by other weights" in done.err


def test_a_flower_in_place_of_the_public_keys(
    run: Run, here: Path, weights: Path, other_weights: Path
) -> None:
    """The disguise is painted from K(flower), by any weights, and the same private key opens it."""
    encrypt = ("encrypt", "--pub", "pub.png", "--flower", "face.png", "composite.png")
    for chosen in (weights, other_weights):
        done = run(*encrypt, "--weights", chosen, "-o", "f.png", "--force")
        assert (done.status, done.err) == (0, "")
        opened = run(
            "decrypt",
            "--priv",
            "priv.png",
            "--weights",
            chosen,
            "f.png",
            "-o",
            "r.png",
            "--force",
        )
        assert opened.status == 0
    opened = Weights(weights)
    composite = files.read_picture("composite.png")
    job = hide.composite_job(composite, "composite.png", opened)
    public = keys.read_public("pub.png")
    height, width = job.pixels.shape[:2]
    flower = files.read_picture("face.png")
    face = compose.fit_cover(flower, (width, height))
    (key,) = opened.model.key_images(face[None], opened.options.public_layers)
    (named,) = hide.encrypt([job], [public], flower=flower)
    (drawn,) = hide.encrypt([job], [dataclasses.replace(public, picture=key)])
    (plain,) = hide.encrypt([job], [public])
    assert (named >> 1 == drawn >> 1).all(), "the same but for the envelope"
    assert (named >> 1 != plain >> 1).any()


def test_parts_are_drawn_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.parts(True) is None
    drawn = io.StringIO()
    monkeypatch.setattr(terminal, "shows_progress", lambda: True)
    monkeypatch.setattr(
        terminal, "console", lambda: Console(file=drawn, force_terminal=True)
    )
    assert terminal.parts(False) is None
    for total, shows in ((1, False), (3, True)):
        tell = terminal.parts(True)
        assert tell is not None
        for done in range(total + 1):
            tell(done, total)
        assert ("parts of the picture" in drawn.getvalue()) == shows
