"""The one walker of folders: which of their entries are pictures, and what is said of
the others.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import numpy as np
import pytest
from conftest import smooth
from PIL import Image

from egan.errors import EganError
from egan.pictures.sources import Found, Source, walk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "below").mkdir()
    for name in ("b.JPG", "a.png", "below/c.webp", "d.avif"):
        Image.fromarray(smooth(16, 16, 1)).save(tmp_path / name)
    return tmp_path


def names(found: Found) -> list[str]:
    return [source.stem for source in found.sources]


def test_pictures_are_found_by_the_one_list_of_endings(folder: Path) -> None:
    for name in ("e.eps", "f.txt", "g.h5", "h.ico", "png", "i.heic"):
        (folder / name).write_bytes(b"%!PS")
    found = walk(folder)
    assert names(found) == ["a", "b", "d", "below/c"]
    assert found.sources[0] == Source(str(folder / "a.png"), "a")
    assert not found.skipped


def test_hidden_ones_and_the_output_folder_are_left_out(folder: Path) -> None:
    for name in (".thumbnails", "out", "below/.cache"):
        (folder / name).mkdir()
        Image.fromarray(smooth(16, 16, 1)).save(folder / name / "x.png")
    Image.fromarray(smooth(16, 16, 1)).save(folder / ".hidden.png")
    assert names(walk(folder, folder / "out")) == ["a", "b", "d", "below/c"]


def test_pipes_sockets_and_devices_are_named_and_never_opened(folder: Path) -> None:
    os.mkfifo(folder / "pipe.png")
    os.symlink(folder / "pipe.png", folder / "link.png")
    os.symlink("/dev/zero", folder / "zero.png")
    listening = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    os.chdir(folder)
    try:
        listening.bind("socket.png")
    finally:
        os.chdir(before)
        listening.close()
    found = walk(folder)
    assert names(found) == ["a", "b", "d", "below/c"]
    said = sorted(str(error).removeprefix(f"{folder}/") for error in found.skipped)
    assert said == [
        "link.png is a named pipe, so it is skipped",
        "pipe.png is a named pipe, so it is skipped",
        "socket.png is a socket, so it is skipped",
        "zero.png is a device, so it is skipped",
    ]


def test_a_folder_that_cannot_be_listed_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def closed(path: str) -> object:
        if str(path).endswith("below"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    found = walk(folder)
    assert names(found) == ["a", "b", "d"]
    (error,) = found.skipped
    assert str(error) == f"cannot read the folder {folder / 'below'}: permission denied"


def test_a_broken_link_is_found_so_that_reading_it_tells_why(folder: Path) -> None:
    os.symlink(folder / "nowhere.png", folder / "broken.png")
    assert "broken" in names(walk(folder))


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("words")
    with pytest.raises(EganError, match="no pictures in the folder"):
        walk(tmp_path)
    with pytest.raises(EganError, match="no such folder"):
        walk(tmp_path / "missing")
    np.save(tmp_path / "y.npy", np.zeros(1))
    with pytest.raises(EganError, match="is no folder"):
        walk(tmp_path / "x.txt")
