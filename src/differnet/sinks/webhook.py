"""Results posted to a web address."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from differnet.errors import SettingsError
from differnet.sinks.delivering import Answer, DeliveringSink, Delivery, in_words
from differnet.sinks.rows import COLUMNS

__all__ = ["WebhookSink"]


class WebhookSink(DeliveringSink):
    """Posts every result as a JSON object, with its key as ``Idempotency-Key``.

    An answer of 2xx means that it has arrived, one of 4xx that the receiver does not want it, but for 408 and 429.

    Args:
        destination: The address; only its host is ever told, since the rest may be secret.
        columns: As for `DeliveringSink`, as are ``patience`` and ``first_wait``.
        token: Sent as ``Authorization: Bearer``; None sends none.
        timeout: Seconds that an attempt may take, from the connection to the end of the answer's headers.
        patience: See there.
        first_wait: See there.

    Raises:
        SettingsError: If the address is none.
    """

    name = "webhook"
    schemes = ("http", "https")

    def __init__(
        self,
        destination: str,
        *,
        columns: Iterable[str] = COLUMNS,
        token: str | None = None,
        timeout: float = 10.0,
        patience: float = 60.0,
        first_wait: float = 1.0,
    ) -> None:
        super().__init__(f"webhook: {_host(destination)}", columns=columns, patience=patience, first_wait=first_wait)
        self._url = destination
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", "User-Agent": f"differnet/{version('differnet')}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def deliver(self, body: bytes, key: str) -> Answer:
        """Post once."""
        status, reason, wait = self._post(body, key)
        if 200 <= status < 300:
            return Answer(Delivery.ARRIVED, reason)
        refused = 400 <= status < 500 and status not in (408, 429)
        return Answer(Delivery.REFUSED if refused else Delivery.FAILED, reason, wait)

    def _post(self, body: bytes, key: str) -> tuple[int, str, float]:
        """Post once.

        Returns:
            The status, 0 without an answer; what came, in words; seconds for which the receiver asks to be left alone.
        """
        headers = self._headers | {"Idempotency-Key": key}
        request = urllib.request.Request(self._url, body, headers, method="POST")  # noqa: S310 - checked
        limit = _Limit(self._timeout)
        opener = urllib.request.build_opener(_NoRedirects, _Http(limit), _Https(limit))
        try:
            with limit, opener.open(request, timeout=self._timeout) as answer:
                if limit.over:  # headers that were cut off read like ones that have ended
                    return 0, in_words(TimeoutError()), 0.0
                return int(answer.status), f"{answer.status} {answer.reason}", 0.0
        except urllib.error.HTTPError as error:
            with error:
                return error.code, f"{error.code} {error.reason}", _seconds(error.headers.get("Retry-After"))
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = error.reason if isinstance(error, urllib.error.URLError) else error
            return 0, in_words(TimeoutError() if limit.over else said), 0.0


class _Limit:
    """Cuts the connections of an attempt that takes too long: the timeout of a socket begins anew with every byte."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.over = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def watch(self, connection: socket.socket) -> None:
        """Cut a connection too when the time is over."""
        with self._lock:
            self._sockets.append(connection)
        if self.over:
            self._cut()

    def _cut(self) -> None:
        with self._lock:
            self.over = True
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    # Of the socket itself: for one with TLS, its own method would wait for a lock.
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)


class _Http(urllib.request.HTTPHandler):
    """Connections within a limit."""

    def __init__(self, limit: _Limit) -> None:
        super().__init__()
        self._limit = limit

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open one."""
        return self.do_open(_watched(http.client.HTTPConnection, self._limit), req)


class _Https(urllib.request.HTTPSHandler):
    """The same with TLS."""

    def __init__(self, limit: _Limit) -> None:
        super().__init__()
        self._limit = limit

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open one."""
        return self.do_open(_watched(http.client.HTTPSConnection, self._limit), req)


def _watched(kind: type[http.client.HTTPConnection], limit: _Limit) -> type[http.client.HTTPConnection]:
    class Watched(kind):  # type: ignore[misc, valid-type]
        def connect(self) -> None:
            super().connect()
            limit.watch(self.sock)

    return Watched


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirected POST would arrive as a GET, without the verdict."""

    def redirect_request(self, *_: Any) -> None:  # noqa: ANN401
        """Follow none."""


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not url.isascii() or any(c.isspace() for c in url):
        raise SettingsError("The webhook is not a web address; give one such as https://example.com/verdicts.")
    if parts.username is not None:
        raise SettingsError("The webhook's address must hold no password; give it by DIFFERNET_WEBHOOK_TOKEN.")
    return host


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:  # a date, which the pauses come near enough to
        return 0.0
