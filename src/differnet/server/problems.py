"""What can go wrong in a request: each problem has a status and a sentence."""

from __future__ import annotations

from differnet.errors import DifferNetError

__all__ = ["Problem"]


class Problem(DifferNetError):  # noqa: N818 - as in RFC 9457, "problem details"
    """A request that cannot be served.

    Args:
        status: HTTP status, 4xx or 5xx.
        detail: One sentence that says what is wrong and what to do.
        retry_after: Seconds after which to try again.
    """

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.retry_after = retry_after
