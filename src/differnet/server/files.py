"""Originals of inspected images, and what is derived from them, on disk by content hash."""

from __future__ import annotations

import os
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from differnet.errors import OutputError

__all__ = ["FileStore"]

_PART = ".part"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class FileStore:
    """Files named by the SHA-256 of an image, in 256 folders: with more, nearly every image would make one of its own.

    A file appears under its name only when it is complete and has reached the disk.

    Args:
        root: Folder of the data; ``images`` and ``derived`` are made in it.

    Raises:
        OutputError: If the folders cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self._images = root / "images"
        self._derived = root / "derived"
        self._lock = threading.Lock()
        self._pins: Counter[str] = Counter()
        try:
            self._images.mkdir(parents=True, exist_ok=True)
            self._derived.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{root}: cannot be written ({error.strerror}); choose a data folder that is writable."
            ) from None

    def image(self, sha256: str) -> Path:
        """Where the original with this hash is, whether it exists or not."""
        return self._images / _fan_out(sha256)

    def derived(self, sha256: str, name: str) -> Path:
        """Where something derived from the original is, whether it exists or not."""
        return self._derived / _fan_out(sha256) / name

    @contextmanager
    def pinned(self, hashes: list[str]) -> Iterator[None]:
        """Keep originals from being removed until they are recorded."""
        with self._lock:
            self._pins.update(hashes)
        try:
            yield
        finally:
            with self._lock:
                self._pins.subtract(hashes)
                self._pins += Counter()  # drops those that reached 0

    def store(self, sha256: str, content: bytes) -> None:
        """Keep an original; one that is there already is left as it is.

        Raises:
            OSError: If it cannot be written.
        """
        path = self.image(sha256)
        if not path.exists():
            _write(path, content)

    def store_derived(self, sha256: str, name: str, content: bytes) -> None:
        """Keep something derived from an original.

        Raises:
            OSError: If it cannot be written.
        """
        _write(self.derived(sha256, name), content)

    def remove(self, sha256: str) -> bool:
        """Remove an original and all that was derived from it; returns False if it is pinned."""
        with self._lock:
            if self._pins[sha256]:
                return False
            self.image(sha256).unlink(missing_ok=True)
        shutil.rmtree(self._derived / _fan_out(sha256), ignore_errors=True)
        return True

    def strays(self, older_than: float) -> Iterator[Path]:
        """Unfinished files that a killed process left.

        Args:
            older_than: In seconds; younger ones may still be written.
        """
        limit = time.time() - older_than
        for folder in (self._images, self._derived):
            for part in folder.rglob(f"*{_PART}"):
                if part.stat().st_mtime < limit:
                    yield part

    def originals(self) -> Iterator[tuple[str, float]]:
        """The hashes of all originals on disk, and when each was written."""
        for path in self._images.rglob("*"):
            if path.is_file() and path.suffix != _PART:
                yield path.name, path.stat().st_mtime


def _fan_out(sha256: str) -> Path:
    return Path(sha256[:2], sha256)


def _write(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_PART}")
    try:
        try:
            number = os.open(part, _NEW_FILE, 0o600)
        except FileNotFoundError:
            part.parent.mkdir(parents=True, exist_ok=True)
            number = os.open(part, _NEW_FILE, 0o600)
        with os.fdopen(number, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(number)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
