"""The pixel header: where it lies, what it costs, and what is refused."""

import hashlib
import struct

import numpy as np
import pytest

from egan.crypto import header
from egan.crypto.header import Kind
from egan.errors import EganError

RNG = np.random.default_rng(3)


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(64, 64), (64, 96), (256, 256), (240, 1008)])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.4, 0.9, 1.0])
def test_bits_lie_evenly_over_all_blocks_of_16_pixels(size, share) -> None:
    shape = (*size, 3)
    body = int(share * header.capacity(shape))
    used = header.mask(shape, body)
    assert used.sum() == header.header_bits(body)
    blocks = used.reshape(size[0] // 16, 16, size[1] // 16, 16, 3).sum((1, 3, 4))
    # 16 cells each: a few more or fewer than the others
    assert blocks.max() - blocks.min() <= 6


def test_each_sample_of_a_cell_is_taken_once_and_its_corners_come_first() -> None:
    assert len(set(header.SAMPLES)) == len(header.SAMPLES) == 4 * 4 * 3
    first = {(row, column) for row, column, _ in header.SAMPLES[:12]}
    assert first == {(0, 0), (0, 3), (3, 0), (3, 3)}
    whole = header.positions((64, 64, 3), header.capacity((64, 64)))
    assert sorted(whole) == list(range(64 * 64 * 3))


def test_a_longer_header_begins_where_a_shorter_one_does() -> None:
    short, long = (header.positions((96, 64, 3), body) for body in (10, 1000))
    assert (long[: len(short)] == short).all()


def test_kind_and_body_come_back_and_no_sample_moves_by_more_than_a_level() -> None:
    picture = noise(72, 80)
    for kind in Kind:
        body = RNG.bytes(int(RNG.integers(0, header.capacity(picture.shape))))
        made = header.embed(picture, kind, body)
        assert header.find(made) == (kind, body)
        assert np.abs(made.astype(int) - picture).max() <= 1
    assert header.find(picture) is None


def test_even_samples_take_a_header_and_change_by_its_bits_alone() -> None:
    picture = noise()
    used = header.mask(picture.shape, 100)
    picture[used] &= 0xFE
    made = header.embed(picture, Kind.SIGNED, bytes(100))
    assert (made[~used] == picture[~used]).all()
    assert set(np.unique(made.astype(int) - picture)) == {0, 1}
    digests = {header.pixel_digest(p, 100) for p in (picture, made)}
    assert len(digests) == 1


def test_a_changed_bit_anywhere_is_found() -> None:
    made = header.embed(noise(), Kind.PUBLIC_KEY, b"body")
    for _ in range(200):
        changed = made.copy()
        at, bit = RNG.integers(0, made.size), RNG.integers(0, 8)
        changed.reshape(-1)[at] ^= 1 << bit
        with pytest.raises(EganError, match="altered|version|unknown"):
            header.find(changed)


def test_a_picture_too_small_is_refused_and_has_no_header() -> None:
    with pytest.raises(EganError, match="20x8 pixels is too small"):
        header.embed(noise(8, 20), Kind.DISGUISE, bytes(1000))
    for size in ((1, 1), (3, 400), (8, 4)):
        assert header.find(noise(*size)) is None


def test_headers_of_other_versions_and_kinds_are_named() -> None:
    picture = noise()

    def forged(version: int, kind: int) -> np.ndarray:
        clean = header.cleared(picture, 0)
        head = header.PREFIX.pack(header.MAGIC, version, kind, 0)
        bits = np.frombuffer(head + header.checksum(head, clean), np.uint8)
        clean.reshape(-1)[header.positions(clean.shape, 0)] |= np.unpackbits(bits)
        return clean

    for version, kind, words in ((3, 1, "version 3"), (2, 99, "unknown kind")):
        with pytest.raises(EganError, match=words):
            header.find(forged(version, kind), "x.png")


@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_pictures_of_format_1_are_refused_with_one_line(kind: int) -> None:
    picture = noise()
    body = RNG.bytes(72)
    head = struct.pack(">4sBBH", b"EGAN", 1, kind, len(body)) + body
    flat = picture.reshape(-1)
    bits = 8 * (len(head) + 8)
    flat[:bits] &= 0xFE
    shape = struct.pack(">II", *picture.shape[:2])
    digest = hashlib.sha256(shape + head + picture.tobytes()).digest()[:8]
    flat[:bits] |= np.unpackbits(np.frombuffer(head + digest, np.uint8))
    with pytest.raises(EganError) as caught:
        header.expect(picture, Kind.DISGUISE, "old.png")
    assert str(caught.value) == (
        f"old.png is {Kind(kind).words} of format 1, which egan no longer reads"
    )
