"""Tells those who listen at ``/v1/events`` what happens, without ever waiting for them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

__all__ = ["Events"]

# A listener that is so far behind has gone away, or will ask for the list again.
_MOST_BEHIND = 256
_KEEP_ALIVE_SECONDS = 15.0
# Between two looks at whether a listener may still listen.
_LOOK_SECONDS = 1.0


class Events:
    """Passes events from any thread to the streams of an event loop."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._listeners: set[asyncio.Queue[str | None]] = set()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say which event loop the streams live in."""
        self._loop = loop

    def tell(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send an event to all listeners; may be called from any thread."""
        if self._listeners and self._loop is not None:
            message = f"event: {kind}\ndata: {json.dumps(data)}\n\n"
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._spread, message)

    def close(self) -> None:
        """End all streams."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._spread, None)

    async def stream(self, allowed: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
        """Server-sent events, with a comment now and then that keeps the connection open.

        Args:
            allowed: Whether the listener may still listen; asked before every event, and every few seconds.
        """
        queue: asyncio.Queue[str | None] = asyncio.Queue(_MOST_BEHIND)
        self._listeners.add(queue)
        try:
            yield ": hello\n\n"
            quiet = 0.0
            while True:
                try:
                    message = await asyncio.wait_for(queue.get(), _LOOK_SECONDS)
                    quiet = 0.0
                except asyncio.TimeoutError:
                    quiet += _LOOK_SECONDS
                    message = ""
                if message is None or not await allowed():
                    return
                if quiet >= _KEEP_ALIVE_SECONDS:
                    message, quiet = ": still here\n\n", 0.0
                if message:
                    yield message
        finally:
            self._listeners.discard(queue)

    def _spread(self, message: str | None) -> None:
        for queue in list(self._listeners):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(message)
