"""Signed pictures, signed disguises, and every way to pass for a signer without the private key."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Run, pixels, psnr, smooth
from PIL import Image

from egan.bench import card
from egan.bench import signing as calibrate
from egan.core.encryptgan import EncryptGAN
from egan.core.options import ModelOptions
from egan.crypto import header, keys

RNG = np.random.default_rng(21)
VERIFY = ("verify", "--pub", "pub.png", "--threshold", 0.1)


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[keys.PrivateKey, keys.PublicKey]]:
    return [keys.make_pair(noise(), noise(), b"weights!") for _ in range(3)]


@pytest.fixture
def signed(run: Run, here: Path) -> Path:
    """The current folder, with secret.png and signed.png."""
    Image.fromarray(smooth(64, 64, 7)).save("secret.png")
    Image.fromarray(smooth(64, 64, 8)).save("other.png")
    assert run("sign", "secret.png", "--priv", "priv.png", "-o", "signed.png").err == ""
    return here


# Sessions


def test_sign_and_verify(run: Run, signed: Path) -> None:
    done = run(*VERIFY, "--secret", "secret.png", "signed.png")
    assert (done.status, done.err) == (0, "")
    lines = dict(line.split(": ") for line in done.out.decode().splitlines())
    assert lines["signature"] == "valid"
    assert (
        lines["fingerprint"]
        == json.loads(run("inspect", "--json", "pub.png").out)["fingerprint"]
    )
    assert float(lines["score"]) < float(lines["threshold"]) == 0.1
    assert lines["exact copy"] == "yes"
    assert run(*VERIFY, "--secret", "secret.png", "--exact", "signed.png").status == 0


def test_without_a_secret_the_decoded_image_is_written(run: Run, signed: Path) -> None:
    done = run("verify", "signed.png", "--pub", "pub.png")
    assert done.status == 0
    assert psnr(done.picture, pixels("secret.png")) > 22
    assert done.err.startswith("signature: valid\nfingerprint: ")
    assert (
        run("verify", "--pub", "pub.png", "-o", "decoded.png", "signed.png").status == 0
    )
    assert np.array_equal(pixels("decoded.png"), done.picture)
    assert run(
        "verify", "--pub", "pub.png", stdin=Path("signed.png").read_bytes()
    ).picture.shape == (
        64,
        64,
        3,
    )


def test_another_secret_is_refused(run: Run, signed: Path) -> None:
    done = run(*VERIFY, "--secret", "other.png", "signed.png")
    assert (done.status, done.out) == (1, b"")
    assert done.err.startswith(
        "egan: error: signed.png does not show this secret: score 0."
    )
    near = pixels("secret.png")
    near[0, 0] ^= 1
    Image.fromarray(near).save("near.png")
    close = run(*VERIFY, "--secret", "near.png", "signed.png")
    assert close.status == 0
    assert b"exact copy: no" in close.out
    exact = run(*VERIFY, "--secret", "near.png", "--exact", "signed.png")
    assert exact.status == 1
    assert "the signer signed another copy of it" in exact.err


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


def test_json_and_status(run: Run, signed: Path) -> None:
    good = run(*VERIFY, "--secret", "secret.png", "--json", "signed.png")
    facts = json.loads(good.out)
    assert (
        facts["verified"] is True
        and facts["signature"] == "valid"
        and facts["exact"] is True
    )
    assert 0 < facts["score"] < facts["threshold"] == 0.1
    bad = run(*VERIFY, "--secret", "other.png", "--json", "signed.png")
    facts = json.loads(bad.out)
    assert (bad.status, facts["verified"]) == (1, False)
    assert "does not show this secret" in facts["reason"]
    wrong = run("verify", "--pub", "pub2.png", "--json", "signed.png")
    assert (wrong.status, json.loads(wrong.out)["verified"]) == (1, False)
    for name, status in (("secret.png", 0), ("other.png", 1)):
        silent = run(*VERIFY, "--status", "--secret", name, "signed.png")
        assert (silent.status, silent.out, silent.err) == (status, b"", "")
    missing = run("verify", "--pub", "pub.png", "--status", "missing.png")
    assert (missing.status, missing.out) == (1, b"")
    assert "cannot read missing.png" in missing.err


def test_many_are_verified_with_a_line_each(run: Run, signed: Path) -> None:
    for name in ("secrets", "made", "back"):
        Path(name).mkdir()
    for seed in range(3):
        Image.fromarray(smooth(64, 64, 30 + seed)).save(f"secrets/{seed}.png")
    assert run("sign", "secrets", "--priv", "priv.png", "-d", "made").err == ""
    many = [f"made/{seed}.png" for seed in range(3)]
    good = run(*VERIFY, "--secret", "secrets", *many)
    assert (good.status, good.err) == (0, "")
    assert good.out.decode().splitlines() == [f"{name}: verified" for name in many]
    Path("made/1.png").write_bytes(Path("made/0.png").read_bytes())
    bad = run(*VERIFY, "--secret", "secrets", "-d", "back", "made")
    assert bad.status == 1
    assert bad.out.decode().splitlines()[1] == "made/1.png: NOT VERIFIED"
    assert bad.err.splitlines()[-1] == "egan: error: 1 of 3 files failed"
    assert sorted(os.listdir("back")) == ["0.png", "2.png"]
    lines = run(*VERIFY, "--secret", "secrets", "--json", *many).out.splitlines()
    assert [json.loads(line)["verified"] for line in lines] == [True, False, True]
    silent = run(*VERIFY, "--secret", "secrets", "--status", *many)
    assert (silent.status, silent.out, silent.err) == (1, b"", "")


def test_secrets_are_cut_and_resized_where_asked(run: Run, here: Path) -> None:
    Image.fromarray(smooth(100, 150, 3)).save("wide.png")
    refused = run("sign", "wide.png", "--priv", "priv.png")
    assert refused.status == 2
    assert "try --size 144x96" in refused.err
    assert (
        run(
            "sign",
            "wide.png",
            "--size",
            "96x64",
            "--priv",
            "priv.png",
            "-o",
            "signed.png",
        ).status
        == 0
    )
    assert run(*VERIFY, "--secret", "wide.png", "--exact", "signed.png").status == 0


def test_two_signatures_of_one_secret_differ(run: Run, signed: Path) -> None:
    again = run("sign", "secret.png", "--priv", "priv.png").picture
    assert np.abs(again.astype(int) - pixels("signed.png")).mean() > 3


def test_the_signer_is_shown_by_inspect(run: Run, signed: Path) -> None:
    facts = json.loads(run("inspect", "--json", "signed.png").out)
    assert facts["kind"] == "signed picture"
    assert facts["signature"] == "valid"
    assert (
        facts["fingerprint"]
        == json.loads(run("inspect", "--json", "priv.png").out)["fingerprint"]
    )


@pytest.mark.parametrize(
    ("command", "cause", "hint"),
    [
        (
            "decrypt --priv priv.png signed.png",
            "signed.png is a signed picture, not a disguise",
            "egan verify",
        ),
        (
            "verify --pub pub.png disguise.png",
            "disguise.png is a disguise, not a signed picture",
            "egan decrypt",
        ),
        (
            "verify --pub priv.png signed.png",
            "priv.png is a private key, not a public key",
            "never hand out",
        ),
        (
            "sign secret.png --priv pub.png",
            "pub.png is a public key, not a private key",
            "",
        ),
        (
            "verify --pub pub.png composite.png",
            "composite.png is not a signed picture",
            "re-saved as JPEG",
        ),
    ],
)
def test_mix_ups_are_named(
    command: str, cause: str, hint: str, run: Run, signed: Path
) -> None:
    done = run(*command.split())
    assert (done.status, done.out) == (1, b"")
    assert cause in done.err and hint in done.err


@pytest.mark.parametrize(
    "options",
    [
        "--exact",
        "--threshold 0.1",
        "--status --json",
        "--threshold 7 --secret secret.png",
    ],
)
def test_options_that_do_not_go_together(options: str, run: Run, signed: Path) -> None:
    assert run("verify", "--pub", "pub.png", *options.split(), "signed.png").status == 2


# Sign and encrypt


def test_the_receiver_knows_the_sender(run: Run, here: Path) -> None:
    run(
        "encrypt",
        "--pub",
        "pub.png",
        "--sign",
        "priv2.png",
        "composite.png",
        "-o",
        "d.png",
    )
    sender = json.loads(run("inspect", "--json", "pub2.png").out)["fingerprint"]
    known = run("decrypt", "--priv", "priv.png", "--from", "pub2.png", "d.png")
    assert known.status == 0
    assert known.err == f"signed by: {sender}\n"
    assert psnr(known.picture, pixels("composite.png")) > 25
    unknown = f"signed by: {sender} (not compared with any key: see --from)\n"
    assert run("decrypt", "--priv", "priv.png", "d.png", "-o", "r.png").err == unknown
    Path("out").mkdir()
    many = run("decrypt", "--priv", "priv.png", "d.png", "disguise.png", "-d", "out")
    assert (many.status, many.err) == (0, f"d.png: {unknown}")


def test_another_sender_and_none_at_all_are_refused(run: Run, here: Path) -> None:
    run(
        "encrypt",
        "--pub",
        "pub.png",
        "--sign",
        "priv.png",
        "composite.png",
        "-o",
        "d.png",
    )
    for name, cause in (
        ("d.png", "is signed by another key"),
        ("disguise.png", "is not signed"),
    ):
        for force in ((), ("--force",)):
            refused = run(
                "decrypt", "--priv", "priv.png", "--from", "pub2.png", *force, name
            )
            assert (refused.status, refused.out) == (1, b"")
            assert cause in refused.err


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


def test_paper_family_compares_and_warns(run: Run, here: Path) -> None:
    options = ModelOptions(
        family="paper", image_size=64, key_width=4, resnet_width=4, resnet_blocks=1
    )
    torch.manual_seed(0)
    EncryptGAN(options).save("paper.safetensors", {})
    paper = ("--weights", "paper.safetensors")
    run(
        "keygen",
        "--size",
        64,
        *paper,
        "face.png",
        "flower.png",
        "--pub",
        "p.png",
        "--priv",
        "q.png",
    )
    Image.fromarray(smooth(64, 64, 7)).save("secret.png")
    signed = run("sign", *paper, "secret.png", "--priv", "q.png", "-o", "signed.png")
    assert signed.status == 0
    assert (
        signed.err.startswith("egan: warning: these weights have no lock")
        and signed.err.count("\n") == 1
    )
    assert header.find(pixels("signed.png")) is None
    verify = ("verify", *paper, "--pub", "p.png", "--secret", "secret.png")
    assert run(*verify, "--threshold", 0.9, "--json", "signed.png").status == 0
    assert run(*verify, "--threshold", 0.001, "signed.png").status == 1
    for names in (
        ("signed.png",),
        ("signed.png", "face.png"),
    ):  # nothing to check is no success
        bare = run("verify", *paper, "--pub", "p.png", "--json", *names)
        assert bare.status in (1, 2) and "there is nothing to check" in bare.err
        assert b"true" not in bare.out
    refused = run(
        "encrypt", *paper, "--pub", "p.png", "--sign", "q.png", "composite.png"
    )
    assert (refused.status, refused.out) == (2, b"")


def test_weights_without_a_threshold_say_so(run: Run, signed: Path) -> None:
    done = run("verify", "--pub", "pub.png", "--secret", "secret.png", "signed.png")
    assert done.status == 0
    assert "these weights have no threshold of their own" in done.err
    assert b"threshold: 0.1000" in done.out


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
    EncryptGAN(options).save("paper.safetensors", {})
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
