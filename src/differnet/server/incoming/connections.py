"""Connections within bounds: their number, their headers, and how long they may be slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from dataclasses import dataclass

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Bounds", "bounded", "most_connections"]

_LOOK_SECONDS = 5.0
# Descriptors that the service has for itself: database, files, models, libraries.
_OWN_DESCRIPTORS = 48
_FEWEST = 8


@dataclass(frozen=True)
class Bounds:
    """What connections may take.

    Attributes:
        connections: Beyond so many, those that wait for nothing are closed, the oldest first; where all are being
            served, new ones are refused.
        header_bytes: Of a request's line and headers.
        header_seconds: That they may take to arrive.
        stalled_seconds: After which a client that does not read its answer is left.
    """

    connections: int = 1000
    header_bytes: int = 64 << 10
    header_seconds: float = 20.0
    stalled_seconds: float = 60.0


def most_connections(most: int = Bounds.connections) -> int:
    """How many connections there may be, by the descriptors that the system grants; as many as it can are asked for."""
    if sys.platform == "win32":
        return most
    import resource  # noqa: PLC0415 - of POSIX

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * most if hard == resource.RLIM_INFINITY else min(4 * most, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    if soft == resource.RLIM_INFINITY:
        return most
    # A request may open files of its own.
    return max(_FEWEST, min(most, (soft - _OWN_DESCRIPTORS) // 2))


def bounded(bounds: Bounds) -> type[HttpToolsProtocol]:
    """The protocol of uvicorn within bounds, for one server."""

    class Bounded(_BoundedProtocol):
        _bounds = bounds
        _open: dict[_BoundedProtocol, None] = {}  # noqa: RUF012 - of this class, which is of one server

    return Bounded


class _BoundedProtocol(HttpToolsProtocol):
    """Counts what comes before and beside a body, and sees whether anything moves."""

    _bounds: Bounds
    _open: dict[_BoundedProtocol, None]
    """All connections, those that were quiet for longest first."""

    _waits = True
    """Whether it waits for a request, or for the rest of its headers."""
    _since = 0.0
    _beside_body = 0
    _body = 0
    _unsent = 0
    _moved = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, in the place of one that waits for nothing if there are too many."""
        super().connection_made(transport)
        self._since = self._moved = time.monotonic()
        self._open[self] = None
        if len(self._open) > self._bounds.connections:
            idle = next((each for each in self._open if each is not self and each._waits), None)
            if idle is not None:
                idle._forget()
                idle.transport.abort()
            else:
                self._refuse("503 Service Unavailable", "The service has too many connections; try again in a moment.")
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        """Make room."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count, and pass on."""
        self._beside_body += len(data)
        if self.transport.is_closing():
            return
        if self._waits and self._since == float("inf"):
            self._since = time.monotonic()
        super().data_received(data)
        # A body in pieces of a byte takes six each; other than that, nothing is longer beside it than within.
        if self._beside_body - self._body > self._bounds.header_bytes + 8 * self._body:
            self._refuse("431 Request Header Fields Too Large", "The headers are too long; send fewer.")

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._since = time.monotonic()
        self._beside_body = min(self._beside_body, self._bounds.header_bytes // 2)
        self._body = 0

    def on_headers_complete(self) -> None:
        """A request is being served from now on."""
        self._waits = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._body += len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """It waits for the next request."""
        super().on_response_complete()
        if not self.pipeline and (self.cycle is None or self.cycle.response_complete):
            self._waits, self._since, self._beside_body, self._body = True, float("inf"), 0, 0
            if self in self._open:
                self._open[self] = self._open.pop(self)

    def _look(self) -> None:
        """See from time to time whether the client goes on, until the connection ends."""
        if self not in self._open:
            return
        now, unsent = time.monotonic(), self.transport.get_write_buffer_size()
        if unsent != self._unsent or not unsent:
            self._unsent, self._moved = unsent, now
        if self._waits and now - self._since > self._bounds.header_seconds:
            self._refuse("408 Request Timeout", "The request did not arrive in time; send it at once.")
        elif now - self._moved > self._bounds.stalled_seconds:
            self.transport.abort()
        else:
            self.loop.call_later(min(_LOOK_SECONDS, self._bounds.header_seconds), self._look)

    def _refuse(self, status: str, detail: str) -> None:
        """Answer outside of the application, and close."""
        answered = self.cycle is None or self.cycle.response_complete
        if answered and (self._beside_body or status.startswith("503")):
            body = json.dumps({"detail": detail}).encode()
            head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self._forget()
        if answered:
            self.transport.close()
        else:
            self.transport.abort()

    def _forget(self) -> None:
        self._open.pop(self, None)
