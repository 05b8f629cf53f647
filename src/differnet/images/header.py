"""What the first bytes of an image file tell: format, size and numbers, before anything is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Format", "Header", "check_effort", "read_header", "without_texts"]

Format: TypeAlias = Literal["PNG", "JPEG", "BMP", "TIFF", "WEBP"]

_PNG = b"\x89PNG\r\n\x1a\n"
# Texts, a colour profile, a suggested palette: packed, a kilobyte of them may say megabytes. And frames to be shown
# after the picture, or, of some files and by some decoders, instead of it.
_PNG_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"sPLT", b"acTL", b"fcTL", b"fdAT"})
# No encoder comes near; a decoder that goes through millions of empty ones is busy for minutes.
_MOST_CHUNKS = 100_000
_MOST_PADDING = 1 << 16
_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_JPEG_SCAN = 0xDA
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
# A scan of a few bytes makes a decoder go through all pixels once more. Encoders write a dozen, libjpeg's at most so
# many; so many pixels in all of them take ten seconds or so.
_MOST_SCANS, _MOST_SCANNED = 100, 1 << 31
# Frame headers, of all ways of coding; the four left out are other segments.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _TILES = 273, 324
_EXTRA_SAMPLES, _SAMPLE_FORMAT, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT = 338, 339, 277, 322, 323
# What takes memory by what it says: where it is said twice, decoders may take either.
_SIZES = frozenset({_WIDTH, _HEIGHT, _SAMPLES, _TILE_WIDTH, _TILE_HEIGHT, _STRIPS, _TILES})
_TIFF_TAGS = _SIZES | {_BITS, _COMPRESSION, _PHOTOMETRIC, _EXTRA_SAMPLES, _SAMPLE_FORMAT}
_MOST_SAMPLES, _MOST_BITS, _MOST_TAGS = 16, 128, 4096
_LEAST_TILE, _MOST_TILES = 16, 500_000
_MOST_TILE_PIXELS = 1 << 22
_UNASSOCIATED_ALPHA = 2
_MIN_IS_WHITE = 0
# What every decoder has; the others' names are for the message.
_TIFF_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946})
_OTHER_COMPRESSIONS = {
    6: "old-style JPEG",
    34712: "JPEG 2000",
    34887: "LERC",
    34925: "LZMA",
    50000: "Zstandard",
    50001: "WebP",
    50002: "JPEG XL",
    52546: "JPEG XL",
}
_LAB = frozenset({8, 9, 10})
_SIGNED, _FLOATING, _COMPLEX = 2, 3, (5, 6)


@dataclass(frozen=True)
class Header:
    """What a file says of its image.

    Attributes:
        format: Of the file.
        width: As stored, in pixels.
        height: As stored, in pixels.
        alpha_offset: Of a TIFF with transparency beside full colours: where the byte lies that says so.
        bits: Of a value.
        is_signed: Whether values are integers with a sign.
        is_floating: Whether values are floating-point numbers.
        is_inverted: Whether the smallest value is white, in a TIFF.
        refusal: Why it is not read, though it is a sound file; empty if it is.
    """

    format: Format
    width: int
    height: int
    alpha_offset: int | None = None
    bits: int = 8
    is_signed: bool = False
    is_floating: bool = False
    is_inverted: bool = False
    refusal: str = ""

    @property
    def is_deep(self) -> bool:
        """Whether values are other than unsigned integers of up to eight bits."""
        return self.bits > 8 or self.is_signed or self.is_floating


def read_header(content: bytes) -> Header | None:
    """Read the header of a PNG, JPEG, BMP, TIFF or WebP file.

    Returns:
        The header, or None if the content is of no such format.

    Raises:
        ValueError: If the file is damaged or truncated; the message says what is missing.
    """
    try:
        check_effort(content)
        if content.startswith(_PNG):
            return _png(content)
        if content.startswith(_JPEG_START):
            return _jpeg(content)
        if content.startswith(b"BM"):
            return _bmp(content)
        if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp(content)
    except (struct.error, IndexError, OverflowError):
        raise ValueError("its header ends too early") from None
    return None


def check_effort(content: bytes) -> None:
    """Refuse a PNG or JPEG file that is made so that few bytes keep a decoder busy for minutes.

    Raises:
        ValueError: If it is; the message says of what there is too much.
    """
    if content.startswith(_PNG):
        _check_chunks(content)
    elif content.startswith(_JPEG_START):
        _check_scans(content)


def without_texts(content: bytes) -> bytes:
    """A PNG file without texts, profiles and frames, which decoders would unpack and keep beside the pixels.

    Args:
        content: Of a file; one of another format is returned as it is, as one without texts is.

    Raises:
        ValueError: If it ends too early.
    """
    if not content.startswith(_PNG):
        return content
    texts = [(start, end) for kind, start, end in _png_chunks(content) if kind in _PNG_TEXTS]
    if not texts:
        return content
    starts, ends = zip(*texts, strict=True)
    return b"".join(content[start:end] for start, end in zip((0, *ends), (*starts, None), strict=True))


def _check_chunks(content: bytes) -> None:
    place = len(_PNG)
    for _ in range(_MOST_CHUNKS):
        if place >= len(content) or content[place + 4 : place + 8] == b"IEND":  # what comes behind is none
            return
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    raise ValueError(f"it has more than {_MOST_CHUNKS:,} chunks")


def _check_scans(content: bytes) -> None:
    """Go from marker to marker as decoders do; what is damaged ends it, and is told by others."""
    place, pixels, scans = 2, 1, 0
    for _ in range(_MOST_CHUNKS):
        found = _JPEG_MARKER.search(content, place)
        if not scans and (found.start() if found else len(content)) - place > _MOST_PADDING:
            raise ValueError("its segments do not follow one another")
        if found is None or (scans and found[0] == _JPEG_END):
            return
        marker, place = found[0][1], found.end()
        if found[0] == _JPEG_END:
            continue
        if marker in _JPEG_FRAMES:
            size = content[place + 3 : place + 7]
            pixels = max(pixels, int.from_bytes(size[:2], "big") * int.from_bytes(size[2:], "big"))
        scans += marker == _JPEG_SCAN
        if scans > min(_MOST_SCANS, max(1, _MOST_SCANNED // pixels)):
            raise ValueError("it has more scans than any encoder writes")
        place += int.from_bytes(content[place : place + 2], "big")
    raise ValueError(f"it has more than {_MOST_CHUNKS:,} segments")


def _png(content: bytes) -> Header:
    width, height, bits = struct.unpack_from(">IIB", content, 16)
    if sum(kind == b"IHDR" for kind, _, _ in _png_chunks(content)) > 1:
        raise ValueError("it says its size twice")
    return Header("PNG", width, height, bits=bits)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, place and end of each chunk before the last."""
    place = len(_PNG)
    # Some decoders take the memory of a chunk by the length that it says, whatever there is of it.
    while place + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        if length > len(content) - place - 12:
            raise ValueError("it ends too early")
        if kind == b"IEND":
            break
        yield kind, place, place + 12 + length
        place += 12 + length


