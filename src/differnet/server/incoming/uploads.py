"""Images out of a request's body: multipart or raw, never more than the limits."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from differnet.server.inspecting.jobs import Upload
from differnet.server.limits import Limits
from differnet.server.problems import Problem

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

__all__ = ["Receiver", "display_name"]

_FIELDS = ("images", "image")
_LONGEST_NAME = 255
_HEADER_BYTES = 8192
# Requests that hold nearly as much as their share count as those that hold all of it: they come side by side.
_ALIKE = 0.9
# Fields of a form that are not images, and are passed over.
_OTHER_PARTS = 64


class Receiver:
    """Reads the bodies of requests, all together within the limits.

    Args:
        limits: Of one request and of all.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0
        self._bodies: list[_Body] = []

    @asynccontextmanager
    async def receive(self, request: Request, *, json: bool = False) -> AsyncIterator[list[Upload | Problem]]:
        """The files of a request, in their order; for one that is too large, the problem stands in its place.

        The bytes count as held until the block ends.

        Args:
            request: The request.
            json: Whether JSON is taken too, as if it were a file.

        Raises:
            Problem: 400, 408, 413 or 415 if the body cannot be used, 503 if too much is being received.
        """
        body = _Body(request, json=json)
        self._bodies.append(body)
        try:
            yield await self._read_in_time(body)
        finally:
            self._bodies.remove(body)
            self._held -= body.received

    async def _read_in_time(self, body: _Body) -> list[Upload | Problem]:
        body.reading = asyncio.ensure_future(self._read(body))
        try:
            return await asyncio.wait_for(body.reading, self._limits.receive_seconds)
        except asyncio.CancelledError:
            if not body.gives_way:
                raise
            raise Problem(503, "The service is receiving too many images at once; try again.", retry_after=2) from None
        except asyncio.TimeoutError:
            raise Problem(
                408, f"The body did not arrive within {self._limits.receive_seconds:g} s; send smaller requests."
            ) from None
        except ClientDisconnect:
            raise Problem(400, "The body ended early; send it whole.") from None

    async def _read(self, body: _Body) -> list[Upload | Problem]:
        kind, options = parse_options_header(body.request.headers.get("content-type"))
        if kind == b"multipart/form-data":
            return await self._read_multipart(body, options.get(b"boundary", b""))
        whole = (b"", b"application/octet-stream", *((b"application/json",) if body.json else ()))
        if kind in whole or kind.startswith(b"image/"):
            content = bytearray()
            async for chunk in self._chunks(body, self._limits.image_bytes):
                content += chunk
            if not content:
                raise Problem(400, "The request has no image; send one as its body, or several as multipart/form-data.")
            name = display_name(body.request.query_params.get("filename"))
            return [self._within(Upload(bytes(content), name))]
        raise Problem(415, "Send an image as image/* or application/octet-stream, or several as multipart/form-data.")

    async def _read_multipart(self, body: _Body, boundary: bytes) -> list[Upload | Problem]:
        if not boundary:
            raise Problem(400, "The multipart body has no boundary; leave Content-Type to your client's library.")
        parts = _Parts(self._limits)
        try:
            parser = MultipartParser(boundary, parts.callbacks(), max_header_size=_HEADER_BYTES)
            async for chunk in self._chunks(body, self._limits.request_bytes):
                parser.write(chunk)
            parser.finalize()
        except FormParserError:
            raise Problem(400, "The multipart body is not well formed; leave it to your client's library.") from None
        if not parts.ended:
            raise Problem(400, "The multipart body ends early; send it whole.")
        if not parts.uploads:
            raise Problem(400, "The request has no file under the name 'images'; add one or more.")
        return [self._within(upload) for upload in parts.uploads]

    def _within(self, upload: Upload) -> Upload | Problem:
        if not upload.content:
            return Problem(422, "The file is empty; send an image.")
        if len(upload.content) > self._limits.image_bytes:
            most = self._limits.image_bytes / (1 << 20)
            return Problem(413, f"The file has more than the {most:g} MiB that an image may have; reduce it.")
        return upload

    async def _chunks(self, body: _Body, most: int) -> AsyncIterator[bytes]:
        """The body as it comes; what has come counts as held, what was only announced does not."""
        if body.announced > most:
            raise _too_large(most)
        async for chunk in body.request.stream():
            body.received += len(chunk)
            self._held += len(chunk)
            if body.received > most:
                raise _too_large(most)
            if self._held > self._limits.received_bytes:
                self._make_room()
            yield chunk

    def _make_room(self) -> None:
        """Refuse the last of the requests that take more than their share, so that the others get through."""
        if self._held - sum(body.received for body in self._bodies if body.gives_way) <= self._limits.received_bytes:
            return
        reading = [body for body in self._bodies if body.received and not body.gives_way]
        share = _ALIKE * self._limits.received_bytes / max(1, len(reading))
        # A request that is being inspected has been received; what it holds is given back soon.
        above = [body for body in reading if body.received > share and body.reading and not body.reading.done()]
        last = (above or [body for body in reading if body.reading and not body.reading.done()])[-1:]
        for body in last:
            body.gives_way = True
            if body.reading is not None:
                body.reading.cancel()


class _Body:
    """The body of a request, and how much of it has come."""

    def __init__(self, request: Request, *, json: bool) -> None:
        self.json = json
        self.request = request
        self.received = 0
        self.gives_way = False
        self.reading: asyncio.Future[list[Upload | Problem]] | None = None
        announced = request.headers.get("content-length", "0")
        self.announced = int(announced) if announced.isdecimal() else 0


class _Parts:
    """Collects the files of a multipart body."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.uploads: list[Upload] = []
        self.ended = False
        self._begun = 0
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._content: bytearray | None = None
        self._filename: str | None = None

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._on_header,
            "on_header_value": self._on_value,
            "on_header_end": self._on_header_end,
            "on_headers_finished": self._on_headers,
            "on_part_data": self._on_data,
            "on_part_end": self._end,
            "on_end": self._on_end,
        }

    def _begin(self) -> None:
        self._begun += 1
        if self._begun > self._limits.images + _OTHER_PARTS:
            raise Problem(413, f"The request has more than {self._limits.images + _OTHER_PARTS} parts; send fewer.")
        self._disposition, self._content, self._filename = b"", None, None

    def _on_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _on_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        if options.get(b"name", b"").decode("utf-8", "replace") not in _FIELDS:
            return
        if len(self.uploads) >= self._limits.images:
            raise Problem(413, f"The request has more than {self._limits.images} images; send fewer at once.")
        name = options.get(b"filename")
        self._filename = None if name is None else display_name(name.decode("utf-8", "replace"))
        self._content = bytearray()

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        # One byte over the limit is enough to see that a file is too large.
        if self._content is not None and len(self._content) <= self._limits.image_bytes:
            self._content += data[start:end]

    def _end(self) -> None:
        if self._content is not None:
            self.uploads.append(Upload(bytes(self._content), self._filename))
            self._content = None

    def _on_end(self) -> None:
        self.ended = True


def _too_large(most: int) -> Problem:
    return Problem(413, f"The body has more than the {most / (1 << 20):g} MiB allowed; send smaller or fewer images.")


def display_name(name: str | None) -> str | None:
    """A file name that is safe to show: without folders and control characters, and of bounded length."""
    if name is None:
        return None
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(letter for letter in base if unicodedata.category(letter)[0] != "C").strip()
    return None if shown in ("", ".", "..") else shown[-_LONGEST_NAME:]
