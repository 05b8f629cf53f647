"""API keys: who may do what. Only their hashes are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import sqlalchemy as sa

from differnet.errors import SettingsError
from differnet.server.storage.database import Database, keys, now

__all__ = ["ROLES", "Key", "KeyRing", "Role"]

Role = Literal["inspect", "review", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
"""Each may do what those before it may."""

_PREFIX = "dn_"
# A key that was revoked elsewhere is refused after this many seconds at the latest.
_FRESH_SECONDS = 2.0
# Likewise the first key of all, where the database cannot tell that without waiting.
_FIRST_SECONDS = 0.2


@dataclass(frozen=True)
class Key:
    """A key, without its secret.

    Attributes:
        id: By which it is listed and revoked, 8 hexadecimal digits.
        name: What it is for.
        role: What it may do.
        sha256: Of the secret.
        created: When.
        revoked_at: When it was revoked, None while it is in force.
    """

    id: str
    name: str
    role: Role
    sha256: str
    created: datetime
    revoked_at: datetime | None = None

    def may(self, role: Role) -> bool:
        """Whether the key may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


class KeyRing:
    """The keys of a service.

    A secret is 256 random bits, so a plain SHA-256 of it cannot be turned back and needs no salt.

    Args:
        database: With its tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._valid: dict[str, Key] = {}
        self._any = False
        self._read_at = -float("inf")

    def create(self, name: str, role: str) -> tuple[Key, str]:
        """Make a key.

        Returns:
            The key, and its secret, which nothing can tell again.

        Raises:
            SettingsError: If there is no such role.
        """
        chosen = next((known for known in ROLES if known == role), None)
        if chosen is None:
            raise SettingsError(f"There is no role '{role}'; choose one of {', '.join(ROLES)}.")
        secret = _PREFIX + secrets.token_urlsafe(32)
        key = Key(secrets.token_hex(4), name[:200], chosen, _hash(secret), now())
        with self._database.writing() as connection:
            connection.execute(
                sa.insert(keys).values(id=key.id, name=key.name, role=role, sha256=key.sha256, created=key.created)
            )
        return key, secret

    def all(self) -> list[Key]:
        """All keys, oldest first, revoked ones too."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(keys).order_by(keys.c.created)).mappings().all()
        return [Key(**row) for row in rows]

    def revoke(self, identity: str) -> None:
        """Put a key out of force.

        Raises:
            SettingsError: If there is none with this id in force.
        """
        with self._database.writing() as connection:
            query = sa.update(keys).where(keys.c.id == identity, keys.c.revoked_at.is_(None))
            if connection.execute(query.values(revoked_at=now())).rowcount != 1:
                raise SettingsError(f"There is no key '{identity}' in force; 'differnet keys list' shows them.")

    def valid(self) -> dict[str, Key]:
        """Keys in force by the hash of their secrets, at most two seconds old."""
        if not self.is_fresh:
            with self._lock:
                if not self.is_fresh:
                    known = self.all()
                    self._any = bool(known)
                    self._valid = {key.sha256: key for key in known if key.revoked_at is None}
                    self._read_at = time.monotonic()
        return self._valid

    @property
    def any(self) -> bool:
        """Whether a key was ever made, as of the last time that the database was asked: revoked ones count."""
        return self._any

    @property
    def is_fresh(self) -> bool:
        """Whether `valid` answers without asking the database, but for whether there is a first key."""
        age = time.monotonic() - self._read_at
        if self._any or age > _FRESH_SECONDS:
            return age <= _FRESH_SECONDS
        # While there is no key everyone is let in, so that the first one must count at once.
        found = self._database.holds_any(keys)
        return age <= _FIRST_SECONDS if found is None else not found

    def find(self, secret: str) -> Key | None:
        """The key in force with this secret."""
        digest = _hash(secret)
        key = self.valid().get(digest)
        # What is looked up is a hash, which tells an attacker's clock nothing; compared in constant time all the same.
        return key if key is not None and hmac.compare_digest(key.sha256, digest) else None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
