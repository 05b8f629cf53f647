"""Files of rows that hold exactly what the journal says, whenever the process was killed."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from differnet.errors import OutputError
from differnet.files import WHERE_TO_WRITE
from differnet.sinks.lines import LINE_FORMATS, write_all
from differnet.sinks.rows import COLUMNS as RESULT_COLUMNS
from differnet.watching.journal import Journal

__all__ = ["COLUMNS", "OutputFile"]

COLUMNS = (*RESULT_COLUMNS, "inspected_at", "sequence")
"""The fields of a row."""

_CHECKED_LINES = 4096


class OutputFile:
    """A CSV or JSON Lines file, appended to.

    Every line is in the journal, with the byte at which it begins, before it is in the file. At the start the file is
    brought in line with the journal: a line that is cut off or missing is written anew. An output that the journal has
    never seen begins empty.

    Args:
        path: The file.
        form: One of the `LINE_FORMATS`: ``csv`` or ``jsonl``.
        journal: The journal.

    Attributes:
        number: What the journal calls it.
        restored: Number of lines that were missing or incomplete at the start.

    Raises:
        OutputError: If the file cannot be written, has content that the journal knows nothing of, or was changed.
    """

    def __init__(self, path: Path, form: str, journal: Journal) -> None:
        self.path = path
        self._form = LINE_FORMATS.find(form)
        if path.exists() and not path.is_file():
            raise OutputError(f"{path}: is not an ordinary file; a watched folder's rows go into a file.")
        self._stream = _open(path)
        try:
            is_new = self._find(journal)
            written = self._align(journal)
            self.restored = 0 if is_new else written
        except BaseException:
            self._stream.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def line(self, row: Mapping[str, Any]) -> bytes:
        """Write a row as a line, in the columns with which the file was begun."""
        return self._form.line(self._columns, row)

    def append(self, line: bytes) -> None:
        """Append a line that is in the journal.

        Raises:
            OutputError: If that fails; the next start makes up for it.
        """
        try:
            write_all(self._stream, line)
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error.strerror}); make space and start again, nothing is lost."
            ) from None

    def _find(self, journal: Journal) -> bool:
        """Look the output up in the journal; returns whether it was not there and is now."""
        name = _name(self.path, journal)
        known = journal.find_output(name)
        if known is None:
            if self._stream.seek(0, os.SEEK_END):
                raise OutputError(
                    f"{self.path}: is there already, and the journal {journal.path} knows nothing of it; choose "
                    f"another name, or move the file away."
                )
            about = json.dumps({"form": self._form.name, "columns": COLUMNS})
            self.number = journal.add_output(name, about, self._form.head(COLUMNS))
            self._columns: Sequence[str] = COLUMNS
            return True
        about = json.loads(known[1])
        if about["form"] != self._form.name:
            raise OutputError(
                f"{self.path}: was begun as {about['form']}, not as {self._form.name}; choose another name."
            )
        self.number, self._columns = known[0], about["columns"]
        return False

    def _align(self, journal: Journal) -> int:
        stream, length = self._stream, journal.length(self.number)
        size = stream.seek(0, os.SEEK_END)
        if size > length:
            raise self._changed(f"has {size - length} bytes more than the journal {journal.path} put there")
        restored, begin, there = 0, -1, b""
        for start, line in journal.lines_from(self.number, size, _CHECKED_LINES):
            if begin < 0:
                begin = stream.seek(start)
                # Zeros are what some file systems leave of a line when the power fails.
                there = stream.readall().rstrip(b"\0")
            if not restored:
                found = there[start - begin : start - begin + len(line)]
                if found == line:
                    continue
                if not line.startswith(found) or begin + len(there) > start + len(found):
                    raise self._changed(f"differs from what the journal {journal.path} put there, from byte {start}")
                stream.truncate(start)
            self.append(line)
            restored += 1
        if restored:
            os.fsync(stream.fileno())
        return restored

    def _changed(self, how: str) -> OutputError:
        return OutputError(
            f"{self.path}: {how}; another program changed it. Move it away: it is then restored as it was. Or choose "
            f"another name."
        )


def _name(path: Path, journal: Journal) -> str:
    """An output's name in the journal: relative to it, so that both can be moved together."""
    try:
        name = os.path.relpath(path, journal.path.parent)
    except ValueError:  # another drive
        name = str(path.absolute())
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")


def _open(path: Path) -> io.FileIO:
    try:
        return io.FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o666), "r+")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror}); {WHERE_TO_WRITE}") from None
