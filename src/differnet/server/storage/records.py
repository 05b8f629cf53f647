"""Inspections and reviews in the database: what is written, and how it is found again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from differnet.server.problems import Problem
from differnet.server.storage.database import Database, images, inspections, now, reviews

__all__ = ["Entry", "Filter", "Page", "Records", "Review", "Row"]

Review = Literal["good", "defective", "unsure"]

Row = dict[str, Any]
"""The columns of an inspection, with ``media_type`` and ``removed_at`` of its image."""

_COLUMNS = (*inspections.c, images.c.media_type, images.c.removed_at)
_JOINED = inspections.join(images)


@dataclass(frozen=True)
class Entry:
    """An inspection to be recorded.

    Attributes:
        row: The columns of the table ``inspections``, without ``seq``.
        size: Bytes of the image.
        media_type: Of the image.
    """

    row: Mapping[str, Any]
    size: int
    media_type: str

    @property
    def recorded(self) -> Row:
        """The row as it is found again, but for its number."""
        return {**self.row, "media_type": self.media_type, "removed_at": None, "review": None}


@dataclass(frozen=True)
class Filter:
    """Which inspections are wanted; None wants any.

    Attributes:
        model: Name.
        model_id: As in verdicts.
        decision: ``accept``, ``review`` or ``reject``.
        review: A review, or ``none`` for those without one.
        since: Not before this time.
        until: Before this time.
        search: Part of the file name, of the note or the beginning of the id.
        queue: Only those that wait for a person: not accepted, not reviewed. Oldest first.
    """

    model: str | None = None
    model_id: str | None = None
    decision: str | None = None
    review: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    queue: bool = False

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As SQL."""
        of = inspections.c
        found: list[sa.ColumnElement[bool]] = []
        for column, value in ((of.model, self.model), (of.model_id, self.model_id), (of.decision, self.decision)):
            if value is not None:
                found.append(column == value)
        if self.queue:
            found += [of.decision.in_(("review", "reject")), of.review.is_(None)]
        if self.review is not None:
            found.append(of.review.is_(None) if self.review == "none" else of.review == self.review)
        if self.since is not None:
            found.append(of.created >= self.since)
        if self.until is not None:
            found.append(of.created < self.until)
        if self.search:
            found.append(
                of.filename.icontains(self.search, autoescape=True)
                | of.note.icontains(self.search, autoescape=True)
                | of.id.startswith(self.search.lower(), autoescape=True)
            )
        return found


@dataclass(frozen=True)
class Page:
    """Some of the inspections that were asked for.

    Attributes:
        rows: In order.
        next: The id after which the next page begins, None if this is the last.
        total: How many there are in all.
    """

    rows: Sequence[Row]
    next: str | None
    total: int


