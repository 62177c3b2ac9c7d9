"""Capsules in pictures: what goes in, laying them on paints, and finding them again.

`egan.crypto.capsule` knows bytes, `egan.core.modulation` knows bits in pictures, and
`egan.pictures.miniature` makes bytes of pictures; here they meet.
"""

from __future__ import annotations

import enum
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from egan.core import modulation
from egan.crypto import capsule
from egan.crypto.envelope import Box, Signing
from egan.crypto.keys import PrivateKey, PublicKey
from egan.errors import EganError
from egan.pictures import miniature
from egan.pictures.files import Picture
from egan.pictures.metrics import psnr

SMALLEST = 128
# Bits of payload for each bit of information that the worst trial leaves: the code
# needs the rest, a short one more of it. The limit, and what is lost by the root of the
# bits.
EFFICIENCY, SHORTNESS = 0.985, 5.2
# What of the room for pictures a coarse cover takes beside messages, from which bytes on
# it is more than a sketch, and where it is left out, in bytes.
COVER_PART, LEAST_COVER, LEAST_ROOM = 22, 26, 200
GREY = 128
# What the sender undoes of the blurs that a receiver does: enough for its own trials.
FEW_BLURS = (0.0, 0.4, 0.8)
# Sizes that a picture may have had: multiples of 16, at most so many times larger or
# smaller.
SIZE_STEP, LARGEST_SEARCHED, MOST_SCALING = 16, 1024, 3
# Levels by which a plain border may vary.
BORDER_TOLERANCE = 12


class Robust(enum.Enum):
    """What a capsule is to survive: resizing and strong JPEG too, or JPEG of quality 75
    and more alone, which leaves room for better pictures.
    """

    ANY = "any"
    JPEG = "jpeg"

    @classmethod
    def named(cls, name: str) -> Robust:
        """Raises EganError for a name that is unknown."""
        try:
            return cls(name)
        except ValueError:
            known = ", ".join(one.value for one in cls)
            raise EganError(
                f"unknown kind of robust {name!r}", f"known: {known}", 2
            ) from None


@dataclass(frozen=True, eq=False)
class Cargo:
    """The load of a capsule and its receiver. composite: uint8 (H, W, 3) of its true
    size.
    """

    composite: Picture
    boxes: tuple[Box, ...]
    note: bytes
    receiver: PublicKey
    signing: Signing | None = None


@dataclass(frozen=True)
class Laid:
    """A capsule that was laid, and what its receiver gets when nothing else survives.

    sealed: bytes. messages, composite: PSNR in dB.
    """

    robust: Robust
    rung: int
    sealed: int
    hybrid: bool
    messages: tuple[float, ...]
    composite: float

    @property
    def words(self) -> str:
        """One sentence for the sender."""
        way = "JPEG" if self.robust is Robust.JPEG else "JPEG or resizing"
        what = "the message" if len(self.messages) == 1 else "the messages"
        values = ", ".join(f"{value:.0f}" for value in self.messages)
        kem = "hybrid" if self.hybrid else "sealed by X25519 alone"
        return f"after {way} the receiver gets {what} at about {values} dB ({kem})"

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "survives": self.robust.value,
            "rung": self.rung,
            "bytes": self.sealed,
            "kem": kem_name(self.hybrid),
            "message_psnr": [round(value, 2) for value in self.messages],
            "composite_psnr": round(self.composite, 2),
        }


def kem_name(hybrid: bool) -> str:
    return "MLKEM768-X25519" if hybrid else "X25519"


@dataclass(frozen=True, eq=False)
class Found:
    """A capsule that opened. size: width and height that the picture had. picture: the
    composite, uint8 (H, W, 3), as far as the capsule has it.
    """

    opened: capsule.Opened
    rung: int
    size: tuple[int, int]
    picture: Picture

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "rung": self.rung,
            "kem": kem_name(self.opened.hybrid),
            "corrected_bits": self.opened.corrected,
            "sent_width": self.size[0],
            "sent_height": self.size[1],
        }


class Unreadable(EganError):
    """There is a capsule, of which too little is left, or which another key opens."""


Change = Callable[[Picture], Picture]


