"""Results posted to a web address."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from differnet.errors import SettingsError
from differnet.sinks.delivering import Answer, DeliveringSink, Delivery
from differnet.sinks.rows import COLUMNS

__all__ = ["WebhookSink"]


class WebhookSink(DeliveringSink):
    """Posts every result as a JSON object, with its key as ``Idempotency-Key``.

    An answer of 2xx means that it has arrived, one of 4xx that the receiver does not want it, but for 408 and 429.

    Args:
        destination: The address; only its host is ever told, since the rest may be secret.
        columns: As for `DeliveringSink`, as are ``patience`` and ``first_wait``.
        token: Sent as ``Authorization: Bearer``; None sends none.
        timeout: Seconds to wait for an answer.
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
        self._opener = urllib.request.build_opener(_NoRedirects)

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
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                return int(answer.status), f"{answer.status} {answer.reason}", 0.0
        except urllib.error.HTTPError as error:
            with error:
                return error.code, f"{error.code} {error.reason}", _seconds(error.headers.get("Retry-After"))
        except urllib.error.URLError as error:
            return 0, _words(error.reason), 0.0
        except (OSError, http.client.HTTPException) as error:
            return 0, _words(error), 0.0


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


def _words(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__) if error else "no connection"
