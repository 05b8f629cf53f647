"""Files beside images that say of some that they show defects: annotations of usual programs, and tables of labels.

Where names do not tell good parts, these do; a folder of both must not be learnt as if all were good.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath

from differnet.errors import DatasetError, MissingExtraError
from differnet.images.layouts.layout import GOOD
from differnet.images.layouts.table import TABLE_SUFFIXES, is_defective, read_table

__all__ = ["check_annotations"]

# What stands in such a file, one after the other. YOLO; Pascal VOC; LabelMe: a file for each image.
_OF_AN_IMAGE = {
    ".txt": (re.compile(rb"\A(?:\s*\d+(?:[ \t]+[-+.\deE]+){4,}[ \t]*(?:\r?\n|\Z))+\s*\Z"),),
    ".xml": (re.compile(rb"<annotation[\s>]"), re.compile(rb"<object[\s>]")),
    ".json": (re.compile(rb'"shapes"\s*:\s*\[\s*\{'),),
}
# CVAT; COCO and Label Studio: a file for all of them.
_OF_ALL = {
    ".xml": (re.compile(rb"<annotations[\s>]"), re.compile(rb"<(?:box|polygon|polyline|mask|points|ellipse)\s")),
    ".json": (re.compile(rb'"annotations"\s*:\s*\[\s*\{'),),
}
_BETWEEN = re.compile(r"[,;\t|]|(?<=\S) +(?=\S)")
_NUMBER = re.compile(r"\d{1,9}(?:\.\d{0,20})?")
_MOST_BYTES = 1 << 20
_LARGEST_TABLE = 32 << 20


def check_annotations(root: Path, folders: Iterable[Path], images: Iterable[Path]) -> None:
    """Refuse images of which something beside them says that they show defects.

    Args:
        root: What was given.
        folders: Those to look in, each without what is below it.
        images: All that would be learnt from.

    Raises:
        DatasetError: If there is such a file; it says which, and what to do.
    """
    by_stem: dict[str, Path] = {image.stem: image for image in images}
    marked: dict[str, Path] = {}
    for file in _files(folders):
        suffix = file.suffix.lower()
        if suffix in TABLE_SUFFIXES:
            _check_table(root, file, set(by_stem.values()))
        elif file.stem in by_stem and suffix in _OF_AN_IMAGE:
            if _says(file, _OF_AN_IMAGE[suffix]):
                marked.setdefault(file.stem, file)
        elif suffix in _OF_ALL and _says(file, _OF_ALL[suffix]):
            raise DatasetError(f"{root}: '{file.relative_to(root).as_posix()}' marks something on images; {_CHOICE}")
    if marked:
        first = min(marked.values(), key=lambda file: file.as_posix()).relative_to(root).as_posix()
        raise DatasetError(
            f"{root}: files of annotations, such as '{first}', mark something on {len(marked)} of {len(by_stem)} "
            f"image(s); {_CHOICE}"
        )


_CHOICE = (
    "if that is defects, say which images show good parts, by --good 'PATTERN' or a table or list (*.csv, *.txt) of "
    "them; --good '*' takes all."
)


def _check_table(root: Path, table: Path, images: set[Path]) -> None:
    try:
        rows = read_table(table) if table.stat().st_size <= _LARGEST_TABLE else []
    except DatasetError:
        _check_table_without_names(root, table, images)
        return
    except (MissingExtraError, OSError):
        return
    defective = {row.image for row in rows if row.kind not in (None, GOOD)} & images
    if defective:
        raise DatasetError(
            f"{root}: the table '{table.relative_to(root).as_posix()}' calls {len(defective)} of {len(images)} "
            f"image(s) defective; give {table} instead of the folder. --good '*' takes all."
        )


def _check_table_without_names(root: Path, table: Path, images: set[Path]) -> None:
    """Refuse a table that no line tells the columns of, if a word or a column of 0 and up to 1 says of some defects."""
    names = {image.name for image in images}
    try:
        lines = table.read_bytes()[:_MOST_BYTES].decode("utf-8-sig", "replace").splitlines()
    except OSError:
        return
    cells = [[cell.strip(' "') for cell in _BETWEEN.split(line)] for line in lines]
    of_images = [row for row in cells if row and PurePath(row[0].replace("\\", "/")).name in names]
    for column in zip(*of_images, strict=False):
        numbers = {float(cell) for cell in column if _NUMBER.fullmatch(cell)}
        marked = 0.0 in numbers and any(numbers) and max(numbers) <= 1 and all(map(_NUMBER.fullmatch, column))
        said = next((cell for cell in column if is_defective(cell) or (marked and float(cell) > 0)), None)
        if said is not None:
            raise DatasetError(
                f"{root}: the table '{table.relative_to(root).as_posix()}' has no line with names of columns and says "
                f"'{said[:40]}' of an image; if that is a defect, write a first line such as path,label and give "
                f"{table} instead of the folder. --good '*' takes all."
            )


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    wanted = {*_OF_AN_IMAGE, *_OF_ALL, *TABLE_SUFFIXES}
    for folder in folders:
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
        except OSError:
            continue
        yield from (folder / name for name in names if Path(name).suffix.lower() in wanted)


def _says(file: Path, patterns: Iterable[re.Pattern[bytes]]) -> bool:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MOST_BYTES)
    except OSError:
        return False
    place = 0
    for pattern in patterns:
        found = pattern.search(content, place)
        if found is None:
            return False
        place = found.end() - 1  # what ends a tag may begin the next
    return True
