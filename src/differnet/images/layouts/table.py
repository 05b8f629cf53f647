"""Products told by a table: a CSV or Parquet file with a row for each image."""

from __future__ import annotations

import csv
import importlib.util
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from differnet.errors import DatasetError, MissingExtraError
from differnet.images.collect import IMAGE_SUFFIXES, Collection
from differnet.images.layouts.layout import (
    GOOD,
    LabelledImage,
    Layout,
    Recognition,
    Sureness,
    by_kind,
    kept_for_testing,
)
from differnet.images.layouts.masks_beside import DEFECTIVE
from differnet.images.layouts.names import Label, Split, read_role
from differnet.installing import install_extra

__all__ = ["TABLE_SUFFIXES", "TableLayout", "TableRow", "VisaLayout", "is_defective", "is_image_name", "read_table"]

_PARQUET = ".parquet"
TABLE_SUFFIXES = frozenset({".csv", ".tsv", _PARQUET})
"""Of files that are read as tables."""
_COLUMNS = {
    "path": (
        "path",
        "image",
        "image_path",
        "imagepath",
        "img",
        "img_path",
        "file",
        "filename",
        "file_name",
        "filepath",
    ),
    "label": ("label", "kind", "class", "category", "defect", "defect_type", "target", "is_defective", "anomaly", "y"),
    "split": ("split", "set", "subset", "phase", "partition", "fold_type"),
    "mask": ("mask", "mask_path", "maskpath", "ground_truth", "gt", "gt_path", "mask_file"),
    "object": ("object", "product", "object_name", "item"),
}
# Numbers as anomalib's label_index has them: 0 is normal.
_GOOD_WORDS = frozenset({"0", "0.0", "false"})
_DEFECTIVE_WORDS = frozenset({"1", "1.0", "true"})


@dataclass(frozen=True)
class TableRow:
    """What a table says of an image.

    Attributes:
        image: The file.
        kind: ``good`` or a kind of defect; None if the row does not say.
        split: What it is for; None if the row does not say.
        mask: Of the defect.
    """

    image: Path
    kind: str | None
    split: Split | None
    mask: Path | None


class TableLayout(Layout):
    """A CSV or Parquet file with the columns ``path``, ``label`` and, where they are known, ``split`` and ``mask``.

    Other usual names of columns are taken too, in any case. Labels are words as folders have them, 0 for good and 1
    for defective, or, beside rows of good parts, kinds of defects. Without ``label`` all are good; without ``split`` a
    fifth of the good ones is kept for testing if there are defective ones. Paths count from the table's folder, or
    that above.
    """

    name = "table"

    def recognises(self, root: Path) -> Recognition | None:
        """By its name."""
        if root.suffix.lower() in TABLE_SUFFIXES and root.is_file():
            return Recognition(Sureness.SURE, f"is a file '*{root.suffix.lower()}'")
        return None

    def good_images(self, root: Path) -> Collection:
        """Good rows of the split for training."""
        return _good(root, read_table(root))

    def test_images(self, root: Path) -> tuple[LabelledImage, ...]:
        """Rows of the split for testing."""
        return _tests(root, read_table(root))


class VisaLayout(Layout):
    """A product of VisA (Zou et al., ECCV 2022) with ``split_csv/1cls.csv`` beside it, which divides it.

    Without that table its folders ``Data/Images/Normal`` and ``Anomaly`` are told by their names.
    """

    name = "VisA"

    def recognises(self, root: Path) -> Recognition | None:
        """By the table and the folder of images."""
        if (root / "Data" / "Images").is_dir() and _split_table(root).is_file():
            return Recognition(Sureness.SURE, "has folders 'Data/Images', and beside it lies 'split_csv/1cls.csv'")
        return None

    def good_images(self, root: Path) -> Collection:
        """Good rows of the split for training."""
        return _good(root, read_table(_split_table(root), product=root.resolve().name))

    def test_images(self, root: Path) -> tuple[LabelledImage, ...]:
        """Rows of the split for testing."""
        return _tests(root, read_table(_split_table(root), product=root.resolve().name))


