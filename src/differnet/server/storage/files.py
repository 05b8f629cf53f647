"""Originals of inspected images, and what is derived from them, on disk by content hash."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from differnet.errors import OutputError

__all__ = ["PART_SUFFIX", "FileStore", "store_file"]

PART_SUFFIX = ".part"
"""Of files that are not finished."""

_TRIED_BYTES = 1 << 20


class FileStore:
    """Files named by the SHA-256 of an image, in 256 folders: with more, nearly every image would make one of its own.

    A file appears under its name only when it is complete and has reached the disk. It is not `differnet.files` that
    writes it: the originals of a batch begin their way to the disk together and are then waited for, and none but the
    service may read them.

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

    @contextlib.contextmanager
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

    def store(self, contents: Mapping[str, bytes]) -> dict[str, OSError]:
        """Keep originals; one that is there already is left as it is, one that was damaged is replaced.

        Args:
            contents: By their hashes.

        Returns:
            By their hashes, why some could not be written.
        """
        begun: dict[str, BinaryIO] = {}
        failed: dict[str, OSError] = {}
        for sha256, content in contents.items():
            path = self.image(sha256)
            try:
                if not _holds(path, content):
                    begun[sha256] = _begin(path, content)
            except OSError as error:
                failed[sha256] = error
        # The disk takes all that is on its way to it at once, so that only the first has to be waited for.
        for sha256, part in begun.items():
            try:
                _finish(part, self.image(sha256))
            except OSError as error:
                failed[sha256] = error
        return failed

    def store_derived(self, sha256: str, name: str, content: bytes) -> None:
        """Keep something derived from an original.

        Raises:
            OSError: If it cannot be written.
        """
        store_file(self.derived(sha256, name), content)

    def check_room(self) -> None:
        """Write something of the size of an image, and remove it again.

        Raises:
            OSError: If that cannot be done, since the disk is full, say, or may not be written to.
        """
        part = self._images / f"{uuid.uuid4().hex}{PART_SUFFIX}"
        try:
            with open(part, "xb", opener=_private) as file:
                file.write(bytes(_TRIED_BYTES))
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)

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
            for part in folder.rglob(f"*{PART_SUFFIX}"):
                if part.stat().st_mtime < limit:
                    yield part

    def originals(self) -> Iterator[tuple[str, float]]:
        """The hashes of all originals on disk, and when each was written."""
        for path in self._images.rglob("*"):
            if path.is_file() and path.suffix != PART_SUFFIX:
                yield path.name, path.stat().st_mtime


def store_file(path: Path, content: bytes) -> None:
    """Write a file that none but the service may read, whole or not at all; its folder is made if it is missing.

    Raises:
        OSError: If it cannot be written.
    """
    _finish(_begin(path, content), path)


def _holds(path: Path, content: bytes) -> bool:
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except FileNotFoundError:
        return False


def _fan_out(sha256: str) -> Path:
    return Path(sha256[:2], sha256)


def _begin(path: Path, content: bytes) -> BinaryIO:
    """Write a file beside its place, and have it begin its way to the disk."""
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}{PART_SUFFIX}")
    try:
        file = open(part, "xb", opener=_private)  # noqa: SIM115 - closed by _finish
    except FileNotFoundError:
        part.parent.mkdir(parents=True, exist_ok=True)
        file = open(part, "xb", opener=_private)  # noqa: SIM115
    try:
        file.write(content)
        file.flush()
        # Linux takes what is not needed in memory as a reason to begin now, not in half a minute.
        _need_no_longer(file)
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()  # which tries once more to write what a full disk did not take
        part.unlink(missing_ok=True)
        raise
    return file


def _need_no_longer(file: BinaryIO) -> None:
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _finish(file: BinaryIO, path: Path) -> None:
    """Wait until a file is on the disk, and put it in its place."""
    part = Path(file.name)
    try:
        with file:
            os.fsync(file.fileno())
            # The next one can have its memory, which costs less than memory that was not used for long: a third.
            _need_no_longer(file)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
