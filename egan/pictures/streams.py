"""Bytes of picture files before a decoder sees them.

Each format that egan reads is told by its first bytes. What makes the pixels goes on to
Pillow; EXIF, profiles and texts are taken out, so no broken or huge one costs a
picture. A stream that holds more than one picture is told by its structure. What a walk
does not understand is left to the decoder, which calls it damaged.
"""

from __future__ import annotations

import binascii
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

# One list for reading and for finding files. MPO goes through JPEG.
FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "AVIF": (".avif", ".avifs"),
}
ENDINGS = frozenset(ending for endings in FORMATS.values() for ending in endings)
NAMES = "PNG, JPEG, WebP, TIFF, BMP, GIF, PPM and AVIF"

PNG = b"\x89PNG\r\n\x1a\n"
# Bytes of one profile or text, unpacked.
MOST_METADATA = 16 << 20
# Chunks, segments or blocks that a walk goes over.
MOST_PARTS = 1_000_000
OURS = b"egan:"


@dataclass
class Stream:
    """One picture file, taken apart.

    data: what makes the pixels, for the decoder. lossy: why pixels are not kept to the
    bit, in words. clear: the sample or samples (of `depth` bits) that are transparent.
    marks: what makes other programs show the pixels otherwise. tags: of a TIFF, by
    number.
    """

    format: str
    data: bytes
    lossy: str = ""
    several: bool = False
    exif: bytes = b""
    xmp: bytes = b""
    profile: bytes = b""
    text: dict[str, str] = field(default_factory=dict)
    clear: tuple[int, ...] = ()
    depth: int = 8
    marks: list[str] = field(default_factory=list)
    tags: dict[int, tuple[int, ...]] = field(default_factory=dict)


def kind_of(data: bytes) -> str:
    """The format that the first bytes tell; empty for none of the list."""
    if data.startswith(PNG):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    if data[:2] == b"BM":
        return "BMP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if re.match(rb"P[1-6fF]\s", data):
        return "PPM"
    if data[4:8] == b"ftyp" and brands(data) & {b"avif", b"avis"}:
        return "AVIF"
    return ""


def brands(data: bytes) -> set[bytes]:
    """The brands that an ISO base media file names."""
    size = int.from_bytes(data[:4], "big")
    listed = data[8:12] + data[16 : min(size, 512)]
    return {listed[i : i + 4] for i in range(0, len(listed), 4)}


# First bytes of other things that people take for pictures.
OTHERS = (
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"%PDF", "a PDF"),
    (rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?(<!DOCTYPE svg[^>]*>\s*)?<svg", "an SVG"),
    (rb"8BPS", "a Photoshop file"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", "a JPEG 2000"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", "a JPEG XL"),
    (rb"\x1f\x8b|PK\x03\x04|BZh|\xfd7zXZ", "an archive"),
)


def words_for(data: bytes, name: str) -> tuple[str, str]:
    """Message and hint about bytes that are no picture of the list."""
    hint = f"egan reads {NAMES}"
    if data[4:8] == b"ftyp" and brands(data) & {b"heic", b"heix", b"hevc", b"mif1"}:
        return (
            f"{name} is a HEIC picture, which egan does not read",
            "save it as PNG or JPEG; phones call that setting `most compatible`",
        )
    for pattern, words in OTHERS:
        if re.match(pattern, data[:1024], re.DOTALL):
            return (f"{name} is not a picture that can be read: it is {words}", hint)
    return f"{name} is not a picture that can be read", hint


def followed(data: bytes, end: int, kind: str) -> bool:
    """Whether another picture begins behind the end of the first."""
    rest = data[end : end + 4096]
    found = kind_of(rest) or kind_of(rest.lstrip(b"\0\r\n\t "))
    # Two letters alone prove little behind the data of another format.
    return found == kind if found == "BMP" else bool(found)


def unpacked(data: bytes) -> bytes:
    """What zlib packed; empty for damaged or boundless data."""
    opened = zlib.decompressobj()
    try:
        out = opened.decompress(data, MOST_METADATA)
    except zlib.error:
        return b""
    return b"" if opened.unconsumed_tail else out


