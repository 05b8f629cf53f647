"""Finding image files: single files, folders searched through, and list files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from differnet_runtime.errors import DatasetError

__all__ = ["IMAGE_SUFFIXES", "LIST_SUFFIX", "Collection", "collect_images", "is_hidden"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp"})
"""Names that count as images when a folder is searched; a file named outright is always taken."""

LIST_SUFFIX = ".txt"
"""Of list files."""

_NAMED = 3
# Where operating systems, network storages and notebooks keep what was thrown away, thumbnails and the like.
_SYSTEM_FOLDERS = frozenset(
    {
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "__macosx",
        "__pycache__",
        "lost+found",
        "recycler",
        "system volume information",
    }
)


@dataclass
class Collection:
    """Image paths in a stable order, and what was passed over.

    Attributes:
        paths: The images, folders sorted by path, in the order in which the sources were given.
        hidden: Number of hidden files passed over (by their name, or that of a folder above; see `is_hidden`).
        not_images: Number of files passed over because their name is not that of an image.
        unreadable: Folders that cannot be opened, and links that lead nowhere.
        linked: Folders that are links; they are not searched, since they may lead in a circle.
        set_aside: What else was left out on purpose, a phrase each, such as ``4 images in 'NG', which are defective``.
    """

    paths: list[Path] = field(default_factory=list)
    hidden: int = 0
    not_images: int = 0
    unreadable: list[Path] = field(default_factory=list)
    linked: list[Path] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)

    @property
    def passed_over(self) -> str:
        """One phrase about what was passed over; empty when there is nothing."""
        parts = []
        if self.hidden:
            parts.append(f"{self.hidden} hidden")
        if self.not_images:
            parts.append(f"{self.not_images} not named as an image")
        said = [f"{' and '.join(parts)} file(s)"] if parts else []
        if self.unreadable:
            said.append(f"{len(self.unreadable)} folder(s) or link(s) that cannot be opened ({_some(self.unreadable)})")
        if self.linked:
            said.append(f"{len(self.linked)} linked folder(s) ({_some(self.linked)})")
        said += self.set_aside
        return f"passed over {', '.join(said)}" if said else ""


def collect_images(sources: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Collection:
    """Collect image paths from files, folders and list files.

    Args:
        sources: One or many of: an image file; a folder, searched through with everything below it; a text file
            ``*.txt`` with one path per line, relative to the list file's own folder (``#`` starts a comment).

    Returns:
        The paths in a stable order, each once, with the count of files and folders passed over.

    Raises:
        DatasetError: If a source does not exist or is an empty text, or nothing is found at all.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    found = Collection()
    given = [_named(source) for source in sources]
    for source in given:
        if _is_folder(source):
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


def is_hidden(name: str) -> bool:
    """Whether a file or folder is passed over for its name: it starts with a dot, or systems keep their own there."""
    return name.startswith(".") or name.casefold() in _SYSTEM_FOLDERS


def _named(source: str | os.PathLike[str]) -> Path:
    # An unset variable in a script, which would otherwise stand for the current folder.
    if not os.fspath(source):
        raise DatasetError("A path is empty; give a file or folder, '.' for the current one.")
    return Path(source)


def _is_folder(source: Path) -> bool:
    try:
        return source.is_dir()
    except (OSError, ValueError) as error:  # a name too long, or with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise DatasetError(f"{source}: cannot be opened ({reason}); check the path.") from None


def _search_folder(top: Path, found: Collection) -> None:
    files: list[Path] = []
    folders = [(top, False)]
    while folders:
        folder, in_hidden = folders.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    path, hidden = folder / entry.name, in_hidden or is_hidden(entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append((path, hidden))
                    elif hidden:
                        found.hidden += 1
                    elif _is_image(entry, path, found):
                        files.append(path)
        except OSError:  # not ours to open, or its path too long
            found.unreadable.append(folder)
    found.paths += sorted(files, key=lambda file: file.as_posix())
    found.unreadable.sort()
    found.linked.sort()


def _is_image(entry: os.DirEntry[str], path: Path, found: Collection) -> bool:
    named = path.suffix.lower() in IMAGE_SUFFIXES
    if _leads_to(entry.is_dir):
        found.linked.append(path)
    elif not _leads_to(entry.is_file):  # pipes and sockets are none of our business, lost images are
        found.unreadable += [path] if named and entry.is_symlink() else []
    elif named:
        return True
    else:
        found.not_images += 1
    return False


def _leads_to(kind: Callable[[], bool]) -> bool:
    try:
        return kind()
    except OSError:  # a link in a circle
        return False


def _some(paths: list[Path]) -> str:
    return ", ".join(str(path) for path in paths[:_NAMED]) + (", ..." if len(paths) > _NAMED else "")


def _read_list(list_file: Path) -> list[Path]:
    try:
        lines = list_file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DatasetError(f"{list_file}: cannot be read ({error.strerror}); make it readable.") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{list_file}: is not a UTF-8 text file; a list file has one path per line.") from None
    entries = (line.strip() for line in lines)
    return [list_file.parent / entry for entry in entries if entry and not entry.startswith("#")]
