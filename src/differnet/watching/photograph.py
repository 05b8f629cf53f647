"""A file in a watched folder: when it counts as one, what tells it from another, and its content."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePath

from differnet.images import IMAGE_SUFFIXES
from differnet.images.collect import is_hidden

__all__ = ["Photograph", "Stamp", "is_image_name", "read_photograph"]

_MOST_BYTES = 1_000_000_000
"""Longer files are not read: no image of at most `DEFAULT_MAX_PIXELS` pixels needs as much."""

_SIGNED_64_BITS = 2**63 - 1


@dataclass(frozen=True)
class Stamp:
    """What the file system says of a file; as long as it is the same, so is the content.

    Attributes:
        size: In bytes.
        mtime_ns: Time of the last write, in nanoseconds.
        ctime_ns: Time of the last change of any kind. It gives away a file whose other times were set back, as copying
            programs do.
        inode: Number of the file; another one where a file was renamed over an old one.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Take the stamp of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino & _SIGNED_64_BITS)


@dataclass(frozen=True)
class Photograph:
    """One file as it was read.

    Attributes:
        relative: Its path below the watched folder, with ``/``.
        stamp: Its stamp while it was read.
        sha256: Of the content, in hexadecimal; empty if it could not be read.
        content: The bytes of the file.
        problem: Why it could not be read; empty if it could.
    """

    relative: str
    stamp: Stamp
    sha256: str
    content: bytes
    problem: str = ""

    def key(self, model_id: str) -> str:
        """Name of the verdict of a model on this file, always the same: 32 hexadecimal digits."""
        about = [self.stamp.size, self.stamp.mtime_ns, self.sha256, model_id]
        return hashlib.sha256(json.dumps(about).encode() + os.fsencode(self.relative)).hexdigest()[:32]


def is_image_name(relative: str) -> bool:
    """Whether a file of this name is inspected: it ends like an image, and nothing of its path is hidden.

    What programs call a file that they are still writing (``.part``, ``.tmp``, a leading dot) is thereby left alone.
    """
    path = PurePath(relative)
    return path.suffix.lower() in IMAGE_SUFFIXES and not any(map(is_hidden, path.parts))


def read_photograph(folder: Path, relative: str, stamp: Stamp) -> Photograph | None:
    """Read a file.

    Args:
        folder: The watched folder.
        relative: Path of the file below it.
        stamp: What the file is expected to be.

    Returns:
        The photograph, also of a file that cannot be read, with the problem; None if the file is gone or has another
        stamp, before or after reading.
    """
    file = folder / relative
    try:
        with file.open("rb") as stream:
            if Stamp.of(os.fstat(stream.fileno())) != stamp:
                return None
            if stamp.size > _MOST_BYTES:
                problem = (
                    f"{file}: has {stamp.size / 1e9:.1f} GB, an image has at most {_MOST_BYTES / 1e9:.1f}; remove it."
                )
                return Photograph(relative, stamp, "", b"", problem)
            content = stream.read()
        if Stamp.of(file.stat()) != stamp:
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        return Photograph(relative, stamp, "", b"", f"{file}: cannot be read ({error.strerror}); make it readable.")
    return Photograph(relative, stamp, hashlib.sha256(content).hexdigest(), content)
