"""Files of a line per result: CSV and JSON Lines."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar, Protocol

from differnet.errors import OutputError
from differnet.registry import Registry
from differnet.sinks.cells import csv_line, printable
from differnet.sinks.rows import COLUMNS
from differnet.sinks.sink import Sink

__all__ = ["LINE_FORMATS", "STDOUT", "CsvSink", "JsonLinesSink", "LineFormat", "as_json", "write_all"]

STDOUT = "-"
"""Stands for stdout."""


class LineFormat(Protocol):
    """How a row becomes a line; what is resumed after a crash (``differnet watch``) is resumed line by line."""

    @property
    def name(self) -> str:
        """What journals call it."""
        ...

    def head(self, columns: Collection[str]) -> bytes:
        """What a file begins with."""
        ...

    def line(self, columns: Collection[str], row: Mapping[str, Any]) -> bytes:
        """A row, whatever is in it, as one line with its end."""
        ...


class CsvLines:
    """CSV with a header; of a row, the values of the columns. None is empty."""

    name = "csv"

    def head(self, columns: Collection[str]) -> bytes:
        """The header."""
        return csv_line(columns, columns)

    def line(self, columns: Collection[str], row: Mapping[str, Any]) -> bytes:
        """The values of the columns."""
        return csv_line(columns, (row.get(column) for column in columns))


class JsonLines:
    """JSON Lines; all of a row."""

    name = "jsonl"

    def head(self, columns: Collection[str]) -> bytes:
        """Nothing."""
        return b""

    def line(self, columns: Collection[str], row: Mapping[str, Any]) -> bytes:
        """The row as an object."""
        return as_json(row) + b"\n"


_CSV, _JSON = CsvLines(), JsonLines()

LINE_FORMATS: Registry[LineFormat] = Registry("format of lines", _CSV, _JSON)


class _LineSink(Sink):
    """A file that a reader may follow: each line is written at once, with one write.

    Args:
        destination: The file, replaced if it exists; ``-`` for stdout.
        columns: What is written of a result, in order.

    Raises:
        OutputError: If the file cannot be written.
    """

    form: ClassVar[LineFormat]

    def __init__(self, destination: str | os.PathLike[str], *, columns: Iterable[str] = COLUMNS) -> None:
        self.columns = tuple(columns)
        self._path = str(destination)
        self._stream: io.FileIO | None = None
        if self._path != STDOUT:
            try:
                self._stream = io.FileIO(os.fspath(destination), "w")
            except OSError as error:
                raise self._unwritable(error) from None
        self._write(self.form.head(self.columns))

    def write_row(self, row: Mapping[str, Any]) -> None:
        self._write(self.form.line(self.columns, {column: row.get(column) for column in self.columns}))

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _write(self, line: bytes) -> None:
        if self._stream is None:
            text = line.decode()
            sys.stdout.write(f"{printable(text[:-1])}\n" if sys.stdout.isatty() and text else text)
            sys.stdout.flush()
            return
        try:
            write_all(self._stream, line)
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> OutputError:
        reason = f"cannot be written ({error.strerror})"
        return OutputError(f"{self._path}: {reason}; choose a writable folder with space.")


class CsvSink(_LineSink):
    """CSV with a header."""

    name = "csv"
    suffixes = (".csv",)
    form = _CSV


class JsonLinesSink(_LineSink):
    """JSON Lines: an object a line, of all columns; infinite values, which JSON does not have, are null."""

    name = "jsonl"
    suffixes = (".jsonl", ".ndjson")
    form = _JSON


def write_all(stream: io.FileIO, line: bytes) -> None:
    """Write to an unbuffered file, which may take less than it is given at a time.

    Raises:
        OSError: If that fails.
    """
    rest = memoryview(line)
    while rest:
        rest = rest[stream.write(rest) or 0 :]


def as_json(row: Mapping[str, Any]) -> bytes:
    """Write a row as JSON; infinite values, which JSON does not have, become null."""
    values = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}
    return json.dumps(values, allow_nan=False).encode()
