"""How many pages or frames a file has: the first alone is read, which should be known."""

from __future__ import annotations

import io
import struct
from typing import IO

__all__ = ["count_pages"]

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = {b"II*\0": ("<", False), b"MM\0*": (">", False), b"II+\0": ("<", True), b"MM\0+": (">", True)}
_NEW_SUBFILE_TYPE = 254
# Smaller copies of a page and masks of its transparency are no pages.
_NO_PAGE = 1 | 4
_MOST = 10_000


def count_pages(file: bytes | IO[bytes]) -> int:
    """Count the pages of a TIFF, or the frames of an animated PNG or WebP; 1 for all other files, damaged ones too.

    What JPEG files hold beside their picture, such as a preview or a map of brightness, is no page.

    Args:
        file: The content, or a file open for reading, which is read from its start and left anywhere.
    """
    stream = io.BytesIO(file) if isinstance(file, bytes) else file
    try:
        stream.seek(0)
        head = stream.read(12)
        if head.startswith(_PNG):
            return _png(stream)
        if head[:4] in _TIFF:
            return max(1, _tiff(stream, *_TIFF[head[:4]]))
        if head[:4] == b"RIFF" and head[8:] == b"WEBP":
            return max(1, _webp(stream))
    except (struct.error, OverflowError, ValueError):
        pass
    return 1


def _png(stream: IO[bytes]) -> int:
    place, frames, first = len(_PNG), 0, False
    for _ in range(_MOST):
        stream.seek(place)
        length, kind = struct.unpack(">I4s", stream.read(8))
        if kind == b"acTL":
            (frames,) = struct.unpack(">I", stream.read(4))
        first = first or kind == b"fcTL"
        if kind in (b"IDAT", b"IEND"):
            break
        place += 12 + length
    # The picture for programs that show no frames may be one of them, or none.
    return max(1, min(frames, _MOST) + (frames > 0 and not first))


def _tiff(stream: IO[bytes], order: str, big: bool) -> int:
    word, entry = (order + "Q", 20) if big else (order + "I", 12)
    size = struct.calcsize(word)
    stream.seek(8 if big else 4)
    (place,) = struct.unpack(word, stream.read(size))
    pages, seen = 0, set[int]()
    while place and place not in seen and len(seen) < _MOST:
        seen.add(place)
        stream.seek(place)
        (count,) = struct.unpack(order + ("Q" if big else "H"), stream.read(8 if big else 2))
        entries = stream.read(entry * min(count, 4096))
        kinds = 0
        for start in range(0, len(entries) - entry + 1, entry):
            if struct.unpack_from(order + "H", entries, start)[0] == _NEW_SUBFILE_TYPE:
                (kinds,) = struct.unpack_from(order + "I", entries, start + (12 if big else 8))
        pages += not kinds & _NO_PAGE
        (place,) = struct.unpack(word, stream.read(size))
    return pages


def _webp(stream: IO[bytes]) -> int:
    place, frames = 12, 0
    for _ in range(_MOST):
        stream.seek(place)
        head = stream.read(8)
        if len(head) < 8:
            break
        kind, length = struct.unpack("<4sI", head)
        frames += kind == b"ANMF"
        place += 8 + length + length % 2
    return frames
