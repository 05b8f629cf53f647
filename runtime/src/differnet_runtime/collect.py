"""Finding image files: single files, folders searched through, and list files."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from differnet_runtime.errors import DatasetError

__all__ = ["IMAGE_SUFFIXES", "LIST_SUFFIX", "Collection", "collect_images"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp"})
"""Names that count as images when a folder is searched; a file named outright is always taken."""

LIST_SUFFIX = ".txt"
"""Of list files."""


@dataclass
class Collection:
    """Image paths in a stable order, and what was passed over.

    Attributes:
        paths: The images, folders sorted by path, in the order in which the sources were given.
        hidden: Number of hidden files passed over (their name, or that of a folder above, starts with a dot).
        not_images: Number of files passed over because their name is not that of an image.
    """

    paths: list[Path] = field(default_factory=list)
    hidden: int = 0
    not_images: int = 0

    @property
    def passed_over(self) -> str:
        """One phrase about the files passed over; empty when there are none."""
        parts = []
        if self.hidden:
            parts.append(f"{self.hidden} hidden")
        if self.not_images:
            parts.append(f"{self.not_images} not named as an image")
        return "" if not parts else f"passed over {' and '.join(parts)} file(s)"


def collect_images(sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Collection:
    """Collect image paths from files, folders and list files.

    Args:
        sources: One or many of: an image file; a folder, searched through with everything below it; a text file
            ``*.txt`` with one path per line, relative to the list file's own folder (``#`` starts a comment).

    Returns:
        The paths in a stable order, each once, with the count of files passed over in folders.

    Raises:
        DatasetError: If a source does not exist or is an empty text, or nothing is found at all.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    found = Collection()
    given = [_named(source) for source in sources]
    for source in given:
        if source.is_dir():
            _search_folder(source, found)
        elif source.suffix.lower() == LIST_SUFFIX and source.is_file():
            found.paths.extend(_read_list(source))
        elif source.exists():
            found.paths.append(source)
        else:
            raise DatasetError(f"{source}: no such file or folder; check the path.")
    once: dict[str, Path] = {}
    for path in found.paths:
        once.setdefault(os.path.normpath(path), path)
    found.paths = list(once.values())
    if not found.paths:
        where = ", ".join(str(source) for source in given) or "nothing"
        detail = f" ({found.passed_over})" if found.passed_over else ""
        raise DatasetError(f"{where}: no images found{detail}; give PNG, JPEG, BMP, TIFF or WebP files.")
    return found


def _named(source: str | os.PathLike[str]) -> Path:
    # An unset variable in a script, which would otherwise stand for the current folder.
    if not os.fspath(source):
        raise DatasetError("A path is empty; give a file or folder, '.' for the current one.")
    return Path(source)


def _search_folder(folder: Path, found: Collection) -> None:
    files = (file for file in folder.rglob("*") if file.is_file())
    for file in sorted(files, key=lambda file: file.as_posix()):
        if any(part.startswith(".") for part in file.relative_to(folder).parts):
            found.hidden += 1
        elif file.suffix.lower() in IMAGE_SUFFIXES:
            found.paths.append(file)
        else:
            found.not_images += 1


def _read_list(list_file: Path) -> list[Path]:
    try:
        lines = list_file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DatasetError(f"{list_file}: cannot be read ({error.strerror}); make it readable.") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{list_file}: is not a UTF-8 text file; a list file has one path per line.") from None
    entries = (line.strip() for line in lines)
    return [list_file.parent / entry for entry in entries if entry and not entry.startswith("#")]