class Records:
    """What was inspected and what people said of it.

    Args:
        database: With its tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, entries: Sequence[Entry]) -> list[Row]:
        """Record inspections, all or none, in one transaction.

        Returns:
            For each the row that stands for it: its own, or the one that was recorded for the same request before.

        Raises:
            Problem: 503 if the database cannot be reached.
        """
        # Sorted, so that two services on one database never wait for each other.
        used = {str(entry.row["sha256"]): entry for entry in entries}
        with self._database.writing() as connection:
            insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
            statement = insert(images)
            connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[images.c.sha256],
                    set_={"last_used": statement.excluded.last_used, "removed_at": None},
                ),
                [
                    {
                        "sha256": sha256,
                        "bytes": entry.size,
                        "media_type": entry.media_type,
                        "last_used": entry.row["created"],
                    }
                    for sha256, entry in sorted(used.items())
                ],
            )
            again = [entry for entry in entries if entry.row.get("request") is not None]
            if not again:
                connection.execute(sa.insert(inspections), [dict(entry.row) for entry in entries])
                return [entry.recorded for entry in entries]
            once = insert(inspections).on_conflict_do_nothing(index_elements=["request"])
            connection.execute(once, [{"request": None, **entry.row} for entry in entries])
            known = _of_requests(connection, [str(entry.row["request"]) for entry in again])
            found = []
            for entry in entries:
                row = known.get(str(entry.row.get("request")), entry.recorded)
                found.append(entry.recorded if row["id"] == entry.row["id"] else row)
            return found

    def of_requests(self, requests: Sequence[str]) -> dict[str, Row]:
        """What was recorded for requests, by the hashes that `Entry.row` has under ``request``."""
        with self._database.reading() as connection:
            return _of_requests(connection, requests)

    def get(self, identity: str) -> Row:
        """One inspection.

        Raises:
            Problem: 404 if there is none.
        """
        with self._database.reading() as connection:
            return _get(connection, identity)

    def page(self, wanted: Filter, *, limit: int, before: str | None = None) -> Page:
        """Inspections, newest first; the queue oldest first.

        Args:
            wanted: Which ones.
            limit: At most so many.
            before: Begin behind the inspection with this id, in the order of the list.

        Raises:
            Problem: 404 if there is no inspection `before`.
        """
        conditions, order = wanted.conditions(), inspections.c.seq
        with self._database.reading() as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(inspections).where(*conditions)) or 0
            if before is not None:
                edge = _get(connection, before)["seq"]
                conditions.append(order > edge if wanted.queue else order < edge)
            query = sa.select(*_COLUMNS).select_from(_JOINED).where(*conditions)
            query = query.order_by(order.asc() if wanted.queue else order.desc()).limit(limit + 1)
            rows = connection.execute(query).mappings().all()
        more = len(rows) > limit
        return Page([dict(row) for row in rows[:limit]], str(rows[limit - 1]["id"]) if more else None, total)

    def sample(self, model: str | None, size: int) -> Page:
        """Accepted parts of today that somebody should look at, drawn at random; none once enough were looked at.

        Ids are random: the lowest ones of a day are a random sample of it, the same at every request, into which those
        that come later are drawn like all others (bottom-k sampling, Cohen and Kaplan 2007).

        Args:
            model: Of one model; None of all.
            size: How many to look at in a day (UTC).

        Returns:
            Those that wait; `Page.total` is their number.
        """
        start = now().replace(hour=0, minute=0, second=0, microsecond=0)
        of = inspections.c
        today = [of.decision == "accept", of.hour >= int(start.timestamp()) // 3600]
        if model is not None:
            today.append(of.model == model)
        drawn = sa.select(*_COLUMNS).select_from(_JOINED).where(*today, images.c.removed_at.is_(None))
        seen = sa.select(sa.func.count()).select_from(inspections).where(*today, of.review.is_not(None))
        with self._database.reading() as connection:
            left = max(0, size - (connection.scalar(seen) or 0))
            rows = connection.execute(drawn.order_by(of.id).limit(size)).mappings().all()
        waiting = [dict(row) for row in rows if row["review"] is None][:left]
        return Page(waiting, None, len(waiting))

    def review(self, identity: str, review: Review | None, note: str | None, key: str | None) -> Row:
        """Write down what a person says of a part; the last word counts, all are kept.

        Args:
            identity: Of the inspection.
            review: The word; None takes back what was said, so that the part waits for a person again.
            note: In the person's own words.
            key: Id of the key that was used.

        Raises:
            Problem: 404 if there is no such inspection.
        """
        time = now()
        with self._database.writing() as connection:
            row = _get(connection, identity)
            connection.execute(
                sa.update(inspections)
                .where(inspections.c.seq == row["seq"])
                .values(review=review, reviewed_at=time if review else None, note=note)
            )
            connection.execute(
                sa.insert(reviews).values(
                    inspection=row["seq"], created=time, review=review or "none", note=note, key=key
                )
            )
            return _get(connection, identity)

    def reviewed_good(self, model: str) -> list[str]:
        """Hashes of the images that a model inspected, that were reviewed good, and that are still there."""
        query = (
            sa.select(inspections.c.sha256, sa.func.min(inspections.c.seq).label("first"))
            .select_from(_JOINED)
            .where(inspections.c.model == model, inspections.c.review == "good", images.c.removed_at.is_(None))
            .group_by(inspections.c.sha256)
            .order_by("first")
        )
        with self._database.reading() as connection:
            return [str(row.sha256) for row in connection.execute(query)]

    def reviewed(self, model: str, most: int) -> list[Row]:
        """Inspections of a model that were reviewed good or defective, by the last word on each image, newest first.

        Args:
            model: Name.
            most: At most so many.
        """
        of = inspections.c
        judged = (of.model == model, of.review.in_(("good", "defective")), images.c.removed_at.is_(None))
        last = sa.func.row_number().over(partition_by=of.sha256, order_by=(of.reviewed_at.desc(), of.seq.desc()))
        ranked = sa.select(*_COLUMNS, last.label("place")).select_from(_JOINED).where(*judged).subquery()
        query = sa.select(ranked).where(ranked.c.place == 1).order_by(ranked.c.seq.desc()).limit(most)
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def count_reviewed(self, model: str) -> dict[str, int]:
        """How many images `reviewed` would give, were there no bound: ``good`` and ``defective``."""
        of = inspections.c
        judged = (of.model == model, of.review.in_(("good", "defective")), images.c.removed_at.is_(None))
        last = sa.func.row_number().over(partition_by=of.sha256, order_by=(of.reviewed_at.desc(), of.seq.desc()))
        ranked = sa.select(of.review, last.label("place")).select_from(_JOINED).where(*judged).subquery()
        query = sa.select(ranked.c.review, sa.func.count()).where(ranked.c.place == 1).group_by(ranked.c.review)
        with self._database.reading() as connection:
            return {"good": 0, "defective": 0} | {str(row[0]): int(row[1]) for row in connection.execute(query)}


def _of_requests(connection: sa.Connection, requests: Sequence[str]) -> dict[str, Row]:
    query = sa.select(*_COLUMNS).select_from(_JOINED).where(inspections.c.request.in_(requests))
    return {str(row["request"]): dict(row) for row in connection.execute(query).mappings()}


def _get(connection: sa.Connection, identity: str) -> Row:
    query = sa.select(*_COLUMNS).select_from(_JOINED).where(inspections.c.id == identity)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise Problem(404, "There is no inspection with this id.")
    return dict(row)
