"""`egan bench --compare`: two tiny methods trained alike, measured, and gone on with."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from conftest import Run

from egan.bench import compare, frechet
from egan.bench.compare import curves_csv
from egan.bench.data import load_smoke, split
from egan.train import presets

TINY = {
    "paper": (
        "egan",
        "paper",
        ("resnet_width=4", "resnet_blocks=1", "key_width=4", "discriminator_width=4"),
    ),
    "baluja": ("baluja", "published", ("width=3", "depth=2")),
}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "CONTENDERS", TINY)
    monkeypatch.setattr(compare, "POINTS", 2)
    monkeypatch.setattr(compare, "POINT_PAIRS", 2)
    monkeypatch.setattr(frechet, "RESAMPLES", 5)
    model, train = presets.PRESETS["paper"]
    quick = (model, {**train, "key_steps": 2})
    monkeypatch.setitem(presets.PRESETS, "paper", quick)


def command(*more: object) -> tuple[object, ...]:
    return (
        *("bench", "--compare", "all", "--size", 64, "--limit", 16, "--seed", 3),
        *("--metrics", "psnr,kid", *more),
    )


def test_methods_are_trained_alike_and_an_interrupted_run_goes_on(
    run: Run, here: Path
) -> None:
    first = run(*command("--budget", "4steps", "--methods", "baluja", "--json"))
    assert first.status == 0, first.err
    (alone,) = json.loads(first.out).values()
    weights = (here / "all/baluja/weights.safetensors").read_bytes()

    both = run(*command("--budget", "4steps", "--json"))
    assert both.status == 0, both.err
    found = json.loads(both.out)
    assert list(found) == ["paper", "baluja"]
    # What was trained is not trained again.
    assert (here / "all/baluja/weights.safetensors").read_bytes() == weights
    assert found["baluja"]["message"] == alone["message"]
    for name in found:
        training = found[name]["training"]
        assert [point["pairs"] for point in training["curve"]] == [
            training["pairs"] // 2,
            training["pairs"],
        ]
        assert {"psnr", "kid"} <= set(training["curve"][0])
    assert "wrong_psnr" in found["paper"]["training"]["curve"][0]
    # Held out of 16.
    assert found["paper"]["n"] == found["baluja"]["n"] == 4

    folder = here / "all"
    assert (folder / "figure-3-methods.png").stat().st_size > 1000
    assert "<table" in (folder / "report.html").read_text()
    rows = list(csv.DictReader((folder / "curves.csv").open()))
    assert {"held out", "training"} == {row["of"] for row in rows}
    assert {row["figure"] for row in rows} >= {"psnr", "kid", "secret", "critics"}
    assert curves_csv(folder, ["paper"]).count("\n") < len(rows)

    other = run(*command("--budget", "5steps"))
    assert other.status == 2 and "another budget" in other.err


def test_a_comparison_says_what_it_cannot_do(run: Run, here: Path) -> None:
    few = run("bench", "--compare", "few", "--size", 64, "--limit", 8)
    assert few.status == 1 and "too few" in few.err
    own = run("bench", "--compare", "own", "--weights", "mine.safetensors")
    assert own.status == 2 and "--weights" in own.err
    (here / "file").write_text("")
    assert run(*command()[:2], "file").status == 2


def test_held_out_pictures_are_not_trained_on() -> None:
    sets = load_smoke(64, 8, 0)
    training, held_out = split(sets, 2)
    assert len(training.covers) == 6 and len(held_out.covers) == 2
    assert training.cover_names + held_out.cover_names == sets.cover_names
    for mine, theirs, both in zip(
        training.messages, held_out.messages, sets.messages, strict=True
    ):
        assert len(mine) == 6 and len(theirs) == 2 and len(both) == 8


def test_a_comparison_without_its_judge_ends_before_it_begins(
    run: Run, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    done = run(*command())
    assert done.status == 1 and "egan[bench]" in done.err
    assert not (here / "all").exists()


def test_a_damaged_curve_is_named(run: Run, here: Path) -> None:
    curve = here / "all/baluja/curve.jsonl"
    curve.parent.mkdir(parents=True)
    curve.write_text('{"pairs": 1, "psn')
    done = run(*command("--budget", "4steps", "--methods", "baluja"))
    assert done.status == 1 and f"{curve.relative_to(here)} is damaged" in done.err