def parts() -> Iterator[int]:
    """Numbers for a walk. Raises ValueError for a file of more parts than any picture
    has.
    """
    yield from range(MOST_PARTS)
    raise ValueError(f"it has more than {MOST_PARTS} parts")


# PNG


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, begin and end of each chunk's body, to IEND or to the first that is cut
    off.
    """
    at = len(PNG)
    for _ in parts():
        if at + 12 > len(data):
            return
        length = int.from_bytes(data[at : at + 4], "big")
        if at + 12 + length > len(data):
            return
        kind = data[at + 4 : at + 8]
        yield kind, at + 8, at + 8 + length
        at += 12 + length
        if kind == b"IEND":
            return


# Gamma of 1/2.2 and the primaries of sRGB say what is taken for granted anyway.
USUAL_GAMMA = 45455
USUAL_PRIMARIES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)


def take_png(data: bytes) -> Stream:
    stream = Stream("PNG", data)
    kept, end, colour, frames = [PNG], len(PNG), 0, 0
    for kind, begin, stop in png_chunks(data):
        end = stop + 4
        if kind in (b"PLTE", b"IDAT", b"IEND"):
            kept.append(data[begin - 8 : end])
            continue
        body = data[begin:stop]
        if kind == b"IHDR":
            kept.append(data[begin - 8 : end])
            if len(body) >= 10:
                stream.depth, colour = body[8], body[9]
        elif kind == b"tRNS":
            if colour in (0, 2) and len(body) >= 2:
                samples = body[: 2 if colour == 0 else 6]
                stream.clear = struct.unpack(
                    f">{len(samples) // 2}H", samples[: len(samples) // 2 * 2]
                )
            else:
                kept.append(data[begin - 8 : end])
        elif kind == b"acTL":
            frames = max(frames, int.from_bytes(body[:4], "big"))
        elif kind == b"fdAT":
            frames = max(frames, 2)
        elif kind == b"eXIf":
            stream.exif = body
        elif kind == b"iCCP":
            stream.profile = unpacked(body[body.find(b"\0") + 2 :])
        elif kind == b"gAMA" and body[:4] != USUAL_GAMMA.to_bytes(4, "big"):
            stream.marks.append("a gAMA chunk")
        elif kind == b"cHRM" and body[:32] != struct.pack(">8I", *USUAL_PRIMARIES):
            stream.marks.append("a cHRM chunk")
        elif kind == b"cICP" and body[:4] != b"\1\x0d\0\1":
            stream.marks.append("a cICP chunk")
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            take_text(stream, kind, body)
    if end == len(PNG):
        return stream
    # A chunk that is cut off stays cut off.
    kept.append(data[end:] if kept[-1][4:8] != b"IEND" else b"")
    stream.data = b"".join(kept)
    stream.several = frames > 1 or followed(data, end, "PNG")
    return stream


def take_text(stream: Stream, kind: bytes, body: bytes) -> None:
    """A text chunk: egan's own notes, EXIF as ImageMagick writes it, and XMP."""
    key, _, rest = body.partition(b"\0")
    wanted = (b"Raw profile type exif", b"XML:com.adobe.xmp")
    if not key.startswith(OURS) and key not in wanted:
        return
    encoding = "latin-1"
    if kind == b"zTXt":
        rest = unpacked(rest[1:])
    elif kind == b"iTXt":
        packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        rest = unpacked(rest) if packed else rest
        encoding = "utf-8"
    if key.startswith(OURS):
        stream.text[key.decode("latin-1")] = rest.decode(encoding, "replace")
    elif key == b"XML:com.adobe.xmp":
        stream.xmp = rest
    elif not stream.exif:
        try:
            stream.exif = binascii.unhexlify(b"".join(rest.split()[2:]))
        except binascii.Error:
            return


# JPEG

# Markers inside of scans are no such: stuffed bytes and restarts.
MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
ICC = b"ICC_PROFILE\0"


