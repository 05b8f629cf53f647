"""How far each receiver of verdicts has got."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import sqlalchemy as sa

from differnet.server.storage.database import SERIAL, Database, inspections, metadata, now
from differnet.server.storage.records import Row

__all__ = ["OUTCOMES", "Outbox", "outboxes"]

OUTCOMES = ("accept", "review", "reject", "undecided")
"""What is counted; undecided are those of a model without a threshold."""

outboxes = sa.Table(
    "outboxes",
    metadata,
    sa.Column("name", sa.String(250), primary_key=True),
    # The last inspection that was dealt with.
    sa.Column("seq", SERIAL, nullable=False, autoincrement=False),
    *(sa.Column(outcome, sa.BigInteger, nullable=False, server_default="0") for outcome in OUTCOMES),
)

# Where numbers are missing another service may be about to record them: PostgreSQL gives them out before.
_SETTLED = timedelta(seconds=5)


class Outbox:
    """The inspections that a receiver has yet to hear of, in the order in which they were recorded.

    It begins with the first inspection after it was opened for the first time, and is known again by its name.

    Args:
        database: With the inspections.
        name: Tells receivers apart.
        model: Only inspections of this one; None takes all.
    """

    def __init__(self, database: Database, name: str, model: str | None = None) -> None:
        self._database, self._name, self._model = database, name, model

    def open(self) -> dict[str, int]:
        """Begin, or go on.

        Returns:
            How many inspections of each outcome were dealt with before.

        Raises:
            Problem: 503 if the database cannot be reached, as do all.
        """
        with self._database.writing() as connection:
            row = connection.execute(sa.select(outboxes).where(outboxes.c.name == self._name)).mappings().one_or_none()
            if row is not None:
                return {outcome: int(row[outcome]) for outcome in OUTCOMES}
            last = connection.scalar(sa.select(sa.func.max(inspections.c.seq))) or 0
            connection.execute(sa.insert(outboxes).values(name=self._name, seq=last))
            return dict.fromkeys(OUTCOMES, 0)

    def next(self, most: int) -> list[Row]:
        """The next inspections, with ``seq``; none if there are none yet."""
        with self._database.reading() as connection:
            last = self._last(connection)
            # Of all models, for their numbers have no gaps.
            query = sa.select(inspections).where(inspections.c.seq > last).order_by(inspections.c.seq).limit(most)
            rows = [dict(row) for row in connection.execute(query).mappings()]
        settled = now() - _SETTLED
        for place, row in enumerate(rows):
            if row["seq"] != last + 1 and row["created"] > settled:
                return rows[:place]
            last = row["seq"]
        return rows

    def wants(self, row: Row) -> bool:
        """Whether an inspection is for this receiver."""
        return self._model is None or row["model"] == self._model

    def advance(self, seq: int, counts: Mapping[str, int]) -> None:
        """Remember that all up to an inspection were dealt with.

        Args:
            seq: Its number.
            counts: How many there were of each outcome.
        """
        with self._database.writing() as connection:
            connection.execute(sa.update(outboxes).where(outboxes.c.name == self._name).values(seq=seq, **counts))

    def waiting(self) -> int:
        """Number of inspections that are still to be dealt with."""
        with self._database.reading() as connection:
            query = sa.select(sa.func.count()).where(inspections.c.seq > self._last(connection))
            if self._model is not None:
                query = query.where(inspections.c.model == self._model)
            return int(connection.scalar(query) or 0)

    def _last(self, connection: sa.Connection) -> int:
        found = connection.scalar(sa.select(outboxes.c.seq).where(outboxes.c.name == self._name))
        if found is None:  # not opened yet
            found = connection.scalar(sa.select(sa.func.max(inspections.c.seq)))
        return int(found or 0)