def through_jpeg(picture: Picture, quality: int) -> Picture:
    """uint8 (H, W, 3) after JPEG with halved chroma."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(out).convert("RGB"))


def through_messenger(picture: Picture) -> Picture:
    """Three quarters of the size, then JPEG of quality 75."""
    height, width = picture.shape[:2]
    small = Image.fromarray(picture).resize(
        (round(width * 0.75), round(height * 0.75)), Image.Resampling.BICUBIC
    )
    return through_jpeg(np.asarray(small), 75)


def trials(robust: Robust) -> tuple[Change, ...]:
    """The channels that a capsule must survive before it is let go."""
    once = (lambda picture: through_jpeg(picture, 75),)
    if robust is Robust.JPEG:
        return once
    return (through_messenger, lambda picture: through_jpeg(picture, 60), *once)


def lay(
    paint: NDArray[np.float32],
    carriers: NDArray[np.floating],
    finished: Callable[[NDArray[np.float32]], Picture],
    cargo: Cargo,
    robust: Robust = Robust.ANY,
) -> tuple[Picture, Laid]:
    """The disguise of a paint, float32 (H, W, 3), with a capsule on it, and what that
    holds.

    finished: makes a disguise of a paint, as it is sent. How much the picture carries is measured
    with bits by chance; what is let go was decoded again after `trials`, and where that
    fails, less is put in. Raises EganError for a picture that is too small or carries
    too little.
    """
    miniature.need_av1()
    height, width = paint.shape[:2]
    if min(height, width) < SMALLEST:
        raise EganError(
            f"a picture of {width}x{height} pixels is too small for --robust",
            f"both sides must be {SMALLEST} or more",
        )
    blocks = modulation.block_count(height, width)
    room = modulation.layout(blocks).room
    changes = trials(robust)
    chance = np.random.default_rng(blocks).integers(0, 2, room, np.uint8)
    tried = finished(modulation.lay(paint, carriers, chance, 0))
    through = min(
        information(luma_of(change(tried), (width, height)), chance)
        for change in changes
    )
    for rung in affordable(through, blocks):
        length = capsule.sealed_bytes(rung, blocks)
        content = filled(cargo, length)
        if content is None:
            break
        plain = capsule.packed(content, cargo.signing, cargo.receiver)
        sealed = capsule.seal(plain, cargo.receiver, length)
        laid = modulation.lay(paint, carriers, capsule.coded(sealed, room), rung)
        disguise = finished(laid)
        if all(
            read_at(luma_of(change(disguise), (width, height)), sealed)
            for change in changes
        ):
            drawn = drawing(content)
            messages = tuple(
                psnr(cut(drawn, box), cut(cargo.composite, box)) for box in cargo.boxes
            )
            whole = psnr(drawn, cargo.composite)
            hybrid = capsule.is_hybrid(length)
            return disguise, Laid(robust, rung, length, hybrid, messages, whole)
    raise EganError(
        "this picture has no room for what --robust is to carry",
        "use a larger picture, a shorter note, fewer messages, or --jpeg-only",
    )


def affordable(information: float, blocks: int) -> list[int]:
    """Rungs that so many bits of information are enough for, the highest first."""
    part = EFFICIENCY - SHORTNESS / np.sqrt(max(information, 1))
    return [
        rung
        for rung in reversed(range(len(capsule.RUNGS)))
        if 8 * capsule.sealed_bytes(rung, blocks) <= part * information
    ]


def information(luma: NDArray[np.float64], bits: NDArray[np.uint8]) -> float:
    """Bits of information that a picture of its original size has on the bits laid on
    it.
    """
    reading = modulation.find(luma, FEW_BLURS)
    if reading is None:
        return 0.0
    sure = reading.ratios() * (1.0 - 2.0 * bits)
    return float(np.sum(1 - np.log2(1 + np.exp(-np.clip(sure, -50, 50)))))


def read_at(luma: NDArray[np.float64], sealed: bytes) -> bool:
    """Whether exactly these sealed bytes are read from a picture of its original size,
    in half of the work that a receiver does.
    """
    reading = modulation.find(luma, FEW_BLURS)
    if reading is None:
        return False
    found = decoded(reading, len(sealed), capsule.ROUNDS // 2)
    return found is not None and found[0] == sealed


def decoded(
    reading: modulation.Reading, length: int, rounds: int = capsule.ROUNDS
) -> tuple[bytes, int] | None:
    def learn(posterior: NDArray[np.float32]) -> NDArray[np.float32]:
        reading.learn(posterior)
        return reading.ratios()

    return capsule.decoded(length, reading.ratios(), learn, rounds)


def cut(picture: Picture, box: Box) -> Picture:
    x, y, w, h = box
    return picture[y : y + h, x : x + w]


def filled(cargo: Cargo, length: int) -> capsule.Content | None:
    """A content for so many sealed bytes, with pictures as good as there is room for;
    None where not even the smallest fit.
    """
    composite, boxes = cargo.composite, cargo.boxes
    height, width = composite.shape[:2]
    bare = capsule.Content((width, height), boxes, (b"",) * len(boxes), b"", cargo.note)
    left = capsule.content_bytes(length)
    left -= len(capsule.packed(bare, cargo.signing, cargo.receiver))
    # The length of a picture of more than 127 bytes takes a byte more.
    left -= 1 + len(boxes)
    cover = b""
    if left > LEAST_ROOM and boxes != ((0, 0, width, height),):
        budget = left // COVER_PART if boxes else left
        bare_cover = emptied(composite, boxes)
        large = budget >= LEAST_COVER
        cover = (miniature.fit(bare_cover, budget) if large else None) or (
            miniature.sketch(bare_cover)
        )
    left -= len(cover)
    # What a small message leaves is for the larger ones.
    order = sorted(range(len(boxes)), key=lambda i: weight(boxes[i]))
    made: dict[int, bytes] = {}
    for rank, i in enumerate(order):
        rest = sum(weight(boxes[j]) for j in order[rank:])
        share = int(left * weight(boxes[i]) / rest)
        found = miniature.fit(cut(composite, boxes[i]), share) if share > 0 else None
        if found is None:
            return None
        made[i] = found
        left -= len(found)
    if left < 0 or not (boxes or cover):
        return None
    messages = tuple(made[i] for i in range(len(boxes)))
    return bare._replace(messages=messages, cover=cover)


def weight(box: Box) -> float:
    """A message's share of the room: the root of its pixels."""
    return float(np.sqrt(box[2] * box[3]))


