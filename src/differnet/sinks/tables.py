"""Tables that are written whole: Parquet where pyarrow is installed (extra ``cluster``), else CSV."""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from differnet.errors import OutputError
from differnet.files import written_whole
from differnet.sinks.cells import without_guard
from differnet.sinks.lines import LINE_FORMATS
from differnet.sinks.rows import Columns

__all__ = ["arrow_table", "has_parquet", "read_columns", "table_suffix", "write_arrow", "write_table"]


def has_parquet() -> bool:
    """Whether Parquet can be written here."""
    return importlib.util.find_spec("pyarrow") is not None


def table_suffix() -> str:
    """What names of tables end with here."""
    return ".parquet" if has_parquet() else ".csv"


def write_table(path: Path, columns: Columns, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table; it appears under its name only once it is complete.

    Args:
        path: ``*.parquet`` or ``*.csv``; an existing file is replaced.
        columns: What the table has; other keys of the rows are left out.
        rows: By column; what is absent is None.

    Raises:
        OutputError: If it cannot be written.
    """

    def write(part: Path) -> None:
        if path.suffix == ".parquet":
            _write_parquet(part, [arrow_table(columns, rows)])
            return
        lines = LINE_FORMATS["csv"]
        with part.open("wb") as stream:
            stream.write(lines.head(columns))
            stream.writelines(lines.line(columns, row) for row in rows)

    _replace(path, write)


def write_arrow(path: Path, tables: Sequence[Any]) -> None:
    """Write pyarrow tables of the same columns as one Parquet file, which appears once it is complete.

    Raises:
        OutputError: If it cannot be written.
    """
    _replace(path, lambda part: _write_parquet(part, tables))


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); choose a writable folder.") from None
    with written_whole(path, "choose a writable folder.") as part:
        write(part)


def read_columns(path: Path, names: Sequence[str]) -> Iterable[tuple[Any, ...]]:
    """Read some columns of a table, row by row; empty cells of CSV are None, and paths are those that were written.

    Raises:
        OutputError: If it is damaged or another table.
    """
    try:
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415

            table = pq.ParquetFile(path).read(columns=list(names))
            return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))
        with path.open(newline="", encoding="utf-8") as stream:
            return [tuple(_read(name, row[name]) for name in names) for row in csv.DictReader(stream)]
    except (OSError, KeyError, ValueError) as error:
        raise OutputError(f"{path}: is not a table of results ({error}); choose another --out.") from None


def _read(name: str, cell: str) -> str | None:
    return (without_guard(cell) if name == "path" else cell) or None


def arrow_table(columns: Columns, rows: Sequence[Mapping[str, Any]]) -> Any:  # noqa: ANN401 - pyarrow's table
    """Rows as a pyarrow table; what is absent is null."""
    import pyarrow as pa  # noqa: PLC0415

    kinds = {str: pa.string(), int: pa.int64(), float: pa.float64(), bytes: pa.binary()}
    schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
    return pa.table({name: [_text(row.get(name)) for row in rows] for name in columns}, schema)


def _write_parquet(path: Path, tables: Sequence[Any]) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    pq.write_table(pa.concat_tables(tables), path)


def _text(value: Any) -> Any:  # noqa: ANN401 - any cell
    # File names that are not valid UTF-8 hold lone surrogates, which Parquet's strings cannot.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
