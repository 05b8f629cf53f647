"""One service to a data folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from differnet.errors import SettingsError

try:
    import fcntl
except ImportError:  # not of POSIX, where two services are not told apart
    fcntl = None  # type: ignore[assignment]

__all__ = ["only_service"]

_NAME = ".service-lock"


@contextmanager
def only_service(folder: Path) -> Iterator[None]:
    """Have a data folder to oneself for the time of the block; the system gives it back when a process is killed.

    Raises:
        SettingsError: If another service has it.
    """
    if fcntl is None:
        yield
        return
    try:
        lock = os.open(folder / _NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError:  # a disk that takes nothing, which is told where it matters
        yield
        return
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(
                f"{folder}: another service uses this data folder; stop it, or give this one another --data."
            ) from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(lock)
