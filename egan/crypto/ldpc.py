"""A systematic repeat-accumulate code, and its soft decoder: bytes that come back
although many bits are unsure.

Irregular repeat-accumulate codes (Jin, Khandekar, McEliece 2000): every information bit
enters several checks, and parity bit j is the sum of parity bit j - 1 and of the
information bits of check j. The graph is drawn from SHAKE-256, so it is the same with
every version of every library. Decoding is sum-product (belief propagation) on
log-likelihood ratios log P(bit = 0) / P(bit = 1).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]
Ratios = NDArray[np.float32]

# One information bit in three enters many checks, the others few.
DEGREES = (12, 3, 3)
# The largest hyperbolic tangent whose inverse is finite in single precision.
NEARLY_ONE = np.float32(1 - 2**-23)


def shuffled(label: bytes, count: int) -> NDArray[np.int64]:
    """A permutation of 0 to count - 1 that depends on the label and the count alone."""
    stream = hashlib.shake_256(label + count.to_bytes(8, "big")).digest(8 * count)
    return np.argsort(np.frombuffer(stream, ">u8"), kind="stable")


class Code(NamedTuple):
    """A code of `information` bits and `checks` parity bits.

    edges: (E,) the information bit of each edge, in the order of the checks. starts:
    (checks,) where the edges of each check begin.
    """

    information: int
    checks: int
    edges: NDArray[np.int64]
    starts: NDArray[np.int64]

    @property
    def length(self) -> int:
        return self.information + self.checks

    def encode(self, bits: Bits) -> Bits:
        """The code word (length,) of information bits (information,), which it begins
        with.
        """
        sums = np.add.reduceat(bits[self.edges].astype(np.int64), self.starts)
        return np.concatenate((bits, (np.cumsum(sums) & 1).astype(np.uint8)))

    def satisfied(self, word: Bits) -> bool:
        """Whether a word (length,) is one of the code's."""
        return bool(np.array_equal(self.encode(word[: self.information]), word))


@lru_cache(maxsize=8)
def code(information: int, length: int) -> Code:
    """The code of that many information bits and that length. Each check has an edge at
    least.
    """
    checks = length - information
    degrees = np.resize(DEGREES, information)
    sockets = np.repeat(np.arange(information), degrees)
    label = b"egan repeat-accumulate"
    edges = sockets[shuffled(label, len(sockets))]
    starts = np.arange(checks) * len(edges) // checks
    owner = np.repeat(np.arange(checks), np.diff(np.append(starts, len(edges))))
    for attempt in range(20):
        # A bit that enters one check twice would not be seen by it: swap it into
        # another check.
        order = np.lexsort((edges, owner))
        twice = order[1:][(np.diff(edges[order]) == 0) & (np.diff(owner[order]) == 0)]
        if not len(twice):
            break
        other = shuffled(label + bytes([attempt]), len(edges))[: len(twice)]
        for a, b in zip(twice, other, strict=True):
            edges[a], edges[b] = edges[b], edges[a]
    return Code(information, checks, edges, starts)


class Decoder:
    """Belief propagation for one code; messages are kept from one call of `run` to the
    next.
    """

    def __init__(self, code: Code) -> None:
        self.code = code
        counts = np.diff(np.append(code.starts, len(code.edges)))
        # Row c holds the c-th edge of each check; the last two rows hold the parity
        # bits j - 1 and j.
        rows = int(counts.max()) + 2
        column = np.repeat(np.arange(code.checks), counts)
        row = np.arange(len(code.edges)) - np.repeat(code.starts, counts)
        self.place = row * code.checks + column
        self.messages = np.zeros((rows, code.checks), np.float32)

    def run(self, ratios: Ratios, iterations: int) -> tuple[Ratios, bool]:
        """Posterior ratios (length,) after at most that many iterations, and whether
        they spell a code word.

        ratios: (length,) of the channel.
        """
        k, messages = self.code.information, self.messages
        flat = messages.reshape(-1)
        # Edges that are not there multiply by 1.
        ahead = np.ones_like(messages)
        posterior = self.posterior(ratios)
        for _ in range(iterations):
            if self.code.satisfied((posterior < 0).astype(np.uint8)):
                return posterior, True
            ahead.reshape(-1)[self.place] = tanh_half(
                posterior[self.code.edges] - flat[self.place]
            )
            ahead[-1] = tanh_half(posterior[k:] - messages[-1])
            ahead[-2, 1:] = tanh_half(posterior[k:-1] - messages[-2, 1:])
            products_of_others(ahead, messages)
            np.clip(messages, -NEARLY_ONE, NEARLY_ONE, out=messages)
            np.arctanh(messages, out=messages)
            messages *= 2
            posterior = self.posterior(ratios)
        return posterior, self.code.satisfied((posterior < 0).astype(np.uint8))

    def posterior(self, ratios: Ratios) -> Ratios:
        """The channel's ratios (length,) and what all checks say."""
        k = self.code.information
        heard = self.messages.reshape(-1)[self.place]
        found = ratios.astype(np.float32)
        found[:k] += np.bincount(self.code.edges, heard, k).astype(np.float32)
        found[k:] += self.messages[-1]
        found[k:-1] += self.messages[-2, 1:]
        return found


def tanh_half(ratios: Ratios) -> Ratios:
    return np.tanh(ratios / 2)


def products_of_others(factors: Ratios, out: Ratios) -> None:
    """Into each row of `out` the product of all other rows of factors (rows, n)."""
    out[0] = 1
    for i in range(1, len(factors)):
        np.multiply(out[i - 1], factors[i - 1], out=out[i])
    after = factors[-1].copy()
    for i in range(len(factors) - 2, -1, -1):
        out[i] *= after
        after *= factors[i]
