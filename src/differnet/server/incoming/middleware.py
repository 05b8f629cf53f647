"""Around every request: security headers, a log line, counts, and who may ask at all."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from differnet.server.incoming.access import Access
from differnet.server.incoming.site import Site
from differnet.server.metrics import Metrics
from differnet.server.problems import Problem

__all__ = ["REPORT_POLICY", "Middleware"]

_log = logging.getLogger(__name__)

_PAGE_POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; frame-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'self'"
)
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts"
)
"""For reports, which are one file with all styles and pictures within; they may not reach the service."""

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), microphone=(), payment=()",
}
# A client that is still sending hears an answer only if what it sends is read; so much is, and for so long.
_DRAINED_BYTES = 512 << 20
_DRAIN_SECONDS = 10.0
_OFTEN_ASKED = ("/healthz", "/readyz", "/metrics")


class Middleware:
    """Wraps the application.

    Args:
        app: The application.
        metrics: Counts requests.
        access: Whether keys are asked for.
        site: Keeps pages of other sites away.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, access: Access, site: Site) -> None:
        self._app, self._metrics, self._access, self._site = app, metrics, access, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        try:
            refusal = await self._refusal(scope, exchange.headers)
            if refusal is None:
                await self._app(scope, exchange.receive, exchange.send)
            else:
                await refusal(scope, exchange.receive, exchange.send)
        finally:
            self._tell(scope, exchange)

    async def _refusal(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        try:
            if b"%00" in scope.get("raw_path", b""):
                raise Problem(400, "The address holds a zero character; correct it.")
            self._site.check(scope["method"], headers, open_to_all=await self._access.asks_for_keys())
        except Problem as problem:
            retry = {} if problem.retry_after is None else {"Retry-After": str(problem.retry_after)}
            return JSONResponse({"detail": problem.detail}, problem.status, retry)
        return None

    def _tell(self, scope: Scope, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        route = getattr(scope.get("route"), "path", None) or "page"
        self._metrics.requests.labels(route, str(exchange.status)).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
        level = logging.DEBUG if route in _OFTEN_ASKED and exchange.status < 400 else logging.INFO
        _log.log(
            level,
            "request",
            extra={
                "request": exchange.identity,
                "method": scope["method"],
                "path": scope["path"],
                "status": exchange.status,
                "milliseconds": round(1000 * seconds, 1),
                "client": scope["client"][0] if scope.get("client") else None,
                "key": scope.get("state", {}).get("key_id"),
            },
        )


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers = Headers(scope=scope)
        self.identity = secrets.token_hex(6)
        self.started = time.perf_counter()
        self.status = 500
        self._receive, self._send = receive, send
        self._whole = "content-length" not in self.headers and "transfer-encoding" not in self.headers
        self._began = False
        self._path = scope["path"]

    async def receive(self) -> Message:
        self._began = True
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._whole = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Content-Security-Policy", _PAGE_POLICY)
            headers.setdefault("Cache-Control", "no-store" if self._path.startswith("/v1/") else "no-cache")
            headers["X-Request-Id"] = self.identity
            if not self._whole:
                await self._drain()
        await self._send(message)

    async def _drain(self) -> None:
        if not self._began and self.headers.get("expect", "").lower() == "100-continue":
            return  # the client has not begun to send

        async def read() -> None:
            size = 0
            while not self._whole and size < _DRAINED_BYTES:
                size += len((await self.receive()).get("body", b""))

        try:
            await asyncio.wait_for(read(), _DRAIN_SECONDS)
        except asyncio.TimeoutError:
            return
