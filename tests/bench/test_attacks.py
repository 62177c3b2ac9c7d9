"""`egan bench --attacks`: every attack finds the leak that is planted for it, breaks
what is broken, and holds on egan.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run
from torch import Tensor, nn

from egan.bench.attacks import channel, forgery, learned, run
from egan.bench.attacks.run import ATTACKS, check_controls, run_attacks
from egan.bench.attacks.scene import (
    Budget,
    Factory,
    LockOff,
    Marked,
    SameStream,
    Scene,
    Scheme,
)
from egan.bench.attacks.verdict import (
    AttackVerdict,
    Score,
    above,
    area,
    floors,
    judge_psnr,
)
from egan.bench.data import PictureSets, load_smoke
from egan.bench.options import parse_budget
from egan.core.encryptgan import EncryptGANNetworks
from egan.core.load import load_model
from egan.core.options import ModelOptions
from egan.errors import EganError
from egan.verbs.capsules import Robust

# All begin early and in one process, which makes what they share once.
pytestmark = pytest.mark.long

BUDGET = Budget(steps=24, keys=4, batch=12)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """One thread, since the pictures are tiny, and fewer of them to judge by."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(forgery, "TRIES", 2)
        patched.setattr(learned, "JUDGED", 16)
        patched.setattr(learned, "TESTS", 48)
        patched.setattr(learned, "START", 32)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def sets() -> PictureSets:
    return load_smoke(64, 10, 1)


@pytest.fixture(scope="module")
def model(weights: Path) -> EncryptGANNetworks:
    return load_model(weights)


class Veil(nn.Module):
    """A working channel as the paper's: a public, smooth function of picture and key
    image, and its inverse.
    """

    def __init__(self, inverse: bool) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(0.1), requires_grad=False)
        self.inverse = inverse

    def forward(self, both: Tensor) -> Tensor:
        picture, key = both[:, :3], both[:, 3:]
        if self.inverse:
            return -(picture - 0.3) / 0.6 + 0 * self.strength * key
        return 0.3 - 0.6 * picture + 0 * key


@pytest.fixture(scope="module")
def paper() -> EncryptGANNetworks:
    torch.manual_seed(0)
    options = ModelOptions(
        family="paper", image_size=64, key_width=4, resnet_width=4, resnet_blocks=1
    )
    made = EncryptGANNetworks(options)
    made.F, made.G = Veil(False), Veil(True)
    return made.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def verdicts(model: EncryptGANNetworks, sets: PictureSets) -> dict[int, AttackVerdict]:
    return {v.number: v for v in run_attacks(model, sets, BUDGET, 0)}


def test_every_attack_finds_its_planted_leak(
    verdicts: dict[int, AttackVerdict],
) -> None:
    assert sorted(verdicts) == sorted(ATTACKS) == list(range(1, 10))
    assert all(v.control.found for v in verdicts.values()), [
        v.line() for v in verdicts.values()
    ]
    check_controls({"egan": list(verdicts.values())})


@pytest.mark.parametrize("number", range(1, 9))
def test_nothing_beats_the_floor_on_the_locked_family(
    verdicts: dict[int, AttackVerdict], number: int
) -> None:
    assert verdicts[number].score.finding == "held", verdicts[number].line()
    assert verdicts[number].score.value < verdicts[number].ceiling


def test_a_recomputed_key_opens_nothing_unless_keygen_left_out_the_random_levels(
    verdicts: dict[int, AttackVerdict],
) -> None:
    v = verdicts[1]
    assert (
        v.score.details["envelopes_opened"] == "0 of 10"
        and v.control.details["envelopes_opened"] == "10 of 10"
    )
    # The header takes nearly all least bits of so small a picture.
    assert v.control.value == pytest.approx(v.ceiling, abs=1)


def test_a_lossy_channel_and_a_lossless_one(verdicts: dict[int, AttackVerdict]) -> None:
    details = verdicts[9].score.details
    assert details["PNG"] == pytest.approx(verdicts[9].ceiling)
    assert (
        details["noise sigma"]["1"]
        > details["noise sigma"]["4"]
        > details["noise sigma"]["16"]
    )
    assert (
        details["PNG"]
        > details["JPEG quality"]["95"] + 3
        > details["JPEG quality"]["50"] + 6
    )
    # Without fine chroma no payload is left.
    assert max(details["JPEG 4:2:0 quality"].values()) < details["PNG"] - 10


def test_capsules_survive_what_the_payload_does_not(weights: Path) -> None:
    scene = Scene.make(Scheme(load_model(weights)), load_smoke(192, 2, 1), 0)
    found = channel.capsules_after(scene, Robust.JPEG)
    assert found["PNG"]["opens"] == found["JPEG 75"]["opens"] == "2 of 2"
    assert found["JPEG 75"]["psnr"] == found["PNG"]["psnr"] > 15
    assert found["WebP 80"]["opens"] == "0 of 2"
    assert found["WebP 80"]["psnr"] is None


def test_the_paper_s_scheme_is_broken(
    paper: EncryptGANNetworks, sets: PictureSets
) -> None:
    """The key comes from the public cover, and a decoder learns F's inverse from public
    inputs.
    """
    found = {
        v.number: v for v in run_attacks(paper, sets, BUDGET, 0, (1, 2, 3, 4, 5, 8))
    }
    assert all(v.control.found for v in found.values()), [
        v.line() for v in found.values()
    ]
    assert {number: v.score.finding for number, v in found.items()} == dict.fromkeys(
        found, "broken"
    )
    assert found[1].score.value == pytest.approx(found[1].ceiling, abs=0.5)
    assert found[3].score.value > found[3].score.floor + 10


