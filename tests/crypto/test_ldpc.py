"""The repeat-accumulate code against answers that are known in advance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from egan.crypto import ldpc
from egan.crypto.ldpc import Code, Decoder, code


def bits_of(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, count, np.uint8)


def certain(word: np.ndarray, ratio: float = 8) -> np.ndarray:
    return (ratio * (1 - 2.0 * word)).astype(np.float32)


def test_the_word_of_zeros_is_all_zero() -> None:
    made = code(64, 160)
    assert not made.encode(np.zeros(64, np.uint8)).any()
    found, good = Decoder(made).run(certain(np.zeros(160)), 1)
    assert good
    assert (found > 0).all()


def test_a_small_code_is_what_its_graph_says() -> None:
    small = Code(3, 3, np.array([0, 1, 1, 2, 0]), np.array([0, 2, 4]))
    # Checks: a + b, b + c, a; parities are their running sums.
    assert small.encode(np.array([1, 0, 1], np.uint8)).tolist() == [1, 0, 1, 1, 0, 1]
    assert small.encode(np.array([0, 1, 1], np.uint8)).tolist() == [0, 1, 1, 1, 1, 1]


def test_one_check_adds_what_the_rule_of_tanh_says() -> None:
    # p = a + b has no cycles, so sum-product is exact.
    single = Code(2, 1, np.array([0, 1]), np.array([0]))
    a, b, p = 0.5, 1.5, -0.8
    ratios = np.array([a, b, p], np.float32)
    found, _ = Decoder(single).run(ratios, 1)
    heard = 2 * math.atanh(math.tanh(b / 2) * math.tanh(p / 2))
    assert found[0] == pytest.approx(a + heard, abs=1e-5)
    heard = 2 * math.atanh(math.tanh(a / 2) * math.tanh(b / 2))
    assert found[2] == pytest.approx(p + heard, abs=1e-5)


def test_words_satisfy_their_code_and_their_neighbours_do_not() -> None:
    made = code(40, 100)
    word = made.encode(bits_of(40))
    assert word[:40].tolist() == bits_of(40).tolist()
    for place in (0, 39, 40, 99):
        other = word.copy()
        other[place] ^= 1
        assert not made.satisfied(other)


@pytest.mark.parametrize(("information", "length"), [(1024, 2048), (1024, 4096)])
def test_noise_below_capacity_is_mended(information: int, length: int) -> None:
    made = code(information, length)
    bits = bits_of(information)
    sent = 1 - 2.0 * made.encode(bits)
    sigma = {2048: 0.8, 4096: 1.25}[length]
    noise = np.random.default_rng(1).normal(0, sigma, length)
    ratios = (2 * (sent + noise) / sigma**2).astype(np.float32)
    assert ((ratios < 0) != (sent < 0)).mean() > 0.05
    found, good = Decoder(made).run(ratios, 100)
    assert good
    assert ((found[:information] < 0) == bits).all()


def test_more_erasures_than_parities_cannot_be_mended_and_fewer_are() -> None:
    made = code(1024, 2048)
    word = made.encode(bits_of(1024))
    order = np.random.default_rng(2).permutation(2048)
    for erased, mended in ((800, True), (1100, False)):
        ratios = certain(word)
        ratios[order[:erased]] = 0
        found, good = Decoder(made).run(ratios, 100)
        assert (good and ((found < 0) == word).all()) == mended


def test_noise_alone_is_no_word() -> None:
    ratios = np.random.default_rng(3).normal(size=2048).astype(np.float32)
    assert not Decoder(code(1024, 2048)).run(ratios, 20)[1]


def test_messages_go_on_where_they_stopped() -> None:
    made = code(256, 600)
    ratios = np.random.default_rng(4).normal(0.8, 1, 600).astype(np.float32)
    once, twice = Decoder(made), Decoder(made)
    whole, _ = once.run(ratios, 6)
    twice.run(ratios, 4)
    parts, _ = twice.run(ratios, 2)
    assert np.allclose(whole, parts, atol=1e-4)


def test_no_bit_enters_a_check_twice() -> None:
    made = code(64, 160)
    ends = [*made.starts[1:], len(made.edges)]
    for start, end in zip(made.starts, ends, strict=True):
        edges = made.edges[start:end].tolist()
        assert len(set(edges)) == len(edges) > 0


def test_permutation_and_graph_are_the_same_for_ever() -> None:
    assert ldpc.shuffled(b"x", 8).tolist() == [6, 0, 1, 2, 4, 3, 5, 7]
    made = code(16, 32)
    assert made.edges[:10].tolist() == [0, 6, 9, 15, 7, 9, 12, 15, 3, 6]
    assert made.starts[:4].tolist() == [0, 6, 12, 19]
