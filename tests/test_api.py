"""The Python API: the same verbs, on images, arrays and paths, with the same results as the commands."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Run, pixels, psnr, smooth
from PIL import Image

import egan
from egan import EganError, EncryptGAN
from egan.crypto.keys import PrivateKey, PublicKey


@pytest.fixture(scope="module")
def gan(weights: Path) -> EncryptGAN:
    return EncryptGAN.load(weights, "cpu")


@pytest.fixture(scope="module")
def pair(gan: EncryptGAN) -> tuple[PrivateKey, PublicKey]:
    return gan.keygen(smooth(90, 70, 0), Image.fromarray(smooth(64, 64, 1)))


def test_import_is_cheap() -> None:
    program = "import egan, sys; egan.EganError; print('torch' in sys.modules, 'numpy' in sys.modules); egan.EncryptGAN"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False False\n"
    assert {"EncryptGAN", "EganError", "__version__"} <= set(dir(egan))
    with pytest.raises(AttributeError):
        egan.nothing  # noqa: B018


def test_the_whole_trip(gan: EncryptGAN, pair: tuple[PrivateKey, PublicKey]) -> None:
    private, public = pair
    cover, message = Image.fromarray(smooth(100, 100, 2)), smooth(24, 32, 3)
    composite = gan.compose(cover, message, at=(-4, 4), cover_size=64)
    composite = gan.compose(composite, message, at=(0, -0), size=16)
    disguise = gan.encrypt(composite, public)
    assert disguise.size == (64, 64)
    found = gan.decrypt(disguise, private)
    assert found.boxes == ((28, 4, 32, 24), (0, 0, 16, 12))
    assert [one.size for one in found.messages] == [(32, 24), (16, 12)]
    assert psnr(np.asarray(found.picture), np.asarray(composite)) > 25
    assert found.sender is None
    assert gan.decrypt(np.asarray(disguise), private).messages[0] == found.messages[0]


def test_what_cannot_be_read_is_named(
    gan: EncryptGAN, monkeypatch: pytest.MonkeyPatch
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(smooth(64, 64, 0)).save(buffer, "PNG")
    broken = Image.open(io.BytesIO(buffer.getvalue()[:-60]))
    with pytest.raises(EganError, match="the picture is damaged or truncated"):
        gan.keygen(broken, smooth(64, 64, 1))
    monkeypatch.setattr("egan.pictures.files.MOST_PIXELS", 64)
    with pytest.raises(EganError, match="the picture is too large"):
        gan.keygen(smooth(64, 64, 0), smooth(64, 64, 1))


def test_keys_can_be_compared_and_put_into_sets(
    pair: tuple[PrivateKey, PublicKey],
) -> None:
    private, public = pair
    assert len({private, public, replace(private)}) == 3
    assert private != replace(private)


def test_a_sender(gan: EncryptGAN, pair: tuple[PrivateKey, PublicKey]) -> None:
    private, public = pair
    other, other_public = gan.keygen(smooth(64, 64, 4), smooth(64, 64, 5))
    disguise = gan.encrypt(
        smooth(64, 64, 6), public, sign=other, flower=smooth(80, 96, 7)
    )
    assert (
        gan.decrypt(disguise, private, sender=other_public).sender == other.fingerprint
    )
    with pytest.raises(EganError, match="signed by another key"):
        gan.decrypt(disguise, private, sender=public)
    with pytest.raises(EganError, match="wrong private key"):
        gan.decrypt(disguise, other)
    noise = gan.decrypt(disguise, other, damaged=True)
    assert noise.picture.size == (64, 64)
    assert not noise.authentic and "nobody vouches" in noise.notes[0]
    known = gan.decrypt(disguise, private, sender=[public, other_public])
    assert known.authentic and known.sender == other.fingerprint


def test_sign_and_verify(gan: EncryptGAN, pair: tuple[PrivateKey, PublicKey]) -> None:
    private, public = pair
    secret = smooth(64, 64, 7)
    signed = gan.sign(secret, private)
    good = gan.verify(signed, public, secret, threshold=0.1)
    assert (
        good
        and good.exact
        and good.reason == ""
        and good.fingerprint == public.fingerprint
    )
    assert good.picture is not None and psnr(np.asarray(good.picture), secret) > 22
    assert gan.verify(signed, public).score is None
    bad = gan.verify(signed, public, smooth(64, 64, 8), threshold=0.1)
    assert not bad and "does not show this secret" in bad.reason
    altered = np.array(signed)
    altered[40, 40] ^= 1
    assert "altered" in gan.verify(altered, public).reason


def test_lists_are_as_one_by_one(
    gan: EncryptGAN, pair: tuple[PrivateKey, PublicKey]
) -> None:
    private, public = pair
    composites = [smooth(64, 64 if i < 10 else 80, i) for i in range(12)]
    disguises = gan.encrypt(composites, public)
    together = gan.decrypt(disguises, private)
    for disguise, found in zip(disguises, together, strict=True):
        assert gan.decrypt(disguise, private).picture == found.picture
    assert [one.size for one in gan.sign(composites, private)] == [
        one.size for one in disguises
    ]


def test_api_and_commands_open_each_others_pictures(
    gan: EncryptGAN, run: Run, here: Path
) -> None:
    made = gan.encrypt("composite.png", "pub.png", sign=Path("priv2.png"))
    egan.save(made, "api.png")
    by_command = run("decrypt", "--priv", "priv.png", "--from", "pub2.png", "api.png")
    by_api = gan.decrypt(Path("api.png"), "priv.png", sender="pub2.png")
    assert np.array_equal(by_command.picture, np.asarray(by_api.picture))
    egan.save(by_api.picture, "recovered.png")
    found, noted = (
        json.loads(Image.open(name).text["egan:boxes"])["boxes"]
        for name in ("recovered.png", "composite.png")
    )
    assert found == noted
    with pytest.raises(EganError, match="exists already"):
        egan.save(made, "api.png")
    with pytest.raises(EganError, match="lossy"):
        egan.save(made, "api.jpg")
    private, public = gan.keygen("face.png", "flower.png")
    Path("mine").mkdir()
    egan.save_keys(private, public, "mine")
    assert Path("mine/priv.png").stat().st_mode & 0o777 == 0o600
    assert np.array_equal(pixels("mine/pub.png"), public.picture)
    with pytest.raises(EganError, match="exists already"):
        egan.save_keys(private, public, "mine")


@pytest.mark.parametrize(
    "bad", [np.zeros((64, 64)), np.zeros((64, 64, 2), np.uint8), 7, None, b"png"]
)
def test_what_is_no_picture_is_named(
    bad: object, gan: EncryptGAN, pair: tuple[PrivateKey, PublicKey]
) -> None:
    with pytest.raises(EganError, match="is no picture"):
        gan.encrypt(bad, pair[1])  # type: ignore[call-overload]
