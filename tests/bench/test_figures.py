"""`egan bench --figures`, `--report`, `--payloads` and `--ablation`: sessions on tiny
weights, and answers known in advance.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import leaks
import numpy as np
import pytest
import torch
from conftest import Run
from PIL import Image

from egan.bench import ablation
from egan.bench.attacks.scene import Scene, Scheme
from egan.bench.data import load_smoke
from egan.bench.figures.plot import Sweep
from egan.bench.figures.sweeps import key_noise
from egan.bench.payloads import (
    GLYPHS,
    LETTERS,
    glyph,
    measure_payloads,
    modules,
    read_glyphs,
)
from egan.core.load import load_model
from egan.pictures.sheet import GAP, LABEL, TITLE, sheet
from egan.train import presets

FIGURES = {
    "figure-3-methods.png",
    "figure-4a-activations.png",
    "figure-4b-wrong-keys.png",
    "figure-4c-key-noise.png",
    "figure-4c-key-noise.csv",
    "figure-4c-key-noise-key.csv",
    "figure-4c-key-noise-plot.png",
    "figure-4d-disguise-noise.png",
    "figure-4d-disguise-noise.csv",
    "figure-4d-disguise-noise-plot.png",
    "figure-4e-positions.png",
    "figure-6-large-messages.png",
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def scene(weights: Path) -> Scene:
    return Scene.make(Scheme(load_model(weights)), load_smoke(64, 3, 0), 0)


class Identity(Scheme):
    """A channel that changes nothing, whatever the key."""

    def disguise(self, composites, public, streams, boxes):  # type: ignore[no-untyped-def]
        return composites.copy()

    def reveal(self, disguises, keys, streams):  # type: ignore[no-untyped-def]
        return disguises.copy()


@pytest.fixture
def private_keys(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """Every private key image that is made while a test runs."""
    found: list[np.ndarray] = []
    real = Scene.private.func

    def private(scene: Scene) -> np.ndarray:
        found.extend(real(scene))
        return real(scene)

    watched = cached_property(private)
    watched.__set_name__(Scene, "private")
    monkeypatch.setattr(Scene, "private", watched)
    return found


def test_figures_and_report(
    run: Run, here: Path, private_keys: list[np.ndarray]
) -> None:
    command = (
        "bench",
        "--limit",
        3,
        "--figures",
        "out",
        "--report",
        "page.html",
        "--metrics",
        "psnr,ssim,blind",
    )
    done = run(*command)
    assert done.status == 0 and "right key" in done.out.decode(), done.err
    assert {p.name for p in (here / "out").iterdir()} == FIGURES
    for path in (here / "out").glob("*.png"):
        with Image.open(path) as im:
            im.load()
            assert min(im.size) > 200, path
    rows = list(csv.DictReader((here / "out" / "figure-4c-key-noise.csv").open()))
    known = [
        float(r["message PSNR, dB"]) for r in rows if r["curve"] == "keystream known"
    ]
    thief = [
        float(r["message PSNR, dB"]) for r in rows if r["curve"] == "as egan decrypts"
    ]
    # One level of noise is another key.
    assert known[0] == thief[0] and max(thief[1:]) < known[0] - 10
    page = (here / "page.html").read_text()
    assert (
        page.startswith("<!doctype html>") and page.count("data:image/png;base64,") == 9
    )
    assert (
        'src="http' not in page
        and "href=" not in page
        and "17.60" in page
        and "@media print" in page
    )
    assert private_keys
    written = [here / "page.html", *(here / "out").iterdir()]
    assert leaks.showing(written, private_keys) == []
    again = run(*command)
    assert again.status == 1 and "--force" in again.err
    (here / "file").write_text("")
    assert run("bench", "--limit", 3, "--figures", "file").status == 2


def test_a_key_s_noise_does_not_reach_a_decode_whose_keystream_is_known(
    scene: Scene,
) -> None:
    _, sweeps = key_noise(scene)
    for sweep in sweeps:
        assert sweep.x[0] == 0 and sweep.floor is not None
        assert (
            sweep.curves["as egan decrypts"][-1][0]
            < sweep.floor
            < sweep.curves["keystream known"][0][0]
        )


def test_a_sheet_has_room_for_every_picture() -> None:
    red = np.full((32, 16, 3), (200, 0, 0), np.uint8)
    made = sheet(
        "title",
        [[("a", red), ("a very long label that cannot fit", red)], [("b", red)]],
        tile=64,
    )
    assert made.shape == (TITLE + 2 * (LABEL + 64 + GAP), GAP + 2 * (64 + GAP), 3)
    assert (made[TITLE + LABEL + 10, GAP + 10] == (200, 0, 0)).all()


def test_sweep_data_name_their_columns() -> None:
    text = (
        Sweep("t", "sigma", "dB", [0.0, 1.0], {"c": [(3, 2, 4), (1, 0, 2)]}, 0.5)
        .csv()
        .splitlines()
    )
    assert (
        text[0] == "curve,sigma,dB,95% low,95% high"
        and text[1] == "c,0.0,3,2,4"
        and text[-1].startswith("blind")
    )


def test_payloads_through_a_perfect_channel(scene: Scene) -> None:
    import dataclasses

    found = measure_payloads(
        dataclasses.replace(scene, scheme=Identity(scene.scheme.model)), 3
    )
    assert not found["notes"] and {r["side"] for r in found["qr"]} == {48, 64}
    assert all(
        r["read"] == r["read_before"] == 1 and r["bit_error"] == 0 for r in found["qr"]
    )
    assert all(r["read"] == 1 and r["character_error"] == 0 for r in found["text"])


def test_nothing_is_read_from_grey() -> None:
    glyphs = np.stack([glyph(c, GLYPHS[2]) for c in LETTERS])
    grey = np.full((glyphs.shape[1] * 2 + 8, glyphs.shape[2] * 4 + 8, 3), 128, np.uint8)
    assert len(np.unique(read_glyphs(grey, glyphs, (2, 4)))) == 1
    assert modules(np.zeros((50, 50, 3), np.uint8), 25).all()


def test_payloads_without_their_packages_say_how_to_get_them(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "zxingcpp", None)
    done = run("bench", "--limit", 2, "--payloads", "--json")
    (figures,) = json.loads(done.out).values()
    assert done.status == 0 and ".[payloads]'" in figures["payloads"]["notes"]["qr"]
    assert figures["payloads"]["text"]


def test_ablation_trains_each_set_of_layers(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ablation, "SETS", ((3, 5, 6), (1, 2, 3)))
    model, train = presets.PRESETS[ablation.PRESET]
    monkeypatch.setitem(
        presets.PRESETS, ablation.PRESET, (model, {**train, "key_steps": 10})
    )
    done = run(
        "bench",
        "--ablation",
        "key-layers",
        "--budget",
        "2steps",
        "--limit",
        16,
        "--json",
        "-q",
    )
    assert done.status == 0, done.err
    found = json.loads(done.out)["key-layers"]
    assert list(found) == ["3,5,6", "1,2,3"] and all(
        f["n"] == 8 and f["training"].startswith("2 steps") for f in found.values()
    )
    assert found["3,5,6"]["key_mse"] != found["1,2,3"]["key_mse"]
    few = run("bench", "--ablation", "key-layers", "--limit", 4)
    assert few.status == 1 and "too few" in few.err
    unknown = run("bench", "--ablation", "colours")
    assert unknown.status == 2 and "key-layers" in unknown.err
