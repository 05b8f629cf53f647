"""A Parquet file of results."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from differnet.errors import MissingExtraError, OutputError
from differnet.files import WHERE_TO_WRITE
from differnet.installing import install_extra
from differnet.sinks.rows import COLUMNS, Columns
from differnet.sinks.sink import Sink
from differnet.sinks.tables import arrow_table, has_parquet, write_arrow

__all__ = ["ParquetSink"]

_ROWS_AT_ONCE = 10_000


class ParquetSink(Sink):
    """A Parquet file, which appears whole when the sink is closed; until then rows are held, 0.2 kB each.

    Args:
        destination: The file, replaced if it exists.
        columns: What is written of a result, in order, and the types of the columns.

    Raises:
        MissingExtraError: If pyarrow is not installed.
        OutputError: If nothing can be written there.
    """

    name = "parquet"
    suffixes = (".parquet",)

    def __init__(self, destination: str | os.PathLike[str], *, columns: Columns = COLUMNS) -> None:
        if not has_parquet():
            raise MissingExtraError(f"Parquet needs pyarrow. Run: {install_extra('cluster')}")
        self.columns = self._types = dict(columns)
        self._path = Path(destination)
        self._rows: list[Mapping[str, Any]] = []
        self._tables: list[Any] = []
        self._closed = False
        if self._path.is_dir():
            raise OutputError(f"{self._path}: is a folder; give the name of a file.")
        try:  # told now, not after hours
            tempfile.TemporaryFile(dir=self._path.parent).close()
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written ({error.strerror}); {WHERE_TO_WRITE}") from None

    def write_row(self, row: Mapping[str, Any]) -> None:
        """Hold a row."""
        self._rows.append({column: row.get(column) for column in self._types})
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._pack()

    def close(self) -> None:
        """Write the file."""
        if not self._closed:
            self._closed = True
            self._pack()
            write_arrow(self._path, self._tables)

    def _pack(self) -> None:
        self._tables.append(arrow_table(self._types, self._rows))
        self._rows = []
