"""Watches a page: nothing may go wrong in it, and nothing may leave for another host."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request

__all__ = ["Guard"]


class Guard:
    """Collects what a page does.

    Args:
        page: The page, before it is opened anywhere.
        origin: Where requests may go.
    """

    def __init__(self, page: Page, origin: str) -> None:
        self._origin = urlsplit(origin).netloc
        self._expected: list[str] = []
        self.problems: list[str] = []
        self.outside: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        # Of the whole context: workers and new windows too.
        page.context.on("request", self._on_request)

    def expect(self, pattern: str) -> None:
        """Let a message of the console pass, such as the one that Chromium writes for every refused request."""
        self._expected.append(pattern)

    def check(self) -> None:
        """Fail on any error, and on any request to the outside."""
        assert not self.outside, f"requests to the outside: {self.outside}"
        unexpected = [said for said in self.problems if not any(re.search(pattern, said) for pattern in self._expected)]
        assert not unexpected, unexpected

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != self._origin:
            self.outside.append(request.url)
