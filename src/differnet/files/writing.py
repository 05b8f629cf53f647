"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import stat
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from differnet.errors import OutputError

__all__ = ["WHERE_TO_WRITE", "replacing", "replacing_for_good", "staging", "unfinished", "written_whole"]

WHERE_TO_WRITE = "choose a folder that exists, is writable and has room."
"""What a user can do where a file cannot be written."""


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file beside its place; it is put there once it is complete.

    Until then, and for good if the body fails, what is at the path stays as it is. A reader never sees half a file.
    Permissions stay those of the file that is replaced; of a new file the umask decides.

    Args:
        path: The file; an existing one is replaced.

    Yields:
        An empty file in the same folder, hidden, to be written by the body.

    Raises:
        OSError: If it cannot be written.
    """
    target = Path(path)
    part = target.parent / f".{uuid.uuid4().hex}.part"
    # By the umask without asking for it: that would set it, for all threads, for a moment.
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        mode = (target if target.is_file() else part).stat().st_mode
        yield part
        part.chmod(stat.S_IMODE(mode))  # some libraries write a file of their own in its place
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replacing_for_good(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a large file as `replacing` does, and have it on the disk before it takes its place.

    After a power cut too there is the old file or the new one. What a killed process left unfinished is written over by
    the next, so that no more than one such file is ever left; two processes must not write the same file.

    Args:
        path: The file; an existing one is replaced.

    Yields:
        A path in the same folder, hidden, to be written by the body.

    Raises:
        OSError: If it cannot be written.
    """
    target, part = Path(path), unfinished(path)
    part.unlink(missing_ok=True)
    try:
        yield part
        with part.open("r+b") as written:
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    with suppress(OSError):  # systems that do not open folders keep their entries in order themselves
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def unfinished(path: str | os.PathLike[str]) -> Path:
    """Where `replacing_for_good` writes a file."""
    target = Path(path)
    return target.with_name(f".{target.name}.part")


@contextmanager
def written_whole(
    path: str | os.PathLike[str], remedy: str = WHERE_TO_WRITE, *, also: type[Exception] = OSError
) -> Iterator[Path]:
    """Write a file as `replacing` does, for a user, who is told what to do if that fails.

    Args:
        path: The file; an existing one is replaced.
        remedy: What to do then; ends the sentence.
        also: Error by which the body says that it could not write, besides OSError.

    Yields:
        An empty file in the same folder, to be written by the body.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        with replacing(path) as part:
            yield part
    except (OSError, also) as error:
        raise _not_written(path, error, remedy) from None


@contextmanager
def staging(path: str | os.PathLike[str], remedy: str = WHERE_TO_WRITE) -> Iterator[Path]:
    """A folder beside a file, from which several files can be renamed into place once all are complete.

    Args:
        path: The file, or one of them.
        remedy: As for `written_whole`.

    Yields:
        The folder; it is removed with what is left in it.

    Raises:
        OutputError: If something cannot be written.
    """
    target = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder:
            yield Path(folder)
    except OSError as error:
        raise _not_written(path, error, remedy) from None


def _not_written(path: str | os.PathLike[str], error: Exception, remedy: str) -> OutputError:
    reason = getattr(error, "strerror", None) or error
    return OutputError(f"{path}: cannot be written ({reason}); {remedy}")
