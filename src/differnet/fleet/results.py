"""Where verdicts on an archive go: tables partitioned by product, from which an interrupted run goes on."""

from __future__ import annotations

import hashlib
import math
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from differnet.errors import OutputError
from differnet.sinks import Sink
from differnet.sinks.rows import COLUMNS, Columns
from differnet.sinks.tables import read_columns, table_suffix, write_arrow, write_table

__all__ = ["RESULT_COLUMNS", "Done", "Results", "hash_of"]

RESULT_COLUMNS: Columns = COLUMNS
"""The fields of a verdict, and why there is none; the product is told by the folder."""

_PARTITION = "product="
_HASH_BYTES = 16
# Files are written when they are worth it, or when this much work would be lost.
_ROWS = 10_000
_SECONDS = 20.0
_REMEDY = "choose another --out, or remove the folder."


class Done:
    """Which images have a row already: 16 bytes each, so that a hundred million fit into memory.

    Args:
        hashes: (n, 2) hashes, see `hash_of`, in order.
        errors: How many of them have an error instead of a score.
    """

    def __init__(self, hashes: NDArray[np.uint64], errors: int = 0) -> None:
        self.hashes, self.errors = hashes, errors

    @classmethod
    def of(cls, hashes: bytes, errors: int = 0) -> Done:
        """From hashes one after the other, in any order."""
        return cls(np.unique(np.frombuffer(hashes, np.uint64).reshape(-1, 2), axis=0), errors)

    def __len__(self) -> int:
        return len(self.hashes)

    def __contains__(self, image: tuple[str, str]) -> bool:
        if not len(self.hashes):
            return False
        high, low = np.frombuffer(hash_of(*image), np.uint64)
        start, end = np.searchsorted(self.hashes[:, 0], [high, high + np.uint64(1)])
        return bool((self.hashes[start:end, 1] == low).any())


def _same(found: float | str | None, wanted: float | None) -> bool:
    """Whether a cell, of CSV a text, is a threshold; an extrapolated one may differ by how a processor rounds."""
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(float(found), wanted, rel_tol=1e-6)


def _named(threshold: float | str | None) -> str:
    return "no threshold" if threshold is None else f"the threshold {float(threshold):.6g}"


def hash_of(product: str, path: str) -> bytes:
    """16 bytes that stand for an image."""
    key = f"{product}\0{path}".encode("utf-8", "backslashreplace")
    return hashlib.blake2b(key, digest_size=_HASH_BYTES).digest()


class Results(Sink):
    """A folder of tables ``product=NAME/part-*.parquet`` (CSV without pyarrow).

    Rows are kept until there are enough of a product for a file, or until they have waited 20 seconds. A file appears
    whole or not at all, so that what was not written is what remains to be done.

    Args:
        folder: Where to; made if absent.
        rows: Most rows of a file.
        seconds: Longest time that a row waits.

    Raises:
        OutputError: If it cannot be made.
    """

    def __init__(self, folder: Path, *, rows: int = _ROWS, seconds: float = _SECONDS) -> None:
        self._folder = folder
        self._rows = rows
        self._seconds = seconds
        self._waiting: dict[str, list[Mapping[str, Any]]] = {}
        self._tables: dict[str, list[Any]] = {}
        self._counts: dict[str, int] = {}
        self._since: dict[str, float] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another --out.") from None

    def done(self, model_ids: Mapping[str, str], thresholds: Mapping[str, float | None] | None = None) -> Done:
        """Find out what an earlier run has done.

        Args:
            model_ids: Of each product, the model that is to score it.
            thresholds: Of each product, the threshold that is to decide; None does not compare them.

        Raises:
            OutputError: If the folder holds verdicts of other models or thresholds.
        """
        hashes, errors = bytearray(), 0
        for file in sorted(self._folder.glob(f"{_PARTITION}*/part-*")):
            product = unquote(file.parent.name.removeprefix(_PARTITION))
            for path, model_id, threshold, error in read_columns(file, ["path", "model_id", "threshold", "error"]):
                wanted = model_ids.get(product)
                if model_id and wanted != model_id:
                    raise OutputError(
                        f"{file}: holds verdicts of the model {model_id}, not of {wanted or 'any'} that is given for "
                        f"'{product}'; {_REMEDY}"
                    )
                if thresholds is not None and not error and not _same(threshold, thresholds.get(product)):
                    raise OutputError(
                        f"{file}: holds verdicts by {_named(threshold)}, and the model of '{product}' decides by "
                        f"{_named(thresholds.get(product))} now; {_REMEDY}"
                    )
                hashes += hash_of(product, path)
                errors += bool(error)
        return Done.of(bytes(hashes), errors)

    def write_row(self, row: Mapping[str, Any]) -> None:
        """Take a row with the columns of `RESULT_COLUMNS` and ``product``."""
        self._waiting.setdefault(row["product"], []).append(row)
        self._note(row["product"], 1)
        self._write_those_due()

    def add_table(self, table: Any) -> None:  # noqa: ANN401 - pyarrow's table
        """Take a pyarrow table with the same columns, as it is: no row of it becomes an object of Python."""
        import pyarrow.compute as pc  # noqa: PLC0415

        for product in pc.unique(table["product"]).to_pylist():
            part = table.filter(pc.equal(table["product"], product)).select(list(RESULT_COLUMNS))
            self._tables.setdefault(product, []).append(part)
            self._note(product, part.num_rows)
        self._write_those_due()

    def close(self) -> None:
        """Write what still waits: whatever ended the run, what was scored need not be scored again."""
        for product in list(self._counts):
            self._write(product)

    def _note(self, product: str, rows: int) -> None:
        self._counts[product] = self._counts.get(product, 0) + rows
        self._since.setdefault(product, time.monotonic())

    def _write_those_due(self) -> None:
        now = time.monotonic()
        for product, count in list(self._counts.items()):
            if count >= self._rows or now - self._since[product] >= self._seconds:
                self._write(product)

    def _write(self, product: str) -> None:
        del self._counts[product], self._since[product]
        folder = self._folder / f"{_PARTITION}{quote(product, safe='')}"
        if rows := self._waiting.pop(product, []):
            write_table(folder / _new_name(table_suffix()), RESULT_COLUMNS, rows)
        if tables := self._tables.pop(product, []):
            write_arrow(folder / _new_name(".parquet"), tables)


def _new_name(suffix: str) -> str:
    return f"part-{uuid.uuid4().hex}{suffix}"