def _jpeg(content: bytes) -> Header:
    size = None
    place = 2
    while True:
        if content[place] != 0xFF:
            raise ValueError("its segments do not follow one another")
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", content, place + 5)
            # Of a size that is said twice, decoders may take either.
            size = (width, height) if size is None else (max(size[0], width), max(size[1], height))
        if marker == _JPEG_SCAN:
            break
        place += 2 + struct.unpack_from(">H", content, place + 2)[0]
    if size is None:
        raise ValueError("it has no frame header")
    # Some releases of OpenCV fill up what is missing with grey.
    if content.find(_JPEG_END, place) < 0:
        raise ValueError("its end is missing")
    return Header("JPEG", *size)


def _bmp(content: bytes) -> Header:
    if struct.unpack_from("<I", content, 14)[0] == 12:
        return Header("BMP", *struct.unpack_from("<HH", content, 18))
    width, height = struct.unpack_from("<ii", content, 18)
    return Header("BMP", width, abs(height))


def _tiff(content: bytes) -> Header:
    order = "<" if content.startswith(b"II") else ">"
    found: dict[int, tuple[int, ...]] = {}
    alpha_offset = None
    for tag, kind, offset, values in _tiff_entries(content, order):
        found[tag] = max(found[tag], values) if tag in found and tag in _SIZES else values
        if tag == _EXTRA_SAMPLES and kind == 3 and values[:1] == (_UNASSOCIATED_ALPHA,):
            alpha_offset = offset + (0 if order == "<" else 1)
    if _WIDTH not in found or _HEIGHT not in found:
        raise ValueError("it does not say its size")

    def first(tag: int, default: int) -> int:
        return found[tag][0] if found.get(tag) else default

    if first(_SAMPLES, 1) > _MOST_SAMPLES or max(found.get(_BITS) or (1,)) > _MOST_BITS:
        raise ValueError("it says that its pixels have more values than images have")
    tile = first(_TILE_WIDTH, 0) * first(_TILE_HEIGHT, 0)
    if tile > max(_MOST_TILE_PIXELS, 4 * first(_WIDTH, 0) * first(_HEIGHT, 0)):
        raise ValueError("its tiles are larger than itself")
    tiles = (first(_WIDTH, 0) // _LEAST_TILE + 1) * (first(_HEIGHT, 0) // _LEAST_TILE + 1)
    most = min(max(tiles, first(_HEIGHT, 0)) * first(_SAMPLES, 1), _MOST_TILES)
    if max(first(_STRIPS, 0), first(_TILES, 0)) > most:
        raise ValueError("it has more strips or tiles than its size takes")
    compression, photometric, numbers = first(_COMPRESSION, 1), first(_PHOTOMETRIC, 1), first(_SAMPLE_FORMAT, 1)
    refusal = ""
    if compression not in _TIFF_COMPRESSIONS:
        name = _OTHER_COMPRESSIONS.get(compression, f"number {compression}")
        refusal = f"its TIFF compression ({name}) is not supported; save it uncompressed, or with LZW or Deflate"
    elif photometric in _LAB:
        refusal = "its colours are CIE L*a*b*, which is not supported; save it as RGB"
    elif numbers in _COMPLEX:
        refusal = "its values are complex numbers, which is not supported; save their magnitude"
    return Header(
        "TIFF",
        first(_WIDTH, 0),
        first(_HEIGHT, 0),
        alpha_offset,
        max(found.get(_BITS) or (1,)),
        numbers == _SIGNED,
        numbers == _FLOATING,
        photometric == _MIN_IS_WHITE,
        refusal,
    )


def _tiff_entries(content: bytes, order: str) -> Iterator[tuple[int, int, int, tuple[int, ...]]]:
    """Tag, type, place of the values, and the values, up to four, of what is needed of the first page.

    Of strips and tiles it is how many there are.
    """
    big = content[2:4].strip(b"\0") == b"+"
    word, room = ("Q", 8) if big else ("I", 4)
    (directory,) = struct.unpack_from(order + word, content, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), content, directory)
    entry, start = (20, directory + 8) if big else (12, directory + 2)
    if count > _MOST_TAGS:
        raise ValueError(f"it has more than {_MOST_TAGS:,} tags")
    for place in range(start, start + entry * count, entry):
        tag, kind = struct.unpack_from(order + "HH", content, place)
        (length,) = struct.unpack_from(order + word, content, place + 4)
        if tag in {_STRIPS, _TILES}:
            yield tag, kind, 0, (length,)
            continue
        if tag not in _TIFF_TAGS or kind not in _TIFF_TYPES:
            continue
        offset = place + 4 + room
        if length * struct.calcsize(order + _TIFF_TYPES[kind]) > room:
            (offset,) = struct.unpack_from(order + word, content, offset)
        yield tag, kind, offset, struct.unpack_from(f"{order}{min(length, 4)}{_TIFF_TYPES[kind]}", content, offset)


def _webp(content: bytes) -> Header:
    kind = content[12:16]
    if kind == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        return Header("WEBP", width, int.from_bytes(content[27:30], "little") + 1)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 21)
        return Header("WEBP", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    width, height = struct.unpack_from("<HH", content, 26)
    return Header("WEBP", width & 0x3FFF, height & 0x3FFF)
