"""Signed pictures, signed disguises, and every way to pass for a signer without the private key."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, pixels, smooth
from PIL import Image

from egan.bench import card
from egan.bench import signing as calibrate
from egan.core.encryptgan import EncryptGANNetworks
from egan.core.options import ModelOptions
from egan.crypto import header, keys

RNG = np.random.default_rng(21)
VERIFY = ("verify", "--pub", "pub.png", "--threshold", 0.1)


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture
def signed(run: Run, here: Path) -> Path:
    """The current folder, with secret.png and signed.png."""
    Image.fromarray(smooth(64, 64, 7)).save("secret.png")
    Image.fromarray(smooth(64, 64, 8)).save("other.png")
    assert run("sign", "secret.png", "--priv", "priv.png", "-o", "signed.png").err == ""
    return here


# Sessions


def test_a_wrong_signer_and_an_altered_picture_are_refused(
    run: Run, signed: Path
) -> None:
    wrong = run("verify", "signed.png", "--pub", "pub2.png", "--secret", "secret.png")
    assert wrong.status == 1
    assert "signed.png is signed by another key" in wrong.err
    altered = pixels("signed.png")
    altered[50, 50, 0] ^= 1
    Image.fromarray(altered).save("altered.png")
    damaged = run(*VERIFY, "--secret", "secret.png", "altered.png")
    assert damaged.status == 1
    assert "altered.png is a signed picture that was altered" in damaged.err
    found = header.find(pixels("signed.png"))
    assert found is not None
    Image.fromarray(header.embed(altered, *found)).save("mended.png")
    forged = run(*VERIFY, "--secret", "secret.png", "mended.png")
    assert (forged.status, forged.out) == (1, b"")
    assert "mended.png: the signature is not valid" in forged.err
    assert run("inspect", "mended.png").status == 1


# Sign and encrypt


def test_published_pictures_leave_the_private_key_its_randomness(
    run: Run, here: Path
) -> None:
    key = keys.read_private(pixels("priv.png"), "priv.png")
    before = key.picture.astype(int)
    # half of the samples could be one level up or down, and the networks would see the same
    same_up, same_down = ((before + step) // 4 == before // 4 for step in (1, -1))
    assert (same_up & same_down).mean() > 0.3
    assert set(np.unique(key.image % 4)) == {2}
    assert np.abs(key.image.astype(int) - before).max() <= 2


# Family paper, weights without a threshold, calibration


def test_the_threshold_lies_between_or_where_the_errors_meet() -> None:
    assert calibrate.choose_threshold(
        np.array([0.01, 0.04]), np.array([0.16, 0.5])
    ) == pytest.approx(0.08)
    mixed = calibrate.choose_threshold(
        np.array([0.1, 0.2, 0.3, 0.6]), np.array([0.25, 0.5, 0.6, 0.7])
    )
    assert mixed == pytest.approx(0.3)


def test_scores_are_those_of_verify() -> None:
    one, two = [noise() for _ in range(3)], [noise() for _ in range(3)]
    table = calibrate.all_scores(one, two)
    from egan.pictures.metrics import rmse

    assert table == pytest.approx(
        np.array([[rmse(a, b) for b in two] for a in one]), abs=1e-5
    )
    assert rmse(np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)) == 1.0


def test_the_match_of_the_family_paper_is_measured_too(run: Run, here: Path) -> None:
    options = ModelOptions(
        family="paper", image_size=64, key_width=4, resnet_width=4, resnet_blocks=1
    )
    EncryptGANNetworks(options).save("paper.safetensors", {})
    for name, first in (("x", 50), ("y", 70)):
        Path(name).mkdir()
        for seed in range(8):
            Image.fromarray(smooth(64, 64, first + seed)).save(f"{name}/{seed}.png")
    done = run(
        "calibrate",
        "--weights",
        "paper.safetensors",
        "--x",
        "x",
        "--y",
        "y",
        "--forgeries",
        0,
        "--json",
    )
    assert done.status == 0, done.err
    assert "splice" not in done.out.decode(), "there is no signature to move"


def test_calibrate_writes_weights_that_verify_uses(
    run: Run, here: Path, weights: Path
) -> None:
    for name, first in (("x", 50), ("y", 70)):
        Path(name).mkdir()
        for seed in range(12):
            Image.fromarray(smooth(64, 64, first + seed)).save(f"{name}/{seed}.png")
    done = run(
        "calibrate",
        "--x",
        "x",
        "--y",
        "y",
        "--forgeries",
        1,
        "--json",
        "-o",
        "new.safetensors",
    )
    assert done.status == 0, done.err
    figures = json.loads(done.out)
    assert figures["false_accept"]["count"] == figures["false_reject"]["count"] == 0
    assert figures["near_copies"]["mirrored"] == 0
    tries = figures["forgeries"]
    replay = tries.pop("the signer's own, shown again (replay)")
    assert replay["verify"] == replay["match"] == replay["of"] > 0
    assert (
        tries["signed with the forger's own private key"]["match"] > 0
    )  # why the match alone proves nothing
    assert {found["verify"] for found in tries.values()} == {0}
    shown = run("calibrate", "--x", "x", "--y", "y", "--forgeries", 0)
    assert b"false accepts: 0 of " in shown.out and b"replay" in shown.out
    around = (
        f"# Card\n\n{card.BEGIN}\n",
        "old figures\n",
        f"{card.END}\n\nThe rest.\n",
    )
    Path("card.md").write_text("".join(around))
    for _ in range(2):
        kept = ("calibrate", "--x", "x", "--y", "y", "--forgeries", 0, "--card")
        assert run(*kept, "card.md").status == 0
        text = Path("card.md").read_text()
        assert text.startswith(around[0]) and text.endswith(around[2])
        assert "old figures" not in text and "one sample changed" in text
    Path("card.md").write_text(around[0])
    refused = run(*kept, "card.md")
    assert refused.status == 2 and "has no place for the figures" in refused.err

    new = ("--weights", "new.safetensors")
    facts = json.loads(run("inspect", "--json", "new.safetensors").out)
    assert facts["training"]["signing"]["threshold"] == figures["threshold"]
    assert (
        run(
            "keygen",
            *new,
            "--size",
            64,
            "face.png",
            "flower.png",
            "--pub",
            "a.png",
            "--priv",
            "b.png",
        ).status
        == 0
    )
    run("sign", *new, "--priv", "b.png", "y/3.png", "-o", "s.png")
    verified = run("verify", *new, "--pub", "a.png", "--secret", "y/3.png", "s.png")
    assert (verified.status, verified.err) == (0, "")
    assert f"threshold: {figures['threshold']:.4f}".encode() in verified.out


def test_the_model_card_has_a_place_for_the_figures() -> None:
    text = card.read_card(str(Path(__file__).parents[2] / "weights/README.md"))
    block = text.partition(card.BEGIN)[2].partition(card.END)[0].strip("\n")
    assert "| false accepts |" in block
    assert card.with_block(text, block) == text
