"""Image files that are hashed while they are read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

__all__ = ["HashedFile"]


class HashedFile(os.PathLike[str]):
    """A path whose content is hashed when it is read first, so that a fingerprint of the data reads no file again.

    Args:
        path: Of an image.

    Attributes:
        sha256: Of the content that was read first, 32 bytes; None before.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path
        self.sha256: bytes | None = None

    def __fspath__(self) -> str:
        return os.fspath(self._path)

    def __str__(self) -> str:
        return str(self._path)

    def read_bytes(self) -> bytes:
        """The whole content.

        Raises:
            OSError: If it cannot be read.
        """
        content = Path(self._path).read_bytes()
        if self.sha256 is None:
            self.sha256 = hashlib.sha256(content).digest()
        return content
