"""What the commands write beside results: checked before long work begins, and opened."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from differnet.errors import OutputError

__all__ = ["check_not_input", "check_writable", "open_output"]

STDOUT = "-"


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
