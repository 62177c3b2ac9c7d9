"""`egan encrypt --robust`: what people do with such disguises, and what comes back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, pixels, psnr
from PIL import Image

from egan import EncryptGAN


@pytest.fixture
def composite(here: Path, run: Run) -> Path:
    args = ("--cover-size", 160, "--at", "8,16", "-o", "wide.png")
    assert run("compose", "face.png", "message.png", *args).status == 0
    return here / "wide.png"


@pytest.fixture
def disguise(composite: Path, run: Run) -> Path:
    done = run("encrypt", "--robust", "--pub", "pub.png", composite, "-o", "sent.png")
    assert done.status == 0, done.err
    assert "after JPEG or resizing the receiver gets the message at about" in done.err
    assert "sealed by X25519 alone" in done.err
    return composite.with_name("sent.png")


def as_jpeg(path: Path, quality: int = 75) -> Path:
    out = path.with_suffix(".jpg")
    Image.open(path).convert("RGB").save(out, quality=quality)
    return out


def test_a_jpeg_of_a_robust_disguise_opens(disguise: Path, run: Run) -> None:
    done = run("decrypt", "--priv", "priv.png", "--message", as_jpeg(disguise))
    assert done.status == 0, done.err
    assert "re-encoded on its way, and sent as 160x160 pixels" in done.err
    assert "not signed: anyone may have sent it" in done.err
    message = pixels("message.png")
    assert done.picture.shape == message.shape
    assert psnr(done.picture, message) > 20


def test_json_names_the_source(disguise: Path, run: Run) -> None:
    facts = {}
    for path in (disguise, as_jpeg(disguise)):
        done = run("decrypt", "--priv", "priv.png", "--json", path)
        assert done.status == 0, done.err
        facts[path.suffix] = json.loads(done.out)
    assert facts[".png"]["source"] == "network"
    assert facts[".png"]["capsule"] is None
    assert facts[".jpg"]["source"] == "capsule"
    assert facts[".jpg"]["authentic"]
    assert facts[".jpg"]["messages"] == facts[".png"]["messages"] == [[8, 16, 32, 24]]
    assert facts[".jpg"]["capsule"]["kem"] == "X25519"
    assert facts[".jpg"]["capsule"]["corrected_bits"] > 0


def test_an_unaltered_robust_disguise_decodes_as_any(disguise: Path, run: Run) -> None:
    done = run("decrypt", "--priv", "priv.png", "--message", disguise)
    assert done.status == 0
    assert "re-encoded" not in done.err
    assert psnr(done.picture, pixels("message.png")) > 20


def test_encrypt_tells_json_what_the_receiver_gets(composite: Path, run: Run) -> None:
    args = ("--robust", "--jpeg-only", "--json", "--pub", "pub.png", "-o", "sent.png")
    done = run("encrypt", *args, composite)
    assert done.status == 0, done.err
    facts = json.loads(done.out)["capsule"]
    assert facts["survives"] == "jpeg"
    assert facts["kem"] == "X25519"
    assert facts["message_psnr"][0] > 25


def test_inspect_says_that_there_is_a_capsule(disguise: Path, run: Run) -> None:
    for path in (disguise, as_jpeg(disguise)):
        facts = json.loads(run("inspect", "--json", path).out)
        assert facts["capsule"]["kem"] == "X25519"
        assert 48 < facts["capsule"]["bytes"] < 400
    plain = json.loads(run("inspect", "--json", "disguise.png").out)
    assert "capsule" not in plain


def test_a_note_and_a_sender_survive_jpeg(composite: Path, run: Run) -> None:
    args = ("--robust", "--jpeg-only", "--pub", "pub.png", "--size", 320, "--sign")
    note = ("--note", "at nine", "-o", "sent.png")
    assert run("encrypt", *args, "priv2.png", *note, composite).status == 0
    sent = as_jpeg(composite.with_name("sent.png"))
    done = run("decrypt", "--priv", "priv.png", "--note", sent)
    assert done.out == b"at nine"
    known = run("decrypt", "--priv", "priv.png", "--from", "pub2.png", sent)
    assert known.status == 0, known.err
    assert "signed by:" in known.err
    assert known.picture.shape == (320, 320, 3)
    other = run("decrypt", "--priv", "priv.png", "--from", "pub.png", sent)
    assert other.status == 1
    assert "is signed by another key" in other.err


def test_what_does_not_open_says_why_in_one_line(disguise: Path, run: Run) -> None:
    sent = as_jpeg(disguise)
    wrong = run("decrypt", "--priv", "priv2.png", sent)
    assert wrong.status == 1
    assert "private key does not open" in wrong.err
    ruined = as_jpeg(disguise, 12)
    done = run("decrypt", "--priv", "priv.png", ruined)
    assert done.status == 1
    assert done.out == b""
    assert "Traceback" not in done.err


def test_a_cropped_jpeg_is_not_survived(disguise: Path, run: Run) -> None:
    Image.open(disguise).crop((5, 9, 160, 160)).save("cut.jpg")
    done = run("decrypt", "--priv", "priv.png", "cut.jpg")
    assert done.status == 1
    assert "keeps nothing that egan hides in pixels" in done.err


def test_a_jpeg_of_a_plain_disguise_holds_nothing(here: Path, run: Run) -> None:
    done = run("decrypt", "--priv", "priv.png", as_jpeg(here / "disguise.png"))
    assert done.status == 1
    assert "is a JPEG and keeps nothing that egan hides in pixels" in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--jpeg-only",), "--jpeg-only is for --robust"),
        (("--robust", "--pub", "pub2.png"), "a capsule is for one receiver"),
        (("--json", "-o", "-"), "either the picture or the words"),
    ],
)
def test_options_that_do_not_go_together(
    options: tuple, words: str, composite: Path, run: Run
) -> None:
    output = () if "-o" in options else ("-o", "sent.png")
    done = run("encrypt", "--pub", "pub.png", *options, *output, composite)
    assert done.status == 2
    assert words in done.err
    assert not Path("sent.png").exists()


def test_a_picture_without_room_is_refused_before_anything_is_written(
    here: Path, run: Run
) -> None:
    args = ("--robust", "--pub", "pub.png", "-o", "sent.png", "composite.png")
    done = run("encrypt", *args)
    assert done.status == 1
    assert "too small for --robust" in done.err
    assert not (here / "sent.png").exists()


def test_a_mixed_folder_is_opened_in_one_go(disguise: Path, run: Run) -> None:
    folder = disguise.parent / "inbox"
    folder.mkdir()
    as_jpeg(disguise).rename(folder / "a.jpg")
    disguise.rename(folder / "b.png")
    done = run("decrypt", "--priv", "priv.png", folder, "-d", "opened")
    assert done.status == 0, done.err
    assert {p.name for p in Path("opened").iterdir()} == {"a.png", "b.png"}


def test_python_says_where_a_decode_comes_from(here: Path, weights: Path) -> None:
    gan = EncryptGAN.load(weights)
    composite = gan.compose("face.png", "message.png", cover_size=160)
    sent = gan.encrypt(composite, "pub.png", robust="any", note="at nine")
    out = io.BytesIO()
    sent.save(out, "JPEG", quality=75)
    found = gan.decrypt(Image.open(out), "priv.png")
    assert found.source == "capsule"
    assert found.authentic
    assert found.note == b"at nine"
    assert np.asarray(found.messages[0]).shape == pixels("message.png").shape
    assert gan.decrypt(sent, "priv.png").source == "network"
