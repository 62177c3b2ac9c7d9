"""Real faults: signals at random moments, full and read-only file systems, readers and inputs that go away.

Each time: whole files or none, no key lost or half made, plain words, the right exit status.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PATIENCE, Run, Shell, smooth
from PIL import Image

from egan.errors import EganError
from egan.pictures import atomic
from egan.pictures.output import write_output, write_private

SEED = random.randrange(10**6)
RANDOM = random.Random(SEED)  # a failure names the seed


def egan(*arguments: object, **options: object) -> subprocess.Popen:
    command = [sys.executable, "-m", "egan", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Signals as a terminal has them, even where the tests run under `nohup`, whose children would not hear SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def whole_pictures(folder: str) -> list[str]:
    """The names in a folder, hidden ones too, after every one was read to the end."""
    names = sorted(os.listdir(folder))
    for name in names:
        with Image.open(Path(folder, name)) as image:
            image.load()
    return names


def wait_until(running: subprocess.Popen, there: Path) -> None:
    """Until a process has made its first file, so that a signal strikes while it works."""
    while not any(there.iterdir()) and running.poll() is None:
        time.sleep(0.005)


def loaded_by(running: subprocess.Popen) -> str:
    """The libraries of a process, by which it can be seen to be past its first imports."""
    try:
        return Path(f"/proc/{running.pid}/maps").read_text()
    except OSError:  # it has ended
        return ""


@pytest.fixture
def covers(here: Path) -> Iterator[Path]:
    """A folder `in` of 300 covers and a named pipe that stays open and empty: no command that reads it comes to its end."""
    for name in ("in", "out"):
        Path(name).mkdir()
    Image.fromarray(smooth(256, 256, 5)).save("large.png")
    for i in range(300):
        os.link("large.png", f"in/{i:03}.png")
    os.mkfifo("waits.png")
    pipe = os.open("waits.png", os.O_RDWR)
    yield here
    os.close(pipe)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL]
)
@pytest.mark.parametrize("force", [(), ("--force",)], ids=["new", "force"])
def test_killed_at_any_moment_only_whole_files_stay(
    number: int, force: tuple[str, ...], covers: Path
) -> None:
    names = [f"{i:03}.png" for i in range(300)]
    old = Path("message.png").read_bytes()
    if force:
        for name in names:
            Path("out", name).write_bytes(old)
    before = Path("out").stat().st_mtime_ns
    running = egan("compose", "in", "waits.png", "message.png", "-d", "out", *force)
    while running.poll() is None and Path("out").stat().st_mtime_ns == before:
        time.sleep(0.01)
    time.sleep(RANDOM.uniform(0, 0.4))
    running.send_signal(number)
    _, words = running.communicate(timeout=PATIENCE)
    found = whole_pictures("out")
    if number == signal.SIGKILL:
        assert (running.returncode, words) == (-9, ""), SEED
        if force:  # between two names of one file there is no step that a kill could not fall into
            found = [name for name in found if not name.startswith(".egan-")]
    else:
        assert (running.returncode, words) == (
            128 + number,
            "egan: error: interrupted\n",
        ), SEED
    assert set(found) <= set(names), (SEED, found)
    if force:
        assert found == names, SEED


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    "struck",
    [
        "exec('strike()')",  # as in every dataclass: Python keeps a note of a KeyboardInterrupt there
        "type('Struck', (), {'__del__': lambda self: strike()})(); sys.stdin.read()",  # where nothing can be raised
        "type('Struck', (), {'name': type('Name', (), {'__set_name__': lambda *_: strike()})()})",  # made another error
    ],
    ids=["string", "destructor", "set-name"],
)
def test_an_interruption_is_the_end_wherever_it_strikes(
    number: int, struck: str, tmp_path: Path
) -> None:
    program = (
        "import signal, sys; from egan import terminal\n"
        f"def strike(): signal.raise_signal({number})\n"
        f"def command(): {struck}\n"
        "sys.exit(terminal.run(command))"
    )
    (tmp_path / "program.py").write_text(program)
    for way in ("-m", "program"), ("program.py",):
        running = subprocess.Popen(
            [sys.executable, *way],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert (
            running.wait(timeout=PATIENCE) == 128 + number
        )  # with standard input still open
        assert running.communicate() == (None, "egan: error: interrupted\n")


def test_killed_at_any_moment_no_key_is_lost(here: Path) -> None:
    """A public key is there only where its private one is, and that one is whole."""
    Path("keys").mkdir()
    for i in range(3):
        pub, priv = Path(f"keys/{i}-pub.png"), Path(f"keys/{i}-priv.png")
        running = egan(
            "keygen",
            "--size",
            64,
            "face.png",
            "flower.png",
            "--pub",
            pub,
            "--priv",
            priv,
        )
        if i:
            wait_until(running, Path("keys"))
            time.sleep(RANDOM.uniform(0, 0.01))
        else:
            time.sleep(RANDOM.uniform(0.2, 1.5))
        running.send_signal((signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)[i])
        _, words = running.communicate(timeout=PATIENCE)
        assert "Traceback" not in words, SEED
        assert not pub.exists() or priv.exists(), SEED
        for path in whole_pictures("keys"):
            if path.endswith("-priv.png"):
                assert Path("keys", path).stat().st_mode & 0o777 == 0o600
        for path in Path("keys").iterdir():
            path.unlink()


def test_signals_at_the_start_make_no_traceback(here: Path) -> None:
    for delay in (0.05, 0.5):
        running = egan("decrypt", "--priv", "priv.png", "disguise.png", "-o", "r.png")
        late = delay > 0.2
        while late and "PIL" not in loaded_by(running) and running.poll() is None:
            time.sleep(0.01)
        time.sleep(delay)
        running.send_signal(signal.SIGINT)
        _, words = running.communicate(timeout=PATIENCE)
        # in its first instants Python itself answers, and dies of the signal
        assert running.returncode in (130, -2, 0, 1), words
        assert not late or "Traceback" not in words, words
    assert not [name for name in os.listdir() if name.startswith(".")]


def test_a_file_made_after_the_check_is_not_overwritten(here: Path) -> None:
    """The output appears while the command works: the race is lost, and the other file stays."""
    running = egan(
        "decrypt", "--priv", "priv.png", "-o", "late.png", stdin=subprocess.PIPE
    )
    time.sleep(0.5)
    Path("late.png").write_bytes(b"mine")
    assert running.stdin is not None
    running.stdin.buffer.write(Path("disguise.png").read_bytes())
    running.stdin.close()
    running.stdin = None
    _, words = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert "late.png exists already" in words
    assert Path("late.png").read_bytes() == b"mine"


# File systems


@contextlib.contextmanager
def mounted(options: str) -> Iterator[Path]:
    """A small file system of its own; the test is skipped for who may not mount one."""
    place = Path("mounted")
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_leaves_nothing_and_breaks_no_pair(run: Run, here: Path) -> None:
    with mounted("size=12k") as full:  # room for one key of the two
        keygen = (
            "keygen",
            "--size",
            64,
            "face.png",
            "flower.png",
            "--pub",
            full / "pub.png",
        )
        done = run(*keygen, "--priv", full / "priv.png")
        assert done.status == 1
        assert "no space left on device" in done.err
        assert os.listdir(full) == []
        done = run("compose", "face.png", "message.png", "-o", full / "c.png")
        assert (done.status, os.listdir(full)) == (1, [])
        # over an old file
        (full / "c.png").write_bytes(b"old")
        done = run(
            "compose", "face.png", "message.png", "--force", "-o", full / "c.png"
        )
        assert (done.status, (full / "c.png").read_bytes()) == (1, b"old")
        # many: what fits is whole, what does not is named
        (full / "c.png").unlink()
        for i in range(4):
            Path(f"d{i}.png").write_bytes(Path("composite.png").read_bytes())
        done = run(
            "encrypt", "--pub", "pub.png", "-d", full, *(f"d{i}.png" for i in range(4))
        )
        assert done.status == 1
        assert (
            done.err.count("no space left on device")
            == 4 - len(whole_pictures(str(full)))
            > 0
        )


def test_a_read_only_file_system(run: Run, here: Path) -> None:
    with mounted("size=1m") as place:
        subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
        for command in (
            ("compose", "face.png", "message.png", "-o", place / "x.png"),
            (
                "keygen",
                "--size",
                64,
                "face.png",
                "flower.png",
                "--pub",
                "x.png",
                "--priv",
                place / "y.png",
            ),
            (
                "keygen",
                "--size",
                64,
                "face.png",
                "flower.png",
                "--pub",
                place / "x.png",
                "--priv",
                "y.png",
            ),
            ("encrypt", "--pub", "pub.png", "composite.png", "-d", place),
            ("sign", "--priv", "priv.png", "composite.png", "-o", place / "x.png"),
        ):
            done = run(*command)
            assert done.status == 1
            assert "read-only file system" in done.err
            assert not Path("x.png").exists() and not Path("y.png").exists()


def test_a_folder_without_the_right_to_write(here: Path) -> None:
    Path("closed").mkdir(mode=0o555)
    program = (
        "import os, sys; from egan import terminal; from egan.pictures.output import write_output\n"
        "if os.geteuid() == 0: os.setgroups([]); os.setgid(65534); os.setuid(65534)  # root may write everywhere\n"
        "sys.exit(terminal.run(lambda: write_output(b'x', 'closed/x.png')))"
    )
    folders = [here, *here.parents[:3]]
    modes = [folder.stat().st_mode for folder in folders]
    for folder in folders:
        folder.chmod(0o755)
    try:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
    finally:
        for folder, mode in zip(folders, modes, strict=True):
            folder.chmod(mode)
    assert done.stderr == "egan: error: cannot write closed/x.png: permission denied\n"
    assert (done.returncode, os.listdir("closed")) == (1, [])


# Readers and inputs that go away


def test_closed_pipes_of_the_commands_about_signatures(
    run: Run, here: Path, shell: Shell
) -> None:
    assert (
        run("sign", "composite.png", "--priv", "priv.png", "-o", "signed.png").status
        == 0
    )
    done = shell(
        "egan verify -q signed.png --pub pub.png | true; echo ${PIPESTATUS[0]}; egan inspect signed.png | true"
    )
    assert (done.stderr, done.stdout) == ("", "141\n")


def test_an_input_removed_on_the_way(here: Path) -> None:
    """Names are listed first and read one by one, so a file can be gone when its turn comes."""
    for name in ("in", "out"):
        Path(name).mkdir()
    Image.fromarray(smooth(256, 256, 5)).save("large.png")
    for i in range(60):
        os.link("large.png", f"in/{i:02}.png")
    running = egan("compose", "in", "message.png", "-d", "out")
    wait_until(running, Path("out"))
    Path("in/59.png").unlink()
    _, words = running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    assert words.splitlines() == [
        "egan: error: cannot read in/59.png: no such file or directory",
        "egan: error: 1 of 60 files failed",
    ]
    assert len(whole_pictures("out")) == 59


def test_an_output_folder_removed_on_the_way(here: Path) -> None:
    with pytest.raises(EganError, match=r"cannot write gone/x.png: no such file"):
        write_output(b"x", "gone/x.png")
    with pytest.raises(EganError, match=r"cannot write gone/x.png: no such file"):
        write_private(b"x", "gone/x.png")


def test_a_file_system_without_unnamed_files(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "unnamed_file", lambda _folder: None)
    write_private(b"key", "k.png")
    assert Path("k.png").stat().st_mode & 0o777 == 0o600
    with pytest.raises(EganError, match="never overwritten"):
        write_private(b"other", "k.png")
    write_output(b"one", "o.png")
    write_output(b"two", "o.png", force=True)
    assert (Path("o.png").read_bytes(), Path("k.png").read_bytes()) == (b"two", b"key")
    assert not [name for name in os.listdir() if name.startswith(".")]


# Training


@pytest.mark.long
def test_interrupted_training_keeps_a_checkpoint(here: Path) -> None:
    for name in ("x", "y", "m"):
        Path(name).mkdir()
        for seed in range(10):
            Image.fromarray(smooth(64, 64, seed)).save(f"{name}/{seed}.png")
    small = (
        "--set",
        "key_width=4",
        "--set",
        "width=8",
        "--set",
        "key_steps=8",
        "--batch",
        2,
        "--steps",
        100_000,
    )
    running = egan(
        "train",
        "--preset",
        "tiny",
        "--x",
        "x",
        "--y",
        "y",
        "--messages",
        "m",
        "--out",
        "w.safetensors",
        *small,
        stdout=subprocess.DEVNULL,
    )
    log = Path("runs/w/log.jsonl")
    late = time.monotonic() + PATIENCE
    while running.poll() is None and not log.exists() and time.monotonic() < late:
        time.sleep(0.05)
    time.sleep(0.5)
    running.send_signal(signal.SIGTERM)
    _, words = running.communicate(timeout=PATIENCE)
    assert running.returncode == 143, words
    assert "egan: error: interrupted" in words and "Traceback" not in words
    assert not Path("w.safetensors").exists()
    facts = subprocess.run(
        [sys.executable, "-m", "egan", "inspect", "runs/w/checkpoint.safetensors"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert facts.stdout.startswith("kind: training checkpoint\n")
    assert not list(Path().rglob("*.part"))