def test_an_attack_that_misses_its_leak_fails_the_command(
    run: Run, weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    # The leak is planted, but it is not there.
    monkeypatch.setattr(Marked, "levels", 0)
    done = run(
        "bench",
        "--weights",
        weights,
        "--limit",
        6,
        "--attack",
        6,
        "--budget",
        "2steps",
        "--json",
    )
    assert (
        done.status == 1
        and "planted leak was not found by attack 6" in done.err
        and "--budget" in done.err
    )
    # What was found is printed all the same.
    (attack,) = json.loads(done.out)["egan"]["attacks"]
    assert attack["number"] == 6 and attack["control"]["finding"] == "held"


def test_an_attack_that_there_is_not(run: Run, weights: Path) -> None:
    done = run("bench", "--weights", weights, "--attack", 10)
    assert (done.status, done.err) == (
        2,
        "egan: error: there is no attack 10\negan: hint: they are numbered from 1 to 9\n",
    )


def test_too_few_pairs_and_unknown_budgets(model: EncryptGANNetworks) -> None:
    with pytest.raises(EganError, match="too few"):
        run.run_attacks(model, load_smoke(64, 4, 0), BUDGET, 0)
    assert parse_budget("300steps") == (300, None) and parse_budget("1.5s") == (
        None,
        1.5,
    )
    for wrong in ("", "0s", "-3", "1.5steps", "2h"):
        with pytest.raises(EganError) as caught:
            parse_budget(wrong)
        assert caught.value.status == 2


def test_a_budget_in_steps_gives_the_same_verdict_again(
    model: EncryptGANNetworks, sets: PictureSets
) -> None:
    first, second = (
        run_attacks(model, sets, Budget(steps=3, batch=b), 5, (6,))[0] for b in (12, 5)
    )
    assert first.score.value == pytest.approx(second.score.value, abs=1e-4)


def test_planted_schemes_leak_what_they_say(
    model: EncryptGANNetworks, sets: PictureSets
) -> None:
    scene = Scene.make(Scheme(model), sets, 0)
    assert scene.streams is not None and abs(scene.streams.mean() - 127.5) < 1
    assert not scene.with_leak(LockOff).streams.any()  # type: ignore[union-attr]
    same = scene.with_leak(SameStream).streams
    assert same is not None and (same == same[:1]).all()
    difference = scene.with_leak(Marked).disguises.astype(int) - scene.disguises
    outside = difference.copy()
    for picture, box in zip(outside, scene.pairs.boxes, strict=True):
        box.cut(picture)[:] = 0
    assert difference.max() == Marked.levels and not outside.any()


def test_attackers_never_train_on_what_the_judge_shows(
    model: EncryptGANNetworks, sets: PictureSets
) -> None:
    scene = Scene.make(Scheme(model), sets, 0)
    mine, judge = (
        Factory(scene, held, np.random.default_rng(0)).indices for held in (False, True)
    )
    assert not set(mine) & set(judge) and len(mine) + len(judge) == 10


def test_known_areas_and_differences() -> None:
    assert (
        area(np.array([3, 4]), np.array([1, 2])) == 1
        and area(np.array([1, 1]), np.array([1, 1])) == 0.5
    )
    assert area(np.array([0]), np.array([1, 2])) == 0
    random = np.random.default_rng(0)
    assert above(list(random.normal(1, 0.5, 30))) and not above(
        list(random.normal(0, 0.5, 30))
    )
    assert not above([0.0, 0.0, 0.0]) and above([1.0, 1.0, 1.0])


def test_one_picture_that_is_read_breaks_a_scheme(
    model: EncryptGANNetworks, sets: PictureSets
) -> None:
    scene = Scene.make(Scheme(model), sets, 0)
    floor = np.array(floors(scene))
    for best, finding in ((6.5, "broken"), (5.5, "held")):
        mine = floor + random_like(floor) - 8
        mine[3] = floor[3] + best
        score = judge_psnr(scene, list(mine), list(floor + random_like(floor, 1) - 8))
        assert score.finding == finding
        assert score.details["pictures_read"] == (finding == "broken")


def random_like(values: np.ndarray, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, len(values))


def test_a_line_says_all_of_a_verdict() -> None:
    score, control = (
        Score(8.0, [7.0, 9.0], 14.0, "held", 24),
        Score(30.0, [29.0, 31.0], 14.0, "broken", 24),
    )
    line = AttackVerdict(
        3, "a decoder", "dB", score, 31.5, control, "lock off", "60 s"
    ).line()
    for part in (
        "HELD",
        "8.00 dB (7.00 to 9.00, n 24)",
        "floor 14.00",
        "right key 31.50",
        "lock off",
        "found",
        "60 s",
    ):
        assert part in line


def test_a_scheme_that_reads_nothing_itself_holds_nothing() -> None:
    score = Score(11.0, [10.0, 12.0], 16.0, "held", 8)
    control = Score(15.0, [14.0, 16.0], 16.0, "leaks", 8)
    assert not AttackVerdict(
        3, "a decoder", "dB", score, 20.0, control, "lock off", "60 s"
    ).idle
    idle = AttackVerdict(3, "a decoder", "dB", score, 15.5, control, "lock off", "60 s")
    assert idle.idle
    assert "nothing to hold" in idle.line()