def emptied(composite: Picture, boxes: Sequence[Box]) -> Picture:
    """The composite with each message's box in its own mean, which costs no bytes."""
    out = composite.copy()
    for box in boxes:
        inside = cut(out, box)
        inside[:] = inside.mean((0, 1)).round().astype(np.uint8)
    return out


def drawing(content: capsule.Content) -> Picture:
    """The composite that a content draws, uint8 (H, W, 3): grey where there is no
    cover.

    Raises EganError for miniatures that are damaged.
    """
    width, height = content.size
    if max(width, height) > miniature.LARGEST_SIDE:
        raise EganError("the capsule is for a picture that is too large")
    out = np.full((height, width, 3), GREY, np.uint8)
    if content.cover:
        out = miniature.draw(content.cover, width, height).copy()
    for box, message in zip(content.boxes, content.messages, strict=True):
        cut(out, box)[:] = miniature.draw(message, box[2], box[3])
    return out


def luma_of(picture: Picture, size: tuple[int, int]) -> NDArray[np.float64]:
    """The luma of uint8 (h, w, 3), resized to width and height (bicubic)."""
    luma = picture @ modulation.LUMA
    if size == (picture.shape[1], picture.shape[0]):
        return luma
    image = Image.fromarray(luma.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float64)


def find(
    picture: Picture,
    private: PrivateKey,
    own_size_only: bool = False,
) -> Found | None:
    """The capsule in a picture that may have been re-encoded, resized or framed on its
    way, uint8 (H, W, 3); None where no pilots are seen.

    Raises Unreadable where there is a capsule that does not open, and Refused for
    content that its receiver must not take.
    """
    for size, reading in readings(picture, private.picture.shape[:2], own_size_only):
        blocks = modulation.block_count(size[1], size[0])
        length = capsule.sealed_bytes(reading.rung, blocks)
        found = decoded(reading, length)
        if found is None:
            raise Unreadable(
                "it carries a capsule, of which too little is left to read",
                "it was re-encoded too strongly on its way; ask for the original file",
            )
        opened = capsule.opened(found[0], private, found[1])
        if opened is None:
            raise Unreadable("it carries a capsule that this private key does not open")
        return Found(opened, reading.rung, size, drawing(opened.content))
    return None


def readings(
    picture: Picture, key_shape: tuple[int, ...], own_size_only: bool
) -> Iterator[tuple[tuple[int, int], modulation.Reading]]:
    """The first size, width and height, at which a picture shows pilots, with its
    reading.

    Tried are its own, the key picture's, and others of its shape; then the same without
    a plain border.
    """
    for seen in (picture, without_border(picture)):
        if seen is None or min(seen.shape[:2]) < SMALLEST // MOST_SCALING:
            continue
        own = (seen.shape[1], seen.shape[0])
        # A picture whose header is whole was not re-encoded.
        look = modulation.quick_look if own_size_only else modulation.find
        reading = look(luma_of(seen, own))
        if reading is not None:
            yield own, reading
            return
        if own_size_only:
            return
        for size in sizes_like(own, (key_shape[1], key_shape[0])):
            luma = luma_of(seen, size)
            quick = modulation.quick_look(luma)
            if quick is not None:
                yield size, modulation.find(luma) or quick
                return


def sizes_like(own: tuple[int, int], key: tuple[int, int]) -> list[tuple[int, int]]:
    """Sizes that a picture with this width and height may have had: first the key's."""
    width, height = own
    out = []
    for w in range(SMALLEST, LARGEST_SEARCHED + 1, SIZE_STEP):
        wanted = w * height / width
        h = SIZE_STEP * round(wanted / SIZE_STEP)
        near = abs(h - wanted) <= max(1.0, 0.6 * w / width)
        scale = w / width
        fits = 1 / MOST_SCALING <= scale <= MOST_SCALING and h >= SMALLEST
        if near and fits and h <= LARGEST_SEARCHED and (w, h) != own:
            out.append((w, h))
    return sorted(out, key=lambda size: (size != key, abs(np.log(size[0] / width))))


def without_border(picture: Picture) -> Picture | None:
    """The picture without a frame in the colour of its corner; None where there is
    none.
    """
    differs = np.abs(picture.astype(np.int16) - picture[0, 0]).max(2) > BORDER_TOLERANCE
    rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
    if not len(rows):
        return None
    inside = picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return None if inside.shape == picture.shape else inside
