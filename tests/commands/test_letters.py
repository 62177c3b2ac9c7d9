"""Expected fingerprints, passphrases and notes: what no session of plain text can show."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import Result, Run, pixels
from PIL import Image

from egan import api
from egan.crypto import keys, passphrase
from egan.errors import EganError


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """scrypt at a cost that tests can bear."""
    monkeypatch.setattr(passphrase.lock, "__defaults__", (4,))


@contextmanager
def lines(text: str) -> Iterator[int]:
    """A file descriptor to read these lines from."""
    out, into = os.pipe()
    os.write(into, text.encode())
    os.close(into)
    yield out


@pytest.fixture
def locked(run: Run, here: Path) -> Path:
    """The current folder, with p.png and q.png, whose passphrase is `sesame`."""
    with lines("sesame\n") as fd:
        made = run(
            *("keygen", "--size", 64, "-q", "face.png", "flower.png"),
            *("--pub", "p.png", "--priv", "q.png", "--passphrase-fd", fd),
        )
    assert (made.status, made.err) == (0, "")
    run("encrypt", "--pub", "p.png", "composite.png", "-o", "d.png")
    return here


def with_words(run: Run, words: str, *command: object) -> Result:
    with lines(words) as fd:
        return run(*command, "--passphrase-fd", fd)


def test_a_key_that_is_not_the_expected_one_is_refused(run: Run, here: Path) -> None:
    whole = json.loads(run("inspect", "--json", "pub.png").out)["fingerprint"]
    encrypt = ("encrypt", "--pub", "pub.png", "composite.png")
    for text in (whole, whole[:32], keys.grouped(whole), whole.upper()):
        assert run(*encrypt, "--expect", text).status == 0
    other = run("encrypt", "--pub", "pub2.png", "--expect", whole, "composite.png")
    assert (other.status, other.out) == (1, b"")
    assert "pub2.png is not the expected key: its fingerprint is" in other.err
    assert run(*encrypt, "--expect", "1234").status == 2
    both = ("--expect", whole, "--expect", "0" * 32)
    assert "no public key has the fingerprint 0000" in run(*encrypt, *both).err


def test_a_locked_key_opens_with_its_passphrase_once_for_many(
    run: Run, locked: Path
) -> None:
    Path("e.png").write_bytes(Path("d.png").read_bytes())
    many = ("decrypt", "-q", "--priv", "q.png", "d.png", "e.png", "-d", "out")
    assert with_words(run, "sesame\n", *many) == Result(0, b"", "")
    assert sorted(os.listdir("out")) == ["d.png", "e.png"]
    signed = with_words(run, "sesame", "sign", "--priv", "q.png", "composite.png")
    assert (signed.status, signed.err) == (0, "")
    letter = ("encrypt", "--pub", "pub.png", "--sign", "q.png", "composite.png")
    assert with_words(run, "sesame\r\n", *letter).status == 0
    facts = json.loads(run("inspect", "--json", "q.png").out)
    assert facts["kind"] == "private key with a passphrase"
    public = json.loads(run("inspect", "--json", "p.png").out)
    assert facts["fingerprint"] == public["fingerprint"]


def test_a_wrong_passphrase_and_none_are_one_line(run: Run, locked: Path) -> None:
    decrypt = ("decrypt", "--priv", "q.png", "d.png")
    wrong = with_words(run, "Sesame\n", *decrypt)
    words = "egan: error: that is not the passphrase of q.png\n"
    assert wrong == Result(1, b"", words)
    none = with_words(run, "", *decrypt)
    assert (none.status, none.out) == (1, b"")
    assert "gave no passphrase of q.png" in none.err
    closed = run(*decrypt, "--passphrase-fd", 99)
    assert closed.status == 2 and "file descriptor 99" in closed.err


def test_a_passphrase_is_changed_and_removed_in_a_new_file(
    run: Run, locked: Path
) -> None:
    change = ("passphrase", "-q", "q.png", "-o", "again.png")
    assert with_words(run, "sesame\nopen\n", *change).status == 0
    assert Path("again.png").stat().st_mode & 0o777 == 0o600
    remove = ("passphrase", "-q", "again.png", "--remove", "-o", "open.png")
    assert with_words(run, "sesame\n", *remove).status == 1
    assert not Path("open.png").exists()
    assert with_words(run, "open\n", *remove).status == 0
    key = passphrase.unlock(pixels("q.png"), "sesame", "q.png")
    assert np.array_equal(pixels("open.png"), key.picture)
    taken = with_words(run, "sesame\nopen\n", *change)
    assert (taken.status, taken.out) == (1, b"")
    assert "a private key is never overwritten" in taken.err


def test_a_passphrase_is_typed_unseen_and_twice(here: Path) -> None:
    """On a terminal of its own; the two must be the same."""
    program = (
        "from egan.crypto import passphrase\n"
        "passphrase.lock.__defaults__ = (4,)\n"
        "import sys; from egan.__main__ import main; main()"
    )
    command = ["passphrase", "priv.png", "-o", "new.png"]
    for second, status in (("other", 1), ("words", 0)):
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(sys.executable, [sys.executable, "-c", program, *command])
        seen = read_until(terminal, b"new passphrase: ")
        os.write(terminal, b"words\n")
        seen += read_until(terminal, b"once more: ")
        os.write(terminal, f"{second}\n".encode())
        seen += read_until(terminal, None)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status, seen
        assert b"words" not in seen.replace(b"passwords", b"")
        assert (b"the two passphrases differ" in seen) == bool(status)
        assert Path("new.png").exists() == (not status)
    assert passphrase.is_locked(pixels("new.png"), "new.png")


def read_until(terminal: int, end: bytes | None) -> bytes:
    seen = b""
    while end is None or not seen.endswith(end):
        try:
            part = os.read(terminal, 1024)
        except OSError:  # the other side is closed
            return seen
        if not part:
            return seen
        seen += part
    return seen


def test_without_a_terminal_nothing_waits_for_a_passphrase(
    here: Path, locked: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "egan", "decrypt", "--priv", "q.png", "d.png"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "no terminal to ask for the passphrase of q.png" in done.stderr
    assert "--passphrase-fd" in done.stderr


def test_control_characters_of_a_note_do_not_reach_a_terminal(
    run: Run, here: Path
) -> None:
    note = b"one\n\x1b[2Jtwo\xff\n"
    Path("note").write_bytes(note)
    Image.fromarray(np.full((128, 128, 3), 90, np.uint8)).save("photo.png")
    encrypt = ("encrypt", "--pub", "pub.png", "--note-file", "note", "photo.png")
    assert run(*encrypt, "-o", "d.png").status == 0
    decrypt = ("decrypt", "-q", "--priv", "priv.png", "--note", "d.png")
    assert run(*decrypt).out == note
    assert run(*decrypt, terminals="out").out == b"one\n\\x1b[2Jtwo\\xff\n"


def test_the_api_knows_receivers_notes_and_passphrases(
    run: Run, here: Path, weights: Path
) -> None:
    gan = api.EncryptGAN.load(weights)
    photo = np.full((90, 128, 3), 90, np.uint8)
    sender = api.private_key("priv2.png")
    made = gan.encrypt(
        photo, ["pub.png", "pub2.png"], sender, note="hello", comment="für euch"
    )
    for name in ("priv.png", "priv2.png"):
        opened = gan.decrypt(made, name)
        assert opened.picture.size == (128, 90)
        assert (opened.note, opened.comment) == (b"hello", "für euch")
        assert opened.sender == sender.fingerprint
        assert opened.seconds is not None and opened.seconds > 1_700_000_000
    private, public = gan.keygen("face.png", "flower.png")
    Path("mine").mkdir()
    api.save_keys(private, public, "mine", passphrase="words")
    with pytest.raises(EganError, match="has a passphrase, which was not given"):
        api.private_key("mine/priv.png")
    assert api.unlock("mine/priv.png", "words").fingerprint == public.fingerprint
    with pytest.raises(EganError, match="that is not the passphrase"):
        api.unlock("mine/priv.png", "other")
