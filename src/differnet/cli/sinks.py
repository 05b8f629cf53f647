"""Where scores go, a line per image as they come: CSV, JSON Lines, text."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from differnet.errors import OutputError

__all__ = ["Sink", "check_not_input", "check_writable", "csv_sink", "jsonl_sink", "open_output"]

STDOUT = "-"


class Sink(Protocol):
    """Takes one row at a time."""

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Write a row; it is flushed, so that a reader sees it at once."""
        ...


def check_writable(path: Path) -> None:
    """Make sure that a file can be written before long work begins.

    Raises:
        OutputError: If it cannot.
    """
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; give the name of a file.")
    existed = path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); choose a folder that exists and is writable."
        ) from None
    if not existed:
        path.unlink()


def check_not_input(outputs: Iterable[str | Path | None], inputs: Iterable[Path]) -> None:
    """Make sure that nothing that is read will be written over.

    Args:
        outputs: Files to be written; None and ``-`` are none.
        inputs: Files to be read.

    Raises:
        OutputError: If a file is both.
    """
    targets = {Path(output).resolve(): output for output in outputs if output is not None and str(output) != STDOUT}
    for file in inputs if targets else ():
        if file.resolve() in targets:
            raise OutputError(f"{file}: would be written over; choose another output.")


@contextmanager
def open_output(path: str) -> Iterator[IO[str]]:
    """Open a text file for writing, ``-`` for stdout.

    Raises:
        OutputError: If it cannot be opened or, later, not be written.
    """
    if path == STDOUT:
        yield sys.stdout
        return
    try:
        # File names that are not valid text are written with escapes; they must not end a batch.
        with Path(path).open("w", newline="", encoding="utf-8", errors="backslashreplace") as stream:
            yield stream
    except OSError as error:
        if error.filename not in (None, path):
            raise
        reason = f"cannot be written ({error.strerror})"
        raise OutputError(f"{path}: {reason}; choose a writable folder with space.") from None


@contextmanager
def csv_sink(path: str, columns: Sequence[str]) -> Iterator[Sink]:
    """Write rows as CSV with a header."""
    with open_output(path) as stream:
        writer = csv.DictWriter(stream, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()

        def write(row: Mapping[str, Any]) -> None:
            writer.writerow(row)
            stream.flush()

        yield write


@contextmanager
def jsonl_sink(path: str) -> Iterator[Sink]:
    """Write rows as JSON Lines."""
    with open_output(path) as stream:

        def write(row: Mapping[str, Any]) -> None:
            stream.write(json.dumps(row) + "\n")
            stream.flush()

        yield write
