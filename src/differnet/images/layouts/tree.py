"""The folders below a source with their images, and what the names of the folders say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from differnet.images.collect import IMAGE_SUFFIXES, is_hidden
from differnet.images.layouts.names import (
    Role,
    is_made_of_pictures,
    is_mask_of,
    is_of_another_sensor,
    made_of,
    read_role,
)
from differnet.images.layouts.same_names import masks_of_the_same_name

__all__ = ["OTHER_SENSORS", "Folder", "read_tree"]

OTHER_SENSORS = "image(s) of depths, heat maps, thumbnails and the like, beside pictures of the same names"
"""What is said of `Folder.of_other_sensors`, after their number."""

_DEEPEST = 64


@dataclass
class Folder:
    """A folder that is not hidden.

    Attributes:
        path: Of the folder.
        images: Files in it, not below, that are named as images and are no masks of others, by their name or, where
            they have the same, by what they show; sorted.
        masks: Files in it that are, by the stem of the image; several where an image has several.
        folders: Folders in it, sorted.
        other_sensors: Folders in it that show, by depths, heat maps and the like, what its images or those of one of
            `folders` show; files beside their pictures, such as ``000_heatmap.png``, as one by the name ``*_heatmap``.
    """

    path: Path
    images: list[Path] = field(default_factory=list)
    masks: dict[str, list[Path]] = field(default_factory=dict)
    folders: list[Folder] = field(default_factory=list)
    other_sensors: list[Folder] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name."""
        return self.path.name

    @cached_property
    def role(self) -> Role:
        """What its name says."""
        return read_role(self.name)

    @cached_property
    def count(self) -> int:
        """Number of images in and below it."""
        return len(self.images) + sum(folder.count for folder in self.folders)

    def walk(self) -> Iterator[Folder]:
        """Itself and all below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    def all_images(self) -> list[Path]:
        """The images in and below it, sorted by path."""
        return sorted((image for folder in self.walk() for image in folder.images), key=lambda path: path.as_posix())

    def of_other_sensors(self) -> list[Path]:
        """The images of `other_sensors`, here and below, sorted by path."""
        return sorted(
            (image for inner in self.walk() for other in inner.other_sensors for image in other.all_images()),
            key=lambda path: path.as_posix(),
        )


def read_tree(root: Path) -> Folder:
    """Read the folders below a source. A linked folder is entered where its name, or its place, says what it is for.

    Args:
        root: A folder; one that cannot be opened, or is none, is empty.
    """
    return _read(root, _DEEPEST, frozenset())


def _read(path: Path, depth: int, above: frozenset[str]) -> Folder:
    folder = Folder(path)
    files: list[Path] = []
    enters_links = bool(above) and (folder.role.split is not None or folder.role.is_mask)
    here = above | {os.path.realpath(path)}
    try:
        with os.scandir(path) as entries:
            found = [(entry.name, *_kind(entry)) for entry in entries if not is_hidden(entry.name)]
    except (OSError, ValueError):
        return folder
    for name, is_folder, is_link, is_file in sorted(found):
        inner = path / name
        if is_folder:
            if is_link and not (enters_links or read_role(name).says_something):
                continue
            if depth and not (is_link and os.path.realpath(inner) in here):
                folder.folders.append(_read(inner, depth - 1, here))
        elif is_file and inner.suffix.lower() in IMAGE_SUFFIXES:
            files.append(inner)
    stems = {file.stem for file in files}
    _set_aside_folders(folder, stems)
    # Beside its image; alone it may be a picture of whatever the word means to its owner.
    made = [file for file in files if made_of(file.stem) in stems]
    for name in sorted({f"*{file.stem[len(made_of(file.stem) or '') :]}" for file in made}):
        of_name = [file for file in made if file.stem.endswith(name[1:])]
        folder.other_sensors.append(Folder(path / name, of_name))
    of_the_same_name = masks_of_the_same_name([file for file in files if file not in made])
    for file in files:
        of = is_mask_of(file.stem)
        if file in of_the_same_name:
            folder.masks.setdefault(file.stem, []).append(file)
        elif of is not None and of in stems:
            folder.masks.setdefault(of, []).append(file)
        elif file not in made:
            folder.images.append(file)
    return folder


def _set_aside_folders(folder: Folder, stems: set[str]) -> None:
    """Take folders that show the same as the pictures beside them, by another sensor or worked on, from the others."""
    beside = [each for each in folder.folders if not is_made_of_pictures(each.name)]
    pictures = stems | {image.stem for each in beside if each.role.is_neutral for image in each.images}
    every = stems | {image.stem for each in beside for inner in each.walk() for image in inner.images}
    for each in [each for each in folder.folders if each.count]:
        made = each not in beside
        shown = {made_of(image.stem) or image.stem if made else image.stem for image in each.all_images()}
        if (made and shown <= every) or (is_of_another_sensor(each.name) and shown <= pictures):
            folder.folders.remove(each)
            folder.other_sensors.append(each)


def _kind(entry: os.DirEntry[str]) -> tuple[bool, bool, bool]:
    try:
        return entry.is_dir(), entry.is_symlink(), entry.is_file()
    except OSError:
        return False, True, False
