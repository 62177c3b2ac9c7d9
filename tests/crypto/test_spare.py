"""The spare envelope: what it survives, what it does not say, and what it costs."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from conftest import Run
from PIL import Image
from skimage import data

from egan.crypto import keys, spare
from egan.crypto.keystream import SEED_BYTES
from egan.pictures.metrics import psnr

UNSIGNED = "not signed: anyone may have sent it\n"
WEIGHTS = b"weights of tests"
BOXES = ((10, 20, 64, 48), (0, 100, 32, 32))
RNG = np.random.default_rng(5)


def photograph(size: int = 256) -> np.ndarray:
    whole = Image.fromarray(data.astronaut())
    return np.asarray(whole.resize((size, size), Image.Resampling.LANCZOS))


def key_pair() -> tuple[keys.PrivateKey, keys.PublicKey]:
    pictures = RNG.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    return keys.make_pair(pictures[0], pictures[1], WEIGHTS)


@pytest.fixture(scope="module")
def pair() -> tuple[keys.PrivateKey, keys.PublicKey]:
    return key_pair()


def jpeg(quality: int) -> Callable[[np.ndarray], np.ndarray]:
    def through(picture: np.ndarray) -> np.ndarray:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return through


def noise(deviation: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda p: (
        (p + RNG.normal(0, deviation, p.shape)).round().clip(0, 255).astype(np.uint8)
    )


def resize(size: int, kind: Image.Resampling) -> Callable[[np.ndarray], np.ndarray]:
    """Smaller and back to 256x256."""

    def through(picture: np.ndarray) -> np.ndarray:
        small = Image.fromarray(picture).resize((size, size), kind)
        return np.asarray(small.resize((256, 256), kind))

    return through


SMALL = resize(160, Image.Resampling.LANCZOS)
BLURRED = resize(192, Image.Resampling.BILINEAR)


def cut(picture: np.ndarray) -> np.ndarray:
    out = picture.copy()
    out[:64, :64] = 255
    return out


@pytest.mark.parametrize(
    "channel",
    [lambda p: p, jpeg(95), jpeg(75), jpeg(60), noise(4.0), cut, SMALL, BLURRED],
    ids=[
        "none",
        "jpeg95",
        "jpeg75",
        "jpeg60",
        "noise4",
        "painted-over",
        "five-eighths",
        "three-quarters",
    ],
)
def test_it_survives_what_robust_training_knows(pair, channel) -> None:
    seed = RNG.bytes(SEED_BYTES)
    sent = spare.add(photograph(), pair[1], seed, BOXES, WEIGHTS)
    assert spare.find(channel(sent), pair[0], WEIGHTS) == (seed, BOXES)


def test_sharpening_undoes_what_resizing_blurs(
    pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = spare.add(photograph(), pair[1], bytes(SEED_BYTES), (), WEIGHTS)
    assert spare.find(BLURRED(sent), pair[0], WEIGHTS)
    monkeypatch.setattr(spare, "SHARPENING", (0.0,))
    assert spare.find(sent, pair[0], WEIGHTS)
    assert spare.find(BLURRED(sent), pair[0], WEIGHTS) is None


def test_it_opens_for_its_key_and_its_weights_alone(pair) -> None:
    sent = spare.add(photograph(), pair[1], bytes(SEED_BYTES), (), WEIGHTS)
    assert spare.find(sent, key_pair()[0], WEIGHTS) is None
    assert spare.find(sent, pair[0], b"other weights id") is None
    assert spare.find(photograph(), pair[0], WEIGHTS) is None
    assert spare.find(sent[::-1], pair[0], WEIGHTS) is None


def test_it_costs_three_levels_and_leaves_the_carriers_of_a_robust_payload_alone(
    pair,
) -> None:
    grey = np.full((256, 256, 3), 128, np.uint8)
    change = (
        spare.add(grey, pair[1], bytes(SEED_BYTES), BOXES, WEIGHTS).astype(int) - grey
    )
    cells = change.reshape(64, 4, 64, 4, 3)
    assert (cells == cells[:, :1, :, :1]).all()  # every cell moves as a whole
    assert 0 < np.abs(change).max() <= 9  # three patterns of at most STEP / 2 each
    assert np.sqrt(np.mean(np.square(change))) < 3.5


@pytest.mark.parametrize("size", [160, 176, 512])
def test_other_sizes(pair, size: int) -> None:
    sent = spare.add(photograph(size), pair[1], bytes(SEED_BYTES), BOXES, WEIGHTS)
    assert spare.find(jpeg(90)(sent), pair[0], WEIGHTS) == (bytes(SEED_BYTES), BOXES)


def test_a_small_picture_has_no_room(pair) -> None:
    small = photograph(128)
    assert spare.add(small, pair[1], bytes(SEED_BYTES), (), WEIGHTS) is small
    assert spare.find(small, pair[0], WEIGHTS) is None


def test_more_boxes_than_fit_are_left_out(pair) -> None:
    boxes = tuple((16 * i, 0, 16, 16) for i in range(6))
    sent = spare.add(photograph(), pair[1], bytes(SEED_BYTES), boxes, WEIGHTS)
    assert spare.find(sent, pair[0], WEIGHTS) == (
        bytes(SEED_BYTES),
        boxes[: spare.MOST_BOXES],
    )


def test_words_mend_as_many_bytes_as_half_their_parity() -> None:
    sealed = bytes(range(spare.SEALED_BYTES))
    words = spare.coded(sealed, 150)
    parity = 150 - spare.lengths()[0]
    for wrong, mended in ((parity // 2, sealed), (parity // 2 + 1, None)):
        damaged = words.copy()
        damaged[0 : 2 * wrong : 2] ^= 0x55
        assert spare.decoded(damaged, 150) == mended


def test_a_disguise_that_became_a_jpeg_opens_only_as_damaged(
    run: Run, monkeypatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EGAN_WEIGHTS", "robust")
    Image.fromarray(photograph()).save("face.png")
    Image.fromarray(photograph()[::-1].copy()).save("flower.png")
    assert run("keygen", "face.png", "flower.png").status == 0
    assert (
        run(
            "compose",
            "face.png",
            "flower.png",
            "--at",
            "64,32",
            "--size",
            "64",
            "-o",
            "c.png",
        ).status
        == 0
    )
    assert run("encrypt", "--pub", "pub.png", "c.png", "-o", "d.png").status == 0

    def quality(picture: np.ndarray) -> float:
        return psnr(picture, np.asarray(Image.open("c.png")))

    Image.open("d.png").save("d.jpg", quality=75)
    refused = run("decrypt", "--priv", "priv.png", "d.jpg")
    assert refused.status == 1 and not refused.out
    assert "was altered" in refused.err and "--damaged" in refused.err
    opened = run("decrypt", "--priv", "priv.png", "d.jpg", "--damaged")
    assert opened.status == 3 and "nobody vouches" in opened.err
    assert quality(opened.picture) > 20  # noise, from another keystream, is below 10
    message = run("decrypt", "--priv", "priv.png", "d.jpg", "--damaged", "--message")
    assert message.picture.shape == (64, 64, 3)
    whole = run("decrypt", "--priv", "priv.png", "d.png")
    assert (whole.status, whole.err) == (0, UNSIGNED)
    assert quality(whole.picture) > 24
