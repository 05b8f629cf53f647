"""Who may do what: dependencies of the routes."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from differnet.server.problems import Problem
from differnet.server.storage.keyring import KeyRing, Role

__all__ = ["Access", "is_loopback"]

_LOOPBACK_NAMES = ("localhost", "localhost.localdomain")


class Access:
    """Checks keys.

    Args:
        keyring: The keys.
        required: Whether a key is needed even while there is none.
    """

    def __init__(self, keyring: KeyRing, *, required: bool) -> None:
        self._keyring, self._required = keyring, required

    async def key_needed(self) -> bool:
        """Whether a request needs a key; once there was one, it always does."""
        if not self._keyring.is_fresh:
            await run_in_threadpool(self._keyring.valid)
        return self._required or self._keyring.any

    def open_to(self, host: str) -> bool:
        """Whether a request by this host name is let in: without keys, only those of this computer's own names."""
        return self._required or self._keyring.any or is_loopback(host)

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
                raise Problem(401, "The key is not valid; 'differnet keys list' shows those that are.")
            request.state.key_id = key.id
            if not key.may(role):
                raise Problem(403, f"The key has the role '{key.role}', this takes '{role}'.")
            return key.role

        return check


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this computer's own."""
    if host.lower() in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _secret(request: Request) -> str | None:
    given = request.headers.get("x-api-key")
    if given:
        return given
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