def take_jpeg(data: bytes) -> Stream:
    """JPEG without application segments but those of JFIF and Adobe, which tell
    colours.
    """
    stream = Stream("JPEG", data, "a JPEG")
    kept, at = [data[:2]], 2
    pieces: dict[int, bytes] = {}
    covered = False
    for _ in parts():
        found = MARKER.search(data, at)
        if found is None:
            kept.append(data[at:])
            break
        begin, marker = found.start(), data[found.end() - 1]
        # Entropy-coded data, up to the next marker.
        kept.append(data[at:begin])
        at = found.end()
        if marker == 0xD9:
            kept.append(b"\xff\xd9")
            stream.several = not covered and followed(data, at, "JPEG")
            break
        if marker in (0x01, 0xD8):
            continue
        stop = at + int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : stop]
        at = min(max(stop, at + 2), len(data))
        if marker == 0xE1 and body.startswith(EXIF):
            stream.exif = stream.exif or body
        elif marker == 0xE1 and body.startswith(XMP):
            stream.xmp = body[len(XMP) :]
            covered = covered or b"hdrgm:Version" in body
        elif marker == 0xE2 and body.startswith(ICC) and len(body) > 14:
            pieces.setdefault(body[12], body[14:])
        elif marker == 0xE2 and body.startswith(b"MPF\0"):
            # The others are other views of the same scene.
            covered = True
        elif marker not in (0xFE, *range(0xE1, 0xEE), 0xEF):
            kept.append(data[begin:at])
    stream.data = b"".join(kept)
    stream.profile = b"".join(pieces[number] for number in sorted(pieces))
    return stream


# WebP, BMP, GIF and AVIF


def take_webp(data: bytes) -> Stream:
    end = 8 + int.from_bytes(data[4:8], "little")
    at, kinds = 12, []
    for _ in parts():
        if at + 8 > min(end, len(data)):
            break
        kinds.append(data[at : at + 4])
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2
    lossy = "" if b"VP8L" in kinds and b"VP8 " not in kinds else "a lossy WebP"
    several = kinds.count(b"ANMF") > 1 or followed(data, end, "WEBP")
    return Stream("WEBP", data, lossy, several)


def take_bmp(data: bytes) -> Stream:
    end = int.from_bytes(data[2:6], "little")
    return Stream("BMP", data, several=end >= 26 and followed(data, end, "BMP"))


def take_gif(data: bytes) -> Stream:
    """GIF without comments and applications' blocks; pictures are counted to the
    second.
    """
    stream = Stream("GIF", data, "a GIF of 256 colours")
    at = 13 + (3 << (data[10] & 7) + 1 if len(data) > 10 and data[10] & 0x80 else 0)
    kept, pictures = [data[:at]], 0
    for _ in parts():
        begin, mark = at, data[at : at + 1]
        if mark == b"\x21":
            at = behind_blocks(data, at + 2)
            if data[begin + 1 : begin + 2] != b"\xf9":
                continue
        elif mark == b"\x2c":
            pictures += 1
            flags = data[at + 9] if at + 9 < len(data) else 0
            table = 3 << (flags & 7) + 1 if flags & 0x80 else 0
            at = behind_blocks(data, at + 11 + table)
        elif mark == b"\x3b":
            stream.several = followed(data, at + 1, "GIF")
        if pictures > 1 or mark not in (b"\x21", b"\x2c"):
            kept.append(data[begin:])
            break
        kept.append(data[begin:at])
    stream.data = b"".join(kept)
    stream.several = stream.several or pictures > 1
    return stream


def behind_blocks(data: bytes, at: int) -> int:
    """The place behind a chain of GIF's blocks of at most 255 bytes."""
    while at < len(data) and data[at]:
        at += 1 + data[at]
    return at + 1


def take_avif(data: bytes) -> Stream:
    """AVIF without its EXIF: how the picture is turned stands in its own properties."""
    stream = Stream("AVIF", data, "an AVIF")
    at = 0
    for _ in parts():
        if at + 8 > len(data):
            break
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        size = size or len(data) - at
        if size < 8:
            break
        if at and kind_of(data[at : at + 512]):
            break
        if kind == b"meta":
            part = data[at : at + size]
            hidden = re.sub(rb"(infe.{8})Exif", rb"\1hide", part, flags=re.DOTALL)
            stream.data = data[:at] + hidden + data[at + size :]
        at += size
    stream.several = followed(data, at, "AVIF")
    return stream
