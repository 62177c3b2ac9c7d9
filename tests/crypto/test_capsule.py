"""The capsule's bytes: what goes in comes out, for the right key, and nothing else does."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from egan.crypto import capsule, keys
from egan.crypto.capsule import Content
from egan.crypto.envelope import Refused, Signing

Pair = tuple[keys.PrivateKey, keys.PublicKey]
CODE_OF_E = "1111"
CODED = "597aa5d8c26eb480"
NOTE = "Grüße aus Köln: meet me at the station at 9".encode()
CONTENT = Content((256, 200), ((1, 2, 64, 50), (200, 190, 9, 10)), (b"m" * 200, b"n"))


def made_pair(seed: int) -> Pair:
    random = np.random.default_rng(seed)
    faces = random.integers(0, 256, (2, 96, 96, 3), np.uint8)
    return keys.make_pair(faces[0], faces[1], bytes(keys.ID_BYTES))


@pytest.fixture(scope="module")
def pair() -> Pair:
    return made_pair(1)


@pytest.fixture(scope="module")
def other() -> Pair:
    return made_pair(2)


def sealed(content: Content, pair: Pair, length: int = 512, sign: Pair | None = None):
    signing = Signing(sign[0], "a comment") if sign else None
    return capsule.seal(capsule.packed(content, signing, pair[1]), pair[1], length)


@pytest.mark.parametrize("length", [400, 512, 2000])
def test_what_is_sealed_comes_out_and_fills_its_length(length: int, pair) -> None:
    content = Content(*CONTENT)
    data = sealed(content, pair, length)
    assert len(data) == length
    found = capsule.opened(data, pair[0])
    assert found is not None
    assert found.content == content
    assert found.sender is None
    assert found.hybrid == (length == 2000)


def test_another_key_does_not_open_it(pair, other) -> None:
    for length in (512, 2000):
        assert capsule.opened(sealed(CONTENT, pair, length), other[0]) is None


@pytest.mark.parametrize("length", [512, 2000])
def test_one_wrong_bit_is_refused(length: int, pair) -> None:
    data = bytearray(sealed(CONTENT, pair, length))
    for place in (0, 20, length // 2, length - 1):
        data[place] ^= 1
        assert capsule.opened(bytes(data), pair[0]) is None
        data[place] ^= 1


@pytest.mark.parametrize("note", [b"", NOTE, bytes(range(256)) * 2, b"and the " * 1000])
def test_notes_are_exact(note: bytes, pair) -> None:
    content = Content((64, 64), note=note)
    plain = capsule.packed(content, None, pair[1])
    assert capsule.unpacked(plain + bytes(20), pair[0].identity)[0] == content


def test_a_short_note_takes_less_than_its_letters() -> None:
    note = b"the meeting is on Friday at the station and there will be more of them"
    assert len(capsule.written_note(note)[1]) < 0.65 * len(note)
    code = capsule.letter_codes()
    assert sum(2.0 ** -len(word) for word in code) == 1
    assert code[ord("e")] == CODE_OF_E


@pytest.mark.parametrize("data", [b"", b"\0"])
def test_letters_without_an_end_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a note"):
        capsule.from_letters(data)


def test_a_signature_names_its_sender(pair, other) -> None:
    found = capsule.opened(sealed(CONTENT, pair, 700, sign=other), pair[0])
    assert found is not None
    assert found.sender is not None
    assert found.sender.fingerprint == other[1].fingerprint
    assert found.sender.comment == "a comment"


def test_a_signature_for_another_receiver_is_refused(pair, other) -> None:
    plain = capsule.packed(CONTENT, Signing(pair[0]), pair[1])
    passed_on = capsule.seal(plain, other[1], 700)
    with pytest.raises(Refused, match="not for it"):
        capsule.opened(passed_on, other[0])


def test_signed_content_that_was_changed_is_refused(pair, other) -> None:
    plain = bytearray(capsule.packed(CONTENT, Signing(other[0]), pair[1]))
    plain[plain.index(b"mmm")] ^= 1
    with pytest.raises(Refused):
        capsule.unpacked(bytes(plain), pair[0].identity)


def packed(pair: Pair, **changes: object) -> bytes:
    return capsule.packed(CONTENT._replace(**changes), None, pair[1])


def test_what_packed_never_writes_is_refused(pair) -> None:
    good = packed(pair)
    bad = {
        "padding": good + b"\1",
        "flags": bytes([good[0] | 128]) + good[1:],
        "cut": good[: len(good) // 2],
        "empty": b"",
        "box outside": packed(pair, boxes=((250, 0, 64, 50), (0, 0, 1, 1))),
        "empty box": packed(pair, boxes=((0, 0, 0, 50), (0, 0, 1, 1))),
        "no size": packed(pair, size=(0, 0), boxes=(), messages=()),
        "number without end": b"\0" + b"\xff" * 9,
    }
    for name, plain in bad.items():
        with pytest.raises(Refused):
            capsule.unpacked(plain, pair[0].identity)
            pytest.fail(name)


def test_a_note_that_would_fill_memory_is_refused(pair) -> None:
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15, zdict=capsule.WORDS)
    bomb = squeezer.compress(bytes(10**7)) + squeezer.flush()
    head = bytes([capsule.DEFLATED]) + b"".join(map(capsule.number, (64, 64, 0, 0)))
    with pytest.raises(Refused):
        capsule.unpacked(head + capsule.number(len(bomb)) + bomb, pair[0].identity)


def test_random_content_is_refused_or_read_and_never_breaks(pair) -> None:
    random = np.random.default_rng(5)
    for _ in range(300):
        try:
            capsule.unpacked(random.bytes(40), pair[0].identity)
        except Refused:
            continue


def test_the_hybrid_kem_is_used_where_there_is_room() -> None:
    lengths = [capsule.sealed_bytes(r, 64) for r in range(len(capsule.RUNGS))]
    assert not any(capsule.is_hybrid(length) for length in lengths)
    assert capsule.is_hybrid(capsule.sealed_bytes(13, 256))
    assert capsule.content_bytes(512) == 512 - 48


def test_rungs_rise_and_large_pictures_repeat() -> None:
    lengths = [capsule.sealed_bytes(r, 64) for r in range(len(capsule.RUNGS))]
    assert lengths == sorted(set(lengths))
    assert capsule.sealed_bytes(3, 10**6) == capsule.sealed_bytes(3, 576)


def learn(posterior: np.ndarray) -> np.ndarray:
    return posterior


@pytest.mark.parametrize("room", [2000, 10365, 30000])
def test_coded_bytes_come_back_through_wrong_and_missing_bits(room: int) -> None:
    data = np.random.default_rng(6).bytes(100)
    bits = capsule.coded(data, room)
    assert bits.shape == (room,)
    ratios = (3 - 6 * bits.astype(np.float32)).astype(np.float32)
    ratios[::9] = 0
    ratios[4::40] *= -1
    found = capsule.decoded(100, ratios, learn)
    assert found is not None
    assert found[0] == data
    assert found[1] > 0 or room > 2000


def test_what_is_no_capsule_ends_without_a_word() -> None:
    noise = np.random.default_rng(7).normal(size=10365).astype(np.float32)
    assert capsule.decoded(416, noise, lambda posterior: noise) is None


def test_the_code_is_the_same_for_ever() -> None:
    bits = capsule.coded(bytes(range(32)), 2000)
    assert np.packbits(bits)[:8].tobytes().hex() == CODED
