"""What the first bytes of an image file tell: format and size, before anything is decoded."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Format", "Header", "read_header"]

Format: TypeAlias = Literal["PNG", "JPEG", "BMP", "TIFF", "WEBP"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_END = b"\xff\xd9"
_JPEG_SCAN = 0xDA
# Frame headers, of all ways of coding; the four left out are other segments.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}

_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_EXTRA_SAMPLES = 256, 257, 338
_TIFF_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_UNASSOCIATED_ALPHA = 2


@dataclass(frozen=True)
class Header:
    """What a file says of its image.

    Attributes:
        format: Of the file.
        width: As stored, in pixels.
        height: As stored, in pixels.
        alpha_offset: Of a TIFF with transparency beside full colours: where the byte lies that says so.
    """

    format: Format
    width: int
    height: int
    alpha_offset: int | None = None


def read_header(content: bytes) -> Header | None:
    """Read the header of a PNG, JPEG, BMP, TIFF or WebP file.

    Returns:
        The header, or None if the content is of no such format.

    Raises:
        ValueError: If the file is damaged or truncated; the message says what is missing.
    """
    try:
        if content.startswith(_PNG):
            return Header("PNG", *struct.unpack_from(">II", content, 16))
        if content.startswith(b"\xff\xd8\xff"):
            return _jpeg(content)
        if content.startswith(b"BM"):
            return _bmp(content)
        if content[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return _tiff(content)
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp(content)
    except (struct.error, IndexError):
        raise ValueError("its header ends too early") from None
    return None


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
            size = width, height
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
    big = content[2:4].strip(b"\0") == b"+"
    (directory,) = struct.unpack_from(order + ("Q" if big else "I"), content, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), content, directory)
    entry, start = (20, directory + 8) if big else (12, directory + 2)
    values: dict[int, int] = {}
    alpha_offset = None
    for place in range(start, start + entry * min(count, 4096), entry):
        tag, kind = struct.unpack_from(order + "HH", content, place)
        if tag not in (_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_EXTRA_SAMPLES) or kind not in _TIFF_FORMATS:
            continue
        offset = place + (12 if big else 8)
        (values[tag],) = struct.unpack_from(order + _TIFF_FORMATS[kind], content, offset)
        if tag == _TIFF_EXTRA_SAMPLES and kind == 3 and values[tag] == _UNASSOCIATED_ALPHA:
            alpha_offset = offset + (0 if order == "<" else 1)
    if _TIFF_WIDTH not in values or _TIFF_HEIGHT not in values:
        raise ValueError("it does not say its size")
    return Header("TIFF", values[_TIFF_WIDTH], values[_TIFF_HEIGHT], alpha_offset)


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
