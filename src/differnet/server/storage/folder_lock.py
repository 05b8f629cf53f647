"""One service to a data folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from differnet.errors import SettingsError

__all__ = ["only_service"]

_NAME = ".service-lock"


@contextmanager
def only_service(folder: Path) -> Iterator[None]:
    """Have a data folder to oneself for the time of the block; the system gives it back when a process is killed.

    Raises:
        SettingsError: If another service has it.
    """
    lock = FileLock(folder / _NAME, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise SettingsError(
            f"{folder}: another service uses this data folder; stop it, or give this one another --data."
        ) from None
    except (OSError, NotImplementedError):  # a disk that takes nothing, told where it matters, or knows no locks
        yield
        return
    try:
        yield
    finally:
        lock.release()
