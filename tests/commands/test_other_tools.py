"""The pipelines of the README with other people's tools, run where those are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, Shell, pixels, psnr
from PIL import Image


def needs(*tools: str, version: str = "") -> pytest.MarkDecorator:
    """Skips where a tool is missing, or is not what its name says: other programs are called convert, too."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if version and not missing:
        told = subprocess.run(
            [tools[0], "-version"], capture_output=True, text=True, check=False
        )
        missing = [] if version in told.stdout else [version]
    return pytest.mark.skipif(
        bool(missing), reason=f"not installed: {', '.join(missing)}"
    )


@needs("convert", version="ImageMagick 6")
def test_imagemagick_before_and_after(here: Path, shell: Shell) -> None:
    done = shell("""
        convert face.png -modulate 100,0 png:- |
            egan compose - message.png --cover-size 64 --at -4,-4 |
            egan encrypt --pub pub.png > flower-out.png &&
        egan decrypt --priv priv.png --message flower-out.png | convert - -resize 200% big.png
    """)
    assert (done.returncode, done.stderr) == (0, "")
    width, height = Image.open("message.png").size
    assert Image.open("big.png").size == (2 * width, 2 * height)


@needs("age", "age-keygen")
def test_a_private_key_kept_with_age(here: Path, shell: Shell) -> None:
    done = shell("""
        age-keygen -o identity.txt 2>/dev/null
        age -r "$(age-keygen -y identity.txt)" -o priv.png.age priv.png && rm priv.png
        age -d -i identity.txt priv.png.age | egan decrypt --priv - disguise.png > recovered.png
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert psnr(pixels("recovered.png"), pixels("composite.png")) > 25


@needs("qrencode")
def test_a_qr_code_as_message(here: Path, shell: Shell) -> None:
    done = shell("""
        qrencode -s 2 -m 2 -o code.png 'noon' &&
        egan compose face.png code.png --cover-size 64 | egan encrypt --pub pub.png > d.png &&
        egan decrypt --priv priv.png --message d.png > found.png
    """)
    assert (done.returncode, done.stderr) == (0, "")
    wanted, found = pixels("code.png"), pixels("found.png")
    modules = (wanted.reshape(-1, 3).mean(1) > 127) == (
        found.reshape(-1, 3).mean(1) > 127
    )
    assert wanted.shape == found.shape
    assert np.mean(modules) > 0.8  # untrained networks; chance gives 0.5


@needs("xargs", "find")
def test_xargs_starts_several_at_once(here: Path, shell: Shell) -> None:
    for name in ("in", "out"):
        Path(name).mkdir()
    for i in range(6):
        shutil.copy("composite.png", f"in/{i} .png")
    done = shell("""
        export -f egan
        find in -name '*.png' -print0 |
            xargs -0 -n 3 -P 2 bash -c 'egan encrypt --pub pub.png -d out "$@"' bash
    """)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(Path("out").iterdir())) == 6


@needs("xargs", "find")
def test_only_the_verified_are_moved(run: Run, here: Path, shell: Shell) -> None:
    for name in ("inbox", "good"):
        Path(name).mkdir()
    run("sign", "composite.png", "--priv", "priv.png", "-o", "inbox/a.png")
    run("sign", "composite.png", "--priv", "priv2.png", "-o", "inbox/b.png")
    done = shell("""
        for file in inbox/*.png; do
            egan verify --status --pub pub.png "$file" && mv "$file" good/
        done
        ls good inbox
    """)
    assert done.stdout.split() == ["good:", "a.png", "inbox:", "b.png"]
    assert done.stderr == ""