def read_table(table: Path, product: str | None = None) -> list[TableRow]:
    """Read a table of images.

    Args:
        table: The file; the delimiter of a CSV is found.
        product: That whose rows are wanted, of a table with a column for it.

    Raises:
        DatasetError: If it cannot be read, has no column of paths, or rows of several products, or is not consistent.
        MissingExtraError: If it is a Parquet file and pyarrow is not installed.
    """
    rows = _parquet_rows(table) if table.suffix.lower() == _PARQUET else _csv_rows(table)
    if not rows:
        raise DatasetError(f"{table}: has no rows; give a table with a row for each image.")
    names = {_column_name(name): name for name in rows[0]}
    columns = {
        role: next((names[alias] for alias in aliases if alias in names), None) for role, aliases in _COLUMNS.items()
    }
    if columns["path"] is None:
        first = next((name for name in map(str, rows[0]) if is_image_name(name)), None)
        if first is not None:
            raise DatasetError(
                f"{table}: its first line is no line of columns' names but of an image ({first[:80]}); write one above "
                f"it, such as path,label, with the table's own signs between."
            )
        raise DatasetError(
            f"{table}: has no column 'path' but {', '.join(map(str, rows[0]))}; name the columns path, label, "
            f"split, mask."
        )
    if columns["label"] is None:
        _check_other_columns(table, rows, {name for name in columns.values() if name is not None})
    cells = [{role: _cell(row, column) for role, column in columns.items()} for row in rows]
    if columns["object"] is not None:
        products = sorted({cell["object"] for cell in cells})
        if product is None and len(products) > 1:
            raise DatasetError(
                f"{table}: has rows of several products ({', '.join(products)}); give the folder of one of them, or a "
                f"table of one."
            )
        cells = [cell for cell in cells if product is None or cell["object"] == product]
        if not cells:
            raise DatasetError(f"{table}: has no rows of '{product}' but of {', '.join(products)}.")
    kinds = _kinds(table, [cell["label"] for cell in cells]) if columns["label"] is not None else {}
    bases = (table.parent, table.parent.parent)
    read = [
        TableRow(
            _located(bases, cell["path"]),
            kinds.get(cell["label"]) if columns["label"] is not None else None,
            _split(table, cell["split"]),
            _located(bases, cell["mask"]) if cell["mask"] else None,
        )
        for cell in cells
        if cell["path"]
    ]
    _check_consistent(table, read)
    return read


def _check_consistent(table: Path, rows: Iterable[TableRow]) -> None:
    """Refuse rows of one image that contradict one another."""
    first: dict[str, TableRow] = {}
    for row in rows:
        other = first.setdefault(os.path.normpath(row.image), row)
        for what, said, before in (("labelled", row.kind, other.kind), ("for", row.split, other.split)):
            if said != before:
                words = [each.value if isinstance(each, Split) else each or "nothing" for each in (before, said)]
                raise DatasetError(
                    f"{table}: {row.image} is {what} '{words[0]}' in one row and '{words[1]}' in another; leave one."
                )


def _good(root: Path, rows: Sequence[TableRow]) -> Collection:
    found = Collection()
    split = any(row.split is not None for row in rows)
    labelled = any(row.kind is not None for row in rows)
    good = [
        row.image
        for row in rows
        if (row.kind == GOOD or not labelled) and row.split is (Split.TRAIN if split else None)
    ]
    kept = _kept(root, rows)
    found.paths = [path for path in dict.fromkeys(good) if path not in kept]
    defective = sum(1 for row in rows if labelled and row.kind != GOOD and row.split in (Split.TRAIN, None))
    if defective:
        found.set_aside.append(f"{defective} image(s) that the table does not call good")
    if kept:
        found.set_aside.append(f"{len(kept)} of {len(good)} good images, which are kept for 'differnet evaluate'")
    if not found.paths:
        where = "of the split 'train' " if split else ""
        raise DatasetError(f"{root}: no row {where}is labelled good; label them good, ok, normal or 0.")
    return found


def _tests(root: Path, rows: Sequence[TableRow]) -> tuple[LabelledImage, ...]:
    split = next((each for each in (Split.TEST, Split.VALIDATION) if any(row.split is each for row in rows)), None)
    kept = _kept(root, rows)
    chosen = [row for row in rows if row.split is split and (split or row.kind != GOOD or row.image in kept)]
    tested = {row.image: LabelledImage(row.image, row.kind, row.mask) for row in chosen if row.kind is not None}
    kinds = {image.kind for image in tested.values()}
    if GOOD not in kinds or len(kinds) == 1:
        what = "defective ones" if GOOD in kinds else "good ones"
        raise DatasetError(
            f"{root}: evaluation needs good and defective images, and no row to test with is of {what}; label such "
            f"rows, or name images by --good and --defective, of which one will do."
        )
    return by_kind(tested.values())


def _kept(root: Path, rows: Sequence[TableRow]) -> frozenset[Path]:
    if any(row.split is not None for row in rows) or not any(row.kind not in (None, GOOD) for row in rows):
        return frozenset()
    good = list(dict.fromkeys(row.image for row in rows if row.kind == GOOD))
    base = root.parent if all(image.is_relative_to(root.parent) for image in good) else Path("/")
    good = [image if image.is_relative_to(base) else image.absolute() for image in good]
    return kept_for_testing(good, base) if good else frozenset()


