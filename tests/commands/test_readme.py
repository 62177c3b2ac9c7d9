"""The sessions of the README, run as they stand there, with a tiny model in the place of the weights that ship."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, pixels, psnr, smooth
from PIL import Image

README = Path(__file__).resolve().parents[2] / "README.md"
BROUGHT = {
    "face.jpg": 128,
    "rose.jpg": 128,
    "cover.jpg": 300,
    "note.png": 48,
    "one.png": 32,
    "two.png": 40,
    "secret.png": 64,
    "holiday.jpg": 200,
}


def session(section: str) -> list[str]:
    """The command lines of a section, without their comments."""
    text = README.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("    ")]
    return [line.partition(" # ")[0].strip() for line in lines]


def typed(line: str, run: Run) -> None:
    """Run a line of pipes, of which the last may go to a file. Fails where a command does."""
    commands, _, target = line.partition(" > ")
    data = b""
    for command in commands.split(" | "):
        name, *words = shlex.split(command)
        assert name == "egan", line
        done = run(*words, stdin=data)
        assert done.status == 0, f"{line}: {done.err}"
        data = done.out
    if target:
        Path(target).write_bytes(data)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: Path) -> Path:
    """A folder with what the reader of the README brings, and with Ann's keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EGAN_WEIGHTS", str(weights))
    for seed, (name, side) in enumerate(BROUGHT.items()):
        Image.fromarray(smooth(side, side, seed)).save(name)
    return tmp_path


def test_five_minutes_of_the_readme(run: Run, desk: Path) -> None:
    before = {name: Path(name).read_bytes() for name in BROUGHT}
    for line in session("Five minutes"):
        typed(line, run)
    assert pixels("found.png").shape == pixels("note.png").shape
    assert psnr(pixels("recovered.png"), pixels("composite.png")) > 22

    robust, found = session("What you can hide, and in what")
    typed(robust, run)
    Image.open("robust.png").save("what-arrived.jpg", quality=75)
    typed(found, run)
    assert pixels("copy.png").shape == pixels("note.png").shape

    typed("egan keygen cover.jpg rose.jpg --pub ann-pub.png --priv ann-priv.png", run)
    for section in ("Signing", "Several messages"):
        for line in session(section):
            typed(line, run)
    for name, size in (("all-1.png", 32), ("all-2.png", 40)):
        assert pixels(name).shape == (size, size, 3)
    assert np.array_equal(pixels("second.png"), pixels("all-2.png"))
    assert {name: Path(name).read_bytes() for name in BROUGHT} == before


def test_the_readme_can_be_read_in_five_minutes() -> None:
    assert len(README.read_bytes()) <= 12_000
