"""Who may do what: dependencies of the routes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from differnet.server.problems import Problem
from differnet.server.storage.keyring import KeyRing, Role

__all__ = ["Access", "key_of"]

# A client that tries so many wrong keys in a minute waits for each answer from then on. Keys are 256 random bits, which
# nobody guesses; it is for the log and the database.
_MOST_WRONG = 20
_WRONG_SECONDS = 60.0
_SLOWED_SECONDS = 0.5
_MOST_CLIENTS = 1000


class Access:
    """Checks keys.

    Args:
        keyring: The keys.
        required: Whether a key is needed even while there is none.
    """

    def __init__(self, keyring: KeyRing, *, required: bool) -> None:
        self._keyring, self._required = keyring, required
        self._wrong: dict[str, deque[float]] = {}

    async def key_needed(self) -> bool:
        """Whether a request needs a key; once there was one, it always does."""
        if not self._keyring.is_fresh:
            await run_in_threadpool(self._keyring.valid)
        return self._required or self._keyring.any

    async def asks_for_keys(self) -> bool:
        """As `key_needed`, by what was known last where the database does not answer."""
        try:
            return await self.key_needed()
        except Problem:
            return self._required or self._keyring.any

    async def still_valid(self, request: Request, role: Role) -> bool:
        """Whether a request that was let in would be let in again: its key may have been revoked meanwhile."""
        try:
            if not await self.key_needed():
                return True
            secret = _secret(request)
            key = None if secret is None else self._keyring.find(secret)
        except Problem:  # the database does not answer just now
            return True
        return key is not None and key.may(role)

    def role(self, role: Role) -> Callable[[Request], Awaitable[Role]]:
        """A dependency that lets those in who may do what the role may."""

        async def check(request: Request) -> Role:
            if not await self.key_needed():
                return "admin"
            secret = _secret(request)
            if secret is None:
                raise Problem(401, "A key is needed; send it in the header X-API-Key.")
            key = self._keyring.find(secret)
            if key is None:
                await self._slow_down(request)
                raise Problem(401, "The key is not valid; 'differnet keys list' shows those that are.")
            request.state.key_id = key.id
            if not key.may(role):
                raise Problem(403, f"The key has the role '{key.role}', this takes '{role}'.")
            return key.role

        return check

    async def _slow_down(self, request: Request) -> None:
        client = request.client.host if request.client else ""
        now = time.monotonic()
        tried = self._wrong.pop(client, None) or deque(maxlen=_MOST_WRONG)
        self._wrong[client] = tried  # behind the others
        while len(self._wrong) > _MOST_CLIENTS:
            del self._wrong[next(iter(self._wrong))]
        recent = len(tried) == _MOST_WRONG and now - tried[0] < _WRONG_SECONDS
        tried.append(now)
        if recent:
            await asyncio.sleep(_SLOWED_SECONDS)


def key_of(request: Request) -> str | None:
    """Id of the key that a request was let in by; None where none was needed."""
    return getattr(request.state, "key_id", None)


def _secret(request: Request) -> str | None:
    given = request.headers.get("x-api-key")
    if given:
        return given
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