def _kinds(table: Path, labels: Iterable[str]) -> dict[str, str | None]:
    """What each label stands for."""
    kinds: dict[str, str | None] = {"": None}
    spelt: dict[str, str] = {}  # 'Scratch' and 'SCRATCH' are one kind
    for label in dict.fromkeys(labels):
        said = read_role(label).label
        if not label:
            continue
        if label.casefold() in _GOOD_WORDS or said is Label.GOOD:
            kinds[label] = GOOD
        else:
            known = spelt.setdefault(label.casefold(), label)
            kinds[label] = DEFECTIVE if label.casefold() in _DEFECTIVE_WORDS else known
    named = [label for label, kind in kinds.items() if kind not in (GOOD, DEFECTIVE, None)]
    unknown = [label for label in named if read_role(label).label is None]
    if GOOD not in kinds.values() and unknown:
        raise DatasetError(
            f"{table}: no label says good, and it is not clear what these say: {', '.join(unknown[:6])}; label good "
            f"parts good, ok, normal or 0."
        )
    return kinds


def _check_other_columns(table: Path, rows: Sequence[Mapping[Any, Any]], known: set[Any]) -> None:
    """Refuse a table in which a column of an unknown name says which parts are defective."""
    for column in [name for name in rows[0] if name not in known and name is not None]:
        defective = next((cell for row in rows if is_defective(cell := _cell(row, column))), None)
        if defective is not None or read_role(str(column)).label is not None:
            said = f"says '{defective[:40]}'" if defective is not None else "seems to say which parts are good"
            raise DatasetError(
                f"{table}: has no column 'label', and its column '{column}' {said}; call it label, with the words good "
                f"and defective, if it does, and take it out if it does not."
            )


def is_defective(cell: str) -> bool:
    """Whether a cell says nothing but that a part is defective."""
    role = read_role(cell)
    return role.label is Label.DEFECTIVE and role.is_whole


def _split(table: Path, word: str) -> Split | None:
    if not word:
        return None
    split = read_role(word).split
    if split is None:
        raise DatasetError(f"{table}: '{word}' is no split; write train, test or validation.")
    return split


def _located(bases: Iterable[Path], path: str) -> Path:
    candidates = [base / path.replace("\\", "/") for base in bases]
    return next((each for each in candidates if each.is_file()), candidates[0])


def _cell(row: Mapping[Any, Any], column: Any) -> str:  # noqa: ANN401 - a name in the table
    value = None if column is None else row.get(column)
    return "" if value is None else str(value).strip()


def _csv_rows(table: Path) -> list[dict[str, Any]]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{table}: cannot be read ({error.strerror}); make it readable.") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{table}: is not a UTF-8 text file; save it as 'CSV UTF-8'.") from None
    head = text.partition("\n")[0]
    delimiter = max(",;\t|", key=head.count)
    if delimiter not in head and _has_spaced_columns(head):
        text, delimiter = "\n".join("\t".join(line.split()) for line in text.splitlines()), "\t"
    try:
        return [row for row in csv.DictReader(io.StringIO(text), delimiter=delimiter) if any(row.values())]
    except csv.Error as error:
        raise DatasetError(f"{table}: is not a CSV file ({error}); save it again.") from None


def _has_spaced_columns(head: str) -> bool:
    cells = head.split()
    if len(cells) < 2 or _column_name(head) in _COLUMNS["path"]:
        return False
    return is_image_name(cells[0]) or any(_column_name(cell) in _COLUMNS["path"] for cell in cells)


def _column_name(name: object) -> str:
    return str(name).strip().casefold().replace(" ", "_").replace("-", "_")


def is_image_name(cell: str) -> bool:
    """Whether a cell seems to name an image."""
    return PurePath(cell.strip()).suffix.lower() in IMAGE_SUFFIXES


def _parquet_rows(table: Path) -> list[dict[str, Any]]:
    if importlib.util.find_spec("pyarrow") is None:
        raise MissingExtraError(f"{table}: Parquet needs pyarrow. Run: {install_extra('cluster')}")
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        rows: list[dict[str, Any]] = pq.read_table(table).to_pylist()
    except (OSError, ValueError, pa.ArrowException) as error:  # ValueError: names and texts that are no UTF-8
        raise DatasetError(f"{table}: cannot be read as Parquet ({error}); give a file with rows.") from None
    return rows


def _split_table(root: Path) -> Path:
    return root.resolve().parent / "split_csv" / "1cls.csv"
