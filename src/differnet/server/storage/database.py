"""The database: tables, connection, migrations."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    InterfaceError,
    NoSuchModuleError,
    OperationalError,
    SQLAlchemyError,
    TimeoutError,
)

from differnet.errors import MissingExtraError, SettingsError
from differnet.inspection.verdict import Verdict
from differnet.installing import install_extra
from differnet.server.problems import Problem

__all__ = [
    "SERIAL",
    "VERDICT_COLUMNS",
    "Database",
    "UtcDateTime",
    "images",
    "inspections",
    "keys",
    "metadata",
    "now",
    "reviews",
]


def now() -> datetime:
    """The time, UTC."""
    return datetime.now(timezone.utc)


_log = logging.getLogger(__name__)

metadata = sa.MetaData()
# SQLite numbers rows by itself only in a column of this very type.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A time in UTC: SQLite forgets time zones, PostgreSQL keeps them."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: D102
        return None if value is None else value.astimezone(timezone.utc)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: D102
        if value is None:
            return None
        return value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)


images = sa.Table(
    "images",
    metadata,
    sa.Column("sha256", sa.String(64), primary_key=True),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("derived_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("media_type", sa.String(40), nullable=False),
    sa.Column("last_used", UtcDateTime, nullable=False, index=True),
    sa.Column("removed_at", UtcDateTime),
)

VERDICT_COLUMNS = Verdict.columns()[1:]
"""The columns of ``inspections`` that hold the verdict: all its fields but the path, under their names."""

inspections = sa.Table(
    "inspections",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(32), nullable=False, unique=True),
    sa.Column("created", UtcDateTime, nullable=False),
    # Hours since 1970, to count by without the functions of one database.
    sa.Column("hour", sa.Integer, nullable=False),
    sa.Column("model", sa.String(200), nullable=False),
    sa.Column("model_id", sa.String(12), nullable=False),
    sa.Column("filename", sa.String(255)),
    sa.Column("sha256", sa.String(64), sa.ForeignKey("images.sha256"), nullable=False, index=True),
    sa.Column("score", sa.Double, nullable=False),
    sa.Column("threshold", sa.Double),
    sa.Column("margin", sa.Double),
    sa.Column("p_value", sa.Double),
    sa.Column("decision", sa.String(10)),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("milliseconds", sa.Double, nullable=False),
    sa.Column("views", sa.Integer, nullable=False),
    sa.Column("unlike", sa.Text),
    sa.Column("review", sa.String(10)),
    sa.Column("reviewed_at", UtcDateTime),
    sa.Column("note", sa.Text),
    # Of requests with an Idempotency-Key: a hash over it, and the image's place.
    sa.Column("request", sa.String(64)),
    sa.Index("ix_inspections_request", "request", unique=True),
    sa.Index("ix_inspections_model_seq", "model", "seq"),
    sa.Index("ix_inspections_model_hour", "model", "hour"),
    sa.Index("ix_inspections_decision_review", "decision", "review", "seq"),
)

reviews = sa.Table(
    "reviews",
    metadata,
    sa.Column("seq", SERIAL, primary_key=True, autoincrement=True),
    sa.Column("inspection", SERIAL, sa.ForeignKey("inspections.seq"), nullable=False, index=True),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("review", sa.String(10), nullable=False),
    sa.Column("note", sa.Text),
    sa.Column("key", sa.String(8)),
)

keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("role", sa.String(10), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False, unique=True),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("revoked_at", UtcDateTime),
)


class Database:
    """Connections to SQLite (the default) or PostgreSQL; the tables are brought up to date on construction.

    Args:
        url: As SQLAlchemy has it, ``sqlite:///file`` or ``postgresql://user:password@host/name``.

    Raises:
        SettingsError: If the URL is not usable or the database cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self.engine = _make_engine(url)
        self._writer = self.engine.execution_options(differnet_writes=True)
        self._glance: sqlite3.Connection | None = None
        self._glance_lock = threading.Lock()
        self.name = self.engine.url.render_as_string(hide_password=True)
        try:
            self._migrate()
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
            raise SettingsError(
                f"The database {self.name} cannot be used: {reason}. Check --database-url, and that it is running."
            ) from None

    @classmethod
    def in_folder(cls, folder: Path) -> Database:
        """The SQLite database of a data folder, which is made if it is missing.

        Raises:
            SettingsError: If the folder cannot be made or the database not be used.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"{folder}: cannot be made ({error.strerror}); choose another --data.") from None
        file = (folder / "differnet.db").resolve()
        # The service's own, as its images are; what SQLite puts beside it gets the same permissions.
        with contextlib.suppress(OSError):  # which the database itself will tell
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
            file.chmod(0o600)
        return cls(f"sqlite:///{file}")

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that only reads.

        Raises:
            Problem: 503 if the database cannot be reached.
        """
        with _reachable(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction, committed at the end of the block unless that raises.

        Raises:
            Problem: 503 if the database cannot be reached.
        """
        with _reachable(), self._writer.begin() as connection:
            yield connection

    def holds_any(self, table: sa.Table) -> bool | None:
        """Whether a table has a row, in microseconds and without waiting; None where only `reading` can tell.

        It is asked at every request, on the event loop: a query by way of the pool takes 40 times as long.
        """
        name = self.engine.url.database
        if self.engine.dialect.name != "sqlite" or not name or name == ":memory:":
            return None
        with self._glance_lock:
            try:
                if self._glance is None:
                    # Of any thread, as the lock has it; without waiting for writers, and it writes nothing itself.
                    self._glance = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False)
                found = self._glance.execute(f"SELECT EXISTS (SELECT 1 FROM {table.name})").fetchone()  # noqa: S608 - a table's own name
            except sqlite3.Error:
                return None
        return bool(found[0])

    def close(self) -> None:
        """Close all connections."""
        with self._glance_lock:
            if self._glance is not None:
                self._glance.close()
                self._glance = None
        self.engine.dispose()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", "differnet.server:migrations")
        config.set_main_option("path_separator", "os")
        with self._writer.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Two services that start at once must not both make the tables.
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8412733)")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


# In SQLite's words and in those of PostgreSQL.
_NO_ROOM = ("disk is full", "readonly database", "No space left")


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except (DataError, UnicodeEncodeError, OverflowError) as error:
        _log.info("the database cannot hold a value", extra={"reason": str(getattr(error, "orig", None) or error)})
        raise Problem(422, "The request has a value that the database cannot hold; correct it.") from None
    except (OperationalError, InterfaceError, TimeoutError) as error:
        reason = str(getattr(error, "orig", None) or error)
        _log.error("the database cannot be reached", extra={"reason": reason})
        if any(words in reason for words in _NO_ROOM):
            raise Problem(
                503, "The database cannot be written, its disk may be full; free space, then try again.", retry_after=30
            ) from None
        raise Problem(
            503, "The database cannot be reached; try again, and look at the log if that goes on.", retry_after=5
        ) from None


def _make_engine(url: str) -> sa.Engine:
    hint = "write sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME"
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        raise SettingsError(f"The database URL cannot be read; {hint}.") from None
    backend = parsed.get_backend_name()
    if backend not in ("sqlite", "postgresql", "postgres"):
        raise SettingsError(f"Databases of the kind '{backend}' are not supported; {hint}.")
    if backend == "sqlite":
        return _make_sqlite(parsed)
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    try:
        # A connection that the server has dropped is replaced before it is used.
        return sa.create_engine(parsed, pool_pre_ping=True, pool_size=10, pool_timeout=10)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise MissingExtraError(f"PostgreSQL needs its driver ({error}); run: {install_extra('server')}") from None


def _make_sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, pool_size=10, connect_args={"timeout": 30.0})

    @sa.event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:  # noqa: ANN401 - of the driver
        connection.isolation_level = None  # transactions begin by the event below, not by the driver's guess
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A writer waits for other writers at once: a reader that turns into one would be refused.
        writes = connection.get_execution_options().get("differnet_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
