"""Delivering verdicts to a web address, until it has them."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from urllib.parse import urlsplit

from differnet.errors import DifferNetError, SettingsError
from differnet.watching.journal import Delivery, Journal

__all__ = ["WebhookSender"]

_LONGEST_WAIT = 300.0
"""Seconds after which a delivery is tried again at the latest."""

_LONGEST_PAUSE = 60.0
"""Seconds for which a receiver that fails is left alone at most, unless it asks for more."""


class WebhookSender:
    """Posts what is queued in the journal, one after the other, in a thread of its own.

    A delivery that fails is tried again, later each time, also by the next process: it arrives at least once. It
    arrives twice if the answer to the first was lost; both have the same ``Idempotency-Key``. An answer of 4xx means
    that the receiver does not want it, but for 408 and 429: that is recorded, told, and not tried again.

    Args:
        url: Where to; only its host is ever told, since the rest may be secret.
        journal: Has the queue.
        say: Hears of what goes well again.
        warn: Hears of what goes wrong: of the first failure in a row, and of every refusal.
        crashed: Called if the thread ends since the journal fails.
        token: Sent as ``Authorization: Bearer``; None sends none.
        timeout: Seconds to wait for an answer.
        first_wait: Seconds before the second try of a delivery, doubled with every further one.

    Attributes:
        delivered: Number of deliveries that arrived.
        refused: Number of those that the receiver did not want.

    Raises:
        SettingsError: If the address is none.
    """

    def __init__(
        self,
        url: str,
        journal: Journal,
        *,
        say: Callable[[str], None] = lambda message: None,
        warn: Callable[[str], None] = lambda message: None,
        crashed: Callable[[DifferNetError], None] = lambda error: None,
        token: str | None = None,
        timeout: float = 10.0,
        first_wait: float = 1.0,
    ) -> None:
        self.delivered = 0
        self.refused = 0
        self._host = _check(url)
        self._url = url
        self._journal = journal
        self._say = say
        self._warn = warn
        self._crashed = crashed
        self._timeout = timeout
        self._first_wait = first_wait
        self._headers = {"Content-Type": "application/json", "User-Agent": f"differnet/{version('differnet')}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._opener = urllib.request.build_opener(_NoRedirects)
        self._failures = 0  # in a row
        self._condition = threading.Condition()
        self._news = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="differnet-webhook", daemon=True)

    def start(self) -> None:
        """Begin, with what an earlier process left."""
        self._journal.restart_deliveries()
        self._thread.start()

    def wake(self) -> None:
        """Tell that something was queued."""
        with self._condition:
            self._news = True
            self._condition.notify_all()

    def drain(self, patience: float, give_up: Callable[[], bool] = lambda: False) -> None:
        """Wait until the queue is empty.

        Args:
            patience: Seconds without a delivery after which waiting ends.
            give_up: Ends it too.
        """
        seen, since = self.delivered + self.refused, time.monotonic()
        while self._thread.is_alive() and self._journal.undelivered() and not give_up():
            time.sleep(0.05)
            if self.delivered + self.refused != seen:
                seen, since = self.delivered + self.refused, time.monotonic()
            elif time.monotonic() - since > patience:
                return

    def close(self) -> None:
        """Finish the delivery in hand; the others stay in the journal."""
        with self._condition:
            self._stopping = True
            self._condition.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            while not self._stopping:
                delivery, due = self._journal.next_delivery(time.monotonic())
                if delivery is None:
                    self._wait(due - time.monotonic(), for_news=True)
                else:
                    self._deliver(delivery)
        except DifferNetError as error:
            self._crashed(error)

    def _wait(self, seconds: float, *, for_news: bool) -> None:
        with self._condition:
            woken = lambda: self._stopping or (for_news and self._news)  # noqa: E731
            self._condition.wait_for(woken, min(seconds, _LONGEST_WAIT))
            self._news = False

    def _deliver(self, delivery: Delivery) -> None:
        status, reason, asked = self._post(delivery)
        if 200 <= status < 300:
            self._journal.delivered(delivery)
            self.delivered += 1
            if self._failures:
                self._say(f"webhook: {self._host} takes verdicts again.")
            self._failures = 0
        elif 400 <= status < 500 and status not in (408, 429):
            self._journal.refuse(delivery, reason)
            self.refused += 1
            self._failures = 0
            self._warn(f"webhook: {self._host} refused a verdict for good ({reason}); it stays in the journal.")
        else:
            wait = min(self._first_wait * 2.0 ** min(delivery.attempts, 30), _LONGEST_WAIT)
            self._journal.postpone(delivery, time.monotonic() + wait)
            if not self._failures:
                self._warn(f"webhook: {self._host} cannot take verdicts ({reason}); they wait and are tried again.")
            # All others would meet the same, unless it lies with this one: hence not for long.
            pause = min(self._first_wait * 2.0 ** min(self._failures, 30), _LONGEST_PAUSE)
            self._failures += 1
            self._wait(max(pause, min(asked, _LONGEST_WAIT)), for_news=False)

    def _post(self, delivery: Delivery) -> tuple[int, str, float]:
        """Post once.

        Returns:
            The status, 0 without an answer; what came, in words; seconds for which the receiver asks to be left alone.
        """
        headers = self._headers | {"Idempotency-Key": delivery.key}
        request = urllib.request.Request(self._url, delivery.body, headers, method="POST")  # noqa: S310 - checked
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


def _check(url: str) -> str:
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
