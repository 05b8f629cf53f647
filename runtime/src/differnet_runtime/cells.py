"""Cells of CSV files and names on terminals: whatever a file is called, a table stays a table, a terminal as it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["csv_line", "path_of", "printable", "without_guard"]

# With these, spreadsheets begin a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide ones are taken too
_QUOTED = re.compile(r'[",\x00-\x1f\x7f-\x9f\u2028\u2029]')
_ESCAPED = re.compile(r"\\udc([89a-f][0-9a-f])")


def csv_line(columns: Iterable[str], values: Iterable[Any]) -> bytes:
    r"""Write a row of CSV, which spreadsheets take for nothing but data.

    A path that begins as a formula does gets ``./`` before it, which leaves it the same file, other text an apostrophe,
    as spreadsheets have it. What holds line ends or control characters is quoted. What is not valid text, as a file's
    name may be, is written with escapes such as ``\udcff``; `path_of` turns a path back.

    Args:
        columns: Names of the columns; ``path`` is that of a file.
        values: In their order; None is empty.
    """
    cells = [_cell(column, value) for column, value in zip(columns, values, strict=True)]
    return f"{','.join(cells)}\n".encode("utf-8", errors="backslashreplace")


def path_of(cell: str) -> str:
    """The path that a cell of the column ``path`` stands for, of CSV or Parquet.

    Args:
        cell: As it was read.
    """
    return _ESCAPED.sub(lambda found: chr(0xDC00 + int(found[1], 16)), without_guard(cell))


def without_guard(cell: str) -> str:
    """A cell of the column ``path`` without what keeps spreadsheets from taking it for a formula."""
    return cell[2:] if cell.startswith("./") and cell[2:3] in _FORMULA else cell


def printable(text: str) -> str:
    """Text without anything that a terminal would obey: control and direction characters are written as escapes."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _cell(column: str, value: Any) -> str:  # noqa: ANN401 - any cell
    if value is None:
        return ""
    text = str(value)
    if isinstance(value, str) and text.startswith(_FORMULA):
        text = f"./{text}" if column == "path" else f"'{text}"
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text
