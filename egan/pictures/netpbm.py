"""PBM, PGM, PPM and PFM, read with numpy.

Pillow takes a minute for a large one of 16 bits and drops what follows the first
picture.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from egan.pictures.streams import Stream, followed

# One number of the header, after white space and comments.
NUMBER = re.compile(rb"(?:\s++|#[^\r\n]*+[\r\n])*+([-+.\dEe]{1,20})")
COMMENT = re.compile(rb"#[^\r\n]*")
ANOTHER = re.compile(rb"P[1-7fF]\s")


class Head(NamedTuple):
    """What a header says.

    begin: the place of the samples. largest: the value of white.
    """

    kind: bytes
    width: int
    height: int
    largest: float
    begin: int

    @property
    def plain(self) -> bool:
        return self.kind in (b"P1", b"P2", b"P3")

    @property
    def shape(self) -> tuple[int, ...]:
        colour = self.kind in (b"P3", b"P6", b"PF")
        return (self.height, self.width, 3) if colour else (self.height, self.width)

    @property
    def size(self) -> int:
        """Bytes of the samples; of plain text its characters are counted elsewhere."""
        if self.kind == b"P4":
            return self.height * -(-self.width // 8)
        depth = 4 if self.kind in (b"Pf", b"PF") else 1 + (self.largest > 255)
        return int(np.prod(self.shape, dtype=object)) * depth


def head_of(data: bytes) -> Head:
    """Raises ValueError for a header that makes no sense."""
    kind = data[:2]
    bits = kind in (b"P1", b"P4")
    numbers, at = [], 2
    for _ in range(2 if bits else 3):
        found = NUMBER.match(data, at)
        if found is None:
            raise ValueError("its header is cut off")
        numbers.append(found[1])
        at = found.end()
    width, height = int(numbers[0]), int(numbers[1])
    largest = 1.0 if bits else float(numbers[2])
    if min(width, height) < 1:
        raise ValueError("a side is no positive number")
    if kind in (b"Pf", b"PF"):
        if not np.isfinite(largest) or largest == 0:
            raise ValueError("its scale is no number")
    elif not 1 <= largest <= 65535 or largest != int(largest):
        raise ValueError(f"{largest:g} is no largest value")
    return Head(kind, width, height, largest, at + 1)


def take_netpbm(data: bytes) -> Stream:
    return Stream("PPM", data, several=several(data))


def several(data: bytes) -> bool:
    """Whether another picture stands behind the first."""
    try:
        head = head_of(data)
    except ValueError:
        return False
    if head.plain:
        return ANOTHER.search(COMMENT.sub(b"", data[head.begin :])) is not None
    return followed(data, head.begin + head.size, "PPM")


def samples(data: bytes, head: Head) -> NDArray[Any]:
    """Samples (H, W) or (H, W, 3) as stored, from the top.

    Raises ValueError if some are missing.
    """
    shape, count = head.shape, int(np.prod(head.shape))
    if head.plain:
        return plain_samples(data[head.begin :], head, count).reshape(shape)
    if len(data) < head.begin + head.size:
        raise ValueError("some of its samples are missing")
    if head.kind == b"P4":
        rows = np.frombuffer(data, np.uint8, head.size, head.begin)
        bits = np.unpackbits(rows.reshape(head.height, -1), axis=1)
        return 1 - bits[:, : head.width]
    if head.kind in (b"Pf", b"PF"):
        order = "<f4" if head.largest < 0 else ">f4"
        values = np.frombuffer(data, order, count, head.begin).reshape(shape)
        return values[::-1].astype(np.float32)
    kind = ">u2" if head.largest > 255 else "u1"
    return np.frombuffer(data, kind, count, head.begin).reshape(shape)


def plain_samples(text: bytes, head: Head, count: int) -> NDArray[Any]:
    text = COMMENT.sub(b" ", text)
    if re.fullmatch(rb"[\d\s]*", text) is None:
        raise ValueError("its samples are no whole numbers")
    if head.kind == b"P1":
        bits = np.frombuffer(re.sub(rb"\s+", b"", text)[:count], np.uint8)
        values: NDArray[Any] = 1 - (bits - ord("0"))
    else:
        values = np.fromstring(text, np.uint32, sep=" ")[:count]
    if len(values) < count:
        raise ValueError("some of its samples are missing")
    if values.max(initial=0) > head.largest:
        raise ValueError("a sample is larger than the largest value")
    return values


def levels(data: bytes, floats: Callable[[NDArray[Any]], NDArray[np.uint8]]) -> NDArray:
    """Samples as uint8 (H, W) or (H, W, 3); `floats` turns those of PFM to levels."""
    head = head_of(data)
    values = samples(data, head)
    if head.kind in (b"Pf", b"PF"):
        return floats(values)
    if head.largest == 255:
        return values.astype(np.uint8)
    table = np.round(np.arange(65536) * 255 / head.largest).clip(0, 255)
    return table.astype(np.uint8)[values]
