"""Decoding what clients sent, and how much of decoded images there may be at once, whatever they are decoded for."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from differnet.compute.memory import give_back_freed_memory
from differnet.errors import ImageError
from differnet.images import DecodedImage, decode_image
from differnet.images.header import read_header
from differnet.images.read import ScaleSource
from differnet.server.inspecting.media_types import media_type
from differnet.server.problems import Problem

__all__ = ["Decoding", "capitalised", "content_cost", "decode_upload", "decoded_bytes", "known_media_type"]

_log = logging.getLogger(__name__)

# What decoding takes at its most for each pixel, with the decoder's own copy; and for more than eight bits a value.
_USUAL, _DEEP = 8, 30
_LARGE = 64 << 20
_DEEP_PNG = 16


class Decoding:
    """A bound on the memory that decoded images take, for inspections, heat maps and thumbnails together.

    Who comes first is served first, so that large images are not passed by for ever. One image is always let in,
    however large, when nothing else is there.

    Args:
        most: Bytes.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._change = threading.Condition()
        self._queue: deque[object] = deque()

    @property
    def held(self) -> int:
        """Bytes that are taken."""
        return self._held

    @contextmanager
    def hold(self, size: int, seconds: float) -> Iterator[None]:
        """Take memory for the time of the block.

        Args:
            size: Bytes.
            seconds: How long to wait for it.

        Raises:
            Problem: 503 if there was no room in that time.
        """
        self._enter(size, seconds)
        try:
            yield
        finally:
            with self._change:
                self._held -= size
                self._change.notify_all()
            if size >= _LARGE:
                give_back_freed_memory()

    def _enter(self, size: int, seconds: float) -> None:
        ticket, until = object(), time.monotonic() + seconds
        with self._change:
            self._queue.append(ticket)
            try:
                first = self._change.wait_for(
                    lambda: self._queue[0] is ticket and (not self._held or self._held + size <= self._most),
                    max(0.0, until - time.monotonic()),
                )
                if not first:
                    wait = max(1, math.ceil(seconds / 2))
                    raise Problem(
                        503, f"The service is busy with large images; try again in {wait} s.", retry_after=wait
                    )
                self._held += size
            finally:
                self._queue.remove(ticket)
                self._change.notify_all()


def decoded_bytes(pixels: int, head: bytes) -> int:
    """What decoding an image takes at its most.

    Args:
        pixels: Of the image.
        head: The first bytes of the file, 26 or more.
    """
    deep = head[:2] in (b"II", b"MM") or (head.startswith(b"\x89PNG") and head[24:25] == bytes([_DEEP_PNG]))
    return pixels * (_DEEP if deep else _USUAL)


def content_cost(content: bytes) -> int:
    """What decoding a file takes; nothing of one whose header cannot be read, which is refused without."""
    try:
        header = read_header(content)
    except ValueError:
        return 0
    return 0 if header is None else decoded_bytes(header.width * header.height, content[:32])


def known_media_type(content: bytes) -> str:
    """What kind of image a file is.

    Raises:
        Problem: 415 if it is none of those that are read.
    """
    kind = media_type(content)
    if kind is None:
        raise Problem(415, "The file is not a PNG, JPEG, BMP, TIFF or WebP image; convert it.")
    return kind


def decode_upload(content: bytes, pixels: int, scale: ScaleSource) -> DecodedImage:
    """Decode a file that a client sent.

    Args:
        content: Of the file.
        pixels: It may have at most.
        scale: Of pixels of more than eight bits.

    Raises:
        Problem: 422 if it cannot be decoded.
    """
    try:
        return decode_image(content, max_pixels=pixels, scale=scale)
    except ImageError as error:
        raise Problem(422, capitalised(str(error))) from None
    except MemoryError:
        raise Problem(422, "The image takes more memory than there is; reduce it.") from None
    except Exception:  # a decoder's own error, on a file made for that
        _log.exception("an image made its decoder fail")
        raise Problem(422, "The image is damaged in a way that its decoder cannot handle; replace the file.") from None


def capitalised(sentence: str) -> str:
    """With a capital letter at its beginning."""
    return sentence[:1].upper() + sentence[1:]
