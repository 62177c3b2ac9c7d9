"""No file that egan writes shows a private key sample for sample, but the key's own."""

from __future__ import annotations

import base64
from pathlib import Path

import leaks
import numpy as np
from conftest import Run, pixels
from PIL import Image


def test_a_key_that_is_shown_is_found(here: Path) -> None:
    """Planted: in a sheet, as a crop, mirrored, turned, enlarged, and in a page."""
    key = pixels("priv.png")
    sheet = np.zeros((200, 300, 3), np.uint8)
    sheet[90:154, 31:95] = key
    Image.fromarray(sheet).save("sheet.png")
    Image.fromarray(key[10:30, 7:47]).save("crop.png")
    Image.fromarray(np.ascontiguousarray(key[:, ::-1])).save("mirrored.png")
    Image.fromarray(np.ascontiguousarray(key.transpose(1, 0, 2))).save("turned.png")
    Image.fromarray(key).resize((160, 160), Image.Resampling.NEAREST).save("large.png")
    inside = base64.b64encode(Path("sheet.png").read_bytes()).decode()
    Path("page.html").write_text(f'<img src="data:image/png;base64,{inside}">')
    names = [
        "crop.png",
        "large.png",
        "mirrored.png",
        "page.html",
        "sheet.png",
        "turned.png",
    ]
    others = ["face.png", "pub.png", "priv2.png", "disguise.png", "composite.png"]
    assert leaks.showing([Path(name) for name in names + others], [key]) == names


def test_demo_shows_no_private_key(run: Run, here: Path) -> None:
    assert run("demo", "-d", "trip", "-q").status == 0
    keys = {path.name: pixels(path) for path in Path("trip").glob("*priv.png")}
    assert set(keys) == {"priv.png", "other-priv.png"}
    written = [path for path in Path("trip").iterdir() if path.name not in keys]
    assert len(written) > 10
    assert leaks.showing(written, keys.values()) == []
    # The public halves and the pictures are there, so the search does find what is there.
    sheet = Path("trip/contact-sheet.png")
    assert leaks.showing([sheet], [pixels("trip/disguise.png")]) == [sheet.name]
