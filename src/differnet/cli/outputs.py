"""What the commands write beside results: checked before long work begins, and opened."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from differnet.errors import OutputError
from differnet.files import WHERE_TO_WRITE, replacing

if TYPE_CHECKING:
    from differnet.sinks import Sink

__all__ = ["STDOUT", "check_not_input", "check_writable", "keep_backup", "open_destination", "open_output"]

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
        raise OutputError(f"{path}: cannot be written ({error.strerror}); {WHERE_TO_WRITE}") from None
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


def open_destination(destination: str) -> Sink:
    """Open a sink for results, an address with the user's secret.

    Raises:
        SettingsError: If nothing takes such a destination, or it is none.
        OutputError: If it cannot be written.
        MissingExtraError: If a package that this takes is not installed.
    """
    from differnet.sinks import DeliveringSink, find_sink, open_sink  # noqa: PLC0415

    kind = find_sink(destination)
    return open_sink(
        destination, **({"token": os.environ.get(kind.secret)} if issubclass(kind, DeliveringSink) else {})
    )


def keep_backup(path: Path) -> Path | None:
    """Keep a file that is about to be written over, beside it, as ``NAME.bak``, ``NAME.bak2`` and so on.

    Args:
        path: Of the file; it is to be replaced by another, not written into.

    Returns:
        Where it is kept; None if there is none.

    Raises:
        OutputError: If it cannot be kept.
    """
    if not path.exists():
        return None
    backups = (path.with_name(f"{path.name}.bak{number if number > 1 else ''}") for number in itertools.count(1))
    kept = next(each for each in backups if not each.exists())
    try:
        with replacing(kept) as part:
            shutil.copyfile(path, part)
    except OSError as error:
        raise OutputError(
            f"{kept}: the model as it was cannot be kept ({error.strerror}); nothing was changed. Make room there, or "
            "choose another --output."
        ) from None
    return kept


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
