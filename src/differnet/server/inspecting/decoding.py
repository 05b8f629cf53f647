"""How much of decoded images there may be at once, whatever they are decoded for."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from differnet.compute.memory import give_back_freed_memory
from differnet.server.problems import Problem

__all__ = ["Decoding", "decoded_bytes"]

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
