"""The journal: what was inspected, what belongs into the outputs, what has yet to be delivered. One SQLite file."""

from __future__ import annotations

import math
import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from differnet.errors import OutputError
from differnet.watching.photograph import Photograph, Stamp

__all__ = ["Journal", "QueuedDelivery", "Recorded"]

_APPLICATION = 0x44694E77  # "DiNw"
_VERSION = 2
_LINES_AT_ONCE = 1000

_TABLES = """
CREATE TABLE files (
    path BLOB PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL,
    inode INTEGER NOT NULL, sha256 TEXT NOT NULL, key TEXT NOT NULL, inspected_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE outputs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, about TEXT NOT NULL, length INTEGER NOT NULL);
CREATE TABLE lines (
    output INTEGER NOT NULL, begin INTEGER NOT NULL, line BLOB NOT NULL, PRIMARY KEY (output, begin)
) WITHOUT ROWID;
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL, body BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    next_try REAL NOT NULL DEFAULT 0, refused TEXT
);
CREATE INDEX deliveries_due ON deliveries (next_try, id) WHERE refused IS NULL;
"""

# What version 2 has beyond version 1: a queue for each receiver, and what was counted.
_QUEUES = """
ALTER TABLE deliveries ADD COLUMN queue TEXT NOT NULL DEFAULT 'webhook';
DROP INDEX deliveries_due;
CREATE INDEX deliveries_due ON deliveries (queue, next_try, id) WHERE refused IS NULL;
CREATE INDEX deliveries_in_order ON deliveries (queue, id) WHERE refused IS NULL;
CREATE TABLE totals (outcome TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Recorded:
    """What the journal knows of a file: its latest inspection."""

    stamp: Stamp
    sha256: str


@dataclass(frozen=True)
class QueuedDelivery:
    """A verdict that has yet to be delivered.

    Attributes:
        id: Its number in the queue.
        key: The verdict's name, see `Photograph.key`.
        body: The JSON document.
        attempts: How often delivery has failed.
    """

    id: int
    key: str
    body: bytes
    attempts: int


class Journal:
    """Remembers across crashes; used as a context manager, by one process at a time, by any of its threads.

    What a method has written is on disk when it returns (write-ahead log, ``synchronous=FULL``).

    Args:
        path: The file; made if absent. SQLite keeps a second one beside it, ``-wal``, while it is open.

    Raises:
        OutputError: If the file cannot be opened, is in use, or is something else. All methods raise it if the disk
            fails or is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; give the name of a file for the journal.")
        with self._told():
            self._database = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
        try:
            with self._told():
                self._open()
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def latest(self, relative: str) -> Recorded | None:
        """What is known of a file; None if it was never inspected."""
        query = "SELECT size, mtime_ns, ctime_ns, inode, sha256 FROM files WHERE path = ?"
        found = self._one(query, (os.fsencode(relative),))
        return None if found is None else Recorded(Stamp(*found[:4]), found[4])

    def restamp(self, relative: str, stamp: Stamp) -> None:
        """Remember that a file with another stamp is the one inspected before."""
        self._write(
            "UPDATE files SET size = ?, mtime_ns = ?, ctime_ns = ?, inode = ? WHERE path = ?",
            (stamp.size, stamp.mtime_ns, stamp.ctime_ns, stamp.inode, os.fsencode(relative)),
        )

    def record(
        self,
        photograph: Photograph,
        key: str,
        inspected_at: str,
        *,
        lines: Mapping[int, bytes],
        bodies: Mapping[str, bytes],
        totals: Mapping[str, int],
    ) -> None:
        """Remember an inspection with all that is to follow from it, in one transaction.

        Args:
            photograph: The file.
            key: The verdict's name.
            inspected_at: When, as the rows have it.
            lines: For the number of each output, what is to be appended.
            bodies: For the name of each queue, what is to be delivered.
            totals: How many inspections there were of each outcome, this one counted.
        """
        stamp = photograph.stamp
        with self._transaction() as database:
            database.execute(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    os.fsencode(photograph.relative),
                    stamp.size,
                    stamp.mtime_ns,
                    stamp.ctime_ns,
                    stamp.inode,
                    photograph.sha256,
                    key,
                    inspected_at,
                ),
            )
            for output, line in lines.items():
                _append(database, output, line)
            for queue, body in bodies.items():
                database.execute("INSERT INTO deliveries (key, body, queue) VALUES (?, ?, ?)", (key, body, queue))
            database.executemany("INSERT OR REPLACE INTO totals VALUES (?, ?)", totals.items())

    def totals(self) -> dict[str, int]:
        """How many inspections there were of each outcome, in all."""
        rows = self._all("SELECT outcome, count FROM totals", ())
        return {str(outcome): int(self._number(count)) for outcome, count in rows}

    def find_output(self, name: str) -> tuple[int, str] | None:
        """Number of an output and what was remembered of it; None if it is not known."""
        found = self._one("SELECT id, about FROM outputs WHERE name = ?", (name,))
        return None if found is None else (int(found[0]), str(found[1]))

    def add_output(self, name: str, about: str, first: bytes) -> int:
        """Make an output known.

        Args:
            name: Tells outputs apart.
            about: What to remember of it.
            first: Its first line, if any.

        Returns:
            Its number.
        """
        with self._transaction() as database:
            query = "INSERT INTO outputs (name, about, length) VALUES (?, ?, 0)"
            number = int(database.execute(query, (name, about)).lastrowid or 0)
            if first:
                _append(database, number, first)
        return number

    def length(self, output: int) -> int:
        """Number of bytes that an output has when nothing is missing."""
        found = self._one("SELECT length FROM outputs WHERE id = ?", (output,))
        return 0 if found is None else int(self._number(found[0]))

    def lines_from(self, output: int, position: int, before: int) -> Iterator[tuple[int, bytes]]:
        """Give the lines of an output with the byte at which each begins.

        Args:
            output: Its number.
            position: A byte of the first line wanted.
            before: Give so many lines before that too.
        """
        query = "SELECT begin FROM lines WHERE output = ? AND begin <= ? ORDER BY begin DESC LIMIT 1 OFFSET ?"
        first = self._one(query, (output, position, before))
        begin = -1 if first is None else int(self._number(first[0])) - 1
        while True:
            # In parts, so that the lock is free in between and memory stays small.
            query = "SELECT begin, line FROM lines WHERE output = ? AND begin > ? ORDER BY begin LIMIT ?"
            part = self._all(query, (output, begin, _LINES_AT_ONCE))
            if not part:
                return
            yield from part
            begin = part[-1][0]

    def restart_deliveries(self, queue: str) -> None:
        """Make all deliveries of a queue due now; times of an earlier process mean nothing in this one."""
        self._write("UPDATE deliveries SET next_try = 0 WHERE refused IS NULL AND queue = ?", (queue,))

    def next_delivery(self, queue: str, now: float, *, ordered: bool = False) -> tuple[QueuedDelivery | None, float]:
        """Give the next delivery of a queue at a time, or None, and when it is due.

        Args:
            queue: Its name.
            now: The time, on the clock of `postpone`.
            ordered: The next one is the oldest, whether due or not; otherwise the one that has been due longest.
        """
        query = "SELECT id, key, body, attempts, next_try FROM deliveries WHERE queue = ? AND refused IS NULL ORDER BY "
        found = self._one(query + ("id LIMIT 1" if ordered else "next_try, id LIMIT 1"), (queue,))
        if found is None:
            return None, float("inf")
        due = float(self._number(found[4]))
        return (QueuedDelivery(*found[:4]) if due <= now else None), due

    def delivered(self, delivery: QueuedDelivery) -> None:
        """Forget a delivery that has arrived."""
        self._write("DELETE FROM deliveries WHERE id = ?", (delivery.id,))

    def postpone(self, delivery: QueuedDelivery, next_try: float) -> None:
        """Remember a failure, and when to try again."""
        query = "UPDATE deliveries SET attempts = attempts + 1, next_try = ? WHERE id = ?"
        self._write(query, (next_try, delivery.id))

    def refuse(self, delivery: QueuedDelivery, reason: str) -> None:
        """Remember that the receiver does not want a delivery, which is kept but not tried again."""
        query = "UPDATE deliveries SET attempts = attempts + 1, refused = ? WHERE id = ?"
        self._write(query, (reason, delivery.id))

    def undelivered(self, queue: str | None = None) -> int:
        """Number of deliveries that are still to be made, of one queue or of all."""
        query = "SELECT count(*) FROM deliveries WHERE refused IS NULL"
        found = self._one(query, ()) if queue is None else self._one(f"{query} AND queue = ?", (queue,))
        return 0 if found is None else int(found[0])

    def _open(self) -> None:
        database = self._database
        # Exclusive: a second process is refused, and no shared memory is needed, so that network drives work too.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        with self._transaction():
            application = database.execute("PRAGMA application_id").fetchone()[0]
            version = database.execute("PRAGMA user_version").fetchone()[0]
            tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if application != _APPLICATION and (application or version or tables):
                raise OutputError(
                    f"{self.path}: is a database of another program; choose another name for the journal."
                )
            if version > _VERSION:
                raise OutputError(f"{self.path}: was written by a newer version; update differnet.")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        if tables and version == _VERSION:
            return
        with self._transaction():
            for statement in (_QUEUES if tables else _TABLES + _QUEUES).split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_APPLICATION}")
            database.execute(f"PRAGMA user_version = {_VERSION}")

    def _damaged(self) -> OutputError:
        return OutputError(f"{self.path}: is damaged; choose another name with --journal.")

    def _number(self, value: object) -> int | float:
        """A value that the table says is a number, which a damaged file need not keep to."""
        if isinstance(value, (int, float)) and math.isfinite(value):
            return value
        raise self._damaged()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn errors of the database into one that tells what to do."""
        try:
            yield
        except UnicodeDecodeError:
            raise self._damaged() from None
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY") or "locked" in str(error):
                raise OutputError(
                    f"{self.path}: is in use by another 'differnet watch'; stop that one, or choose another --journal."
                ) from None
            if "not a database" in str(error):
                raise OutputError(f"{self.path}: is not a journal; choose another name with --journal.") from None
            reason = " ".join(str(error).split())
            raise OutputError(
                f"{self.path}: the journal cannot be written ({reason}); choose a folder that exists, is writable and "
                f"has space."
            ) from None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._told():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def _write(self, query: str, values: Sequence[Any]) -> None:
        with self._lock, self._told():
            self._database.execute(query, values)

    def _one(self, query: str, values: Sequence[Any]) -> Any:  # noqa: ANN401 - a row of any values
        with self._lock, self._told():
            return self._database.execute(query, values).fetchone()

    def _all(self, query: str, values: Sequence[Any]) -> list[Any]:
        with self._lock, self._told():
            return self._database.execute(query, values).fetchall()


def _append(database: sqlite3.Connection, output: int, line: bytes) -> None:
    database.execute("INSERT INTO lines SELECT id, length, ? FROM outputs WHERE id = ?", (line, output))
    database.execute("UPDATE outputs SET length = length + ? WHERE id = ?", (len(line), output))
