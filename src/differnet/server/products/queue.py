"""Work that takes long, as rows: what is wanted, how it stands, what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from differnet.server.problems import Problem
from differnet.server.products.catalogue import ACTIVE, Row
from differnet.server.storage.database import Database, now
from differnet.server.storage.product_tables import jobs, products, versions

__all__ = ["JobQueue"]

# Work that has brought its process, or the whole service, down so often does it again.
_MOST_STARTS = 3
_MOST_WAITING = 20
_SHOWN = 20


class JobQueue:
    """Jobs, the oldest first.

    Args:
        database: With its tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, product: str, kind: str, wanted: Mapping[str, Any], key: str | None) -> Row:
        """Queue a job.

        Raises:
            Problem: 404 if there is no such product, 409 if the same is under way, 503 if too much waits.
        """
        row = {
            "id": uuid.uuid4().hex,
            "product": product,
            "kind": kind,
            "state": "queued",
            "created": now(),
            "key": key,
            "wanted": dict(wanted),
        }
        active = jobs.c.state.in_(ACTIVE)
        with self._database.writing() as connection:
            if connection.scalar(sa.select(products.c.id).where(products.c.id == product)) is None:
                raise Problem(404, "There is no such product; somebody may have removed it.")
            same = sa.select(jobs.c.wanted).where(active, jobs.c.product == product, jobs.c.kind == kind)
            if any(kind == "train" or other == row["wanted"] for other in connection.scalars(same)):
                raise Problem(
                    409, f"This product's {_WORDS[kind]} is under way already; wait for its end, or cancel it."
                )
            if (connection.scalar(sa.select(sa.func.count()).where(active)) or 0) >= _MOST_WAITING:
                raise Problem(503, "Much work waits already; try again when some of it is done.", retry_after=60)
            connection.execute(sa.insert(jobs).values(row))
        return self.get(str(row["id"]))

    def get(self, identity: str) -> Row:
        """One job.

        Raises:
            Problem: 404 if there is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == identity)).mappings().one_or_none()
        if row is None:
            raise Problem(404, "There is no such job.")
        return dict(row)

    def of(self, product: str) -> list[Row]:
        """The last jobs of a product, the newest first."""
        query = sa.select(jobs).where(jobs.c.product == product).order_by(jobs.c.seq.desc()).limit(_SHOWN)
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def active(self) -> list[Row]:
        """All that is not over, in the order in which it is done."""
        query = sa.select(jobs).where(jobs.c.state.in_(ACTIVE)).order_by(jobs.c.seq)
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def take(self) -> Row | None:
        """The next job, which is running from now on; None if there is none."""
        query = sa.select(jobs).where(jobs.c.state == "queued").order_by(jobs.c.seq).limit(1)
        with self._database.reading() as connection:  # which others need not wait for
            if connection.execute(query).first() is None:
                return None
        with self._database.writing() as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            change = {"state": "running", "started": now(), "starts": row["starts"] + 1}
            connection.execute(sa.update(jobs).where(jobs.c.id == row["id"]).values(change))
        return {**row, **change}

    def recover(self) -> list[Row]:
        """Queue again what was running when the service ended; returns what has been begun too often, and is over."""
        running = sa.select(jobs).where(jobs.c.state == "running")
        with self._database.writing() as connection:
            found = [dict(row) for row in connection.execute(running).mappings()]
            given_up = [row for row in found if row["starts"] >= _MOST_STARTS]
            for row in found:
                change: dict[str, Any] = {"state": "queued", "started": None}
                if row in given_up:
                    change = {
                        "state": "failed",
                        "ended": now(),
                        "error": f"The service ended {row['starts']} times while it did this; it is not begun again.",
                    }
                connection.execute(sa.update(jobs).where(jobs.c.id == row["id"]).values(change))
        return given_up

    def cancel(self, identity: str) -> bool:
        """End a job that waits; returns False if it is running, so that its process must be ended.

        Raises:
            Problem: 404 if there is none, 409 if it is over.
        """
        with self._database.writing() as connection:
            row = connection.execute(sa.select(jobs).where(jobs.c.id == identity)).mappings().one_or_none()
            if row is None:
                raise Problem(404, "There is no such job.")
            if row["state"] not in ACTIVE:
                raise Problem(409, "The job is over already.")
            if row["state"] == "running":
                return False
            change = {"state": "cancelled", "ended": now()}
            connection.execute(sa.update(jobs).where(jobs.c.id == identity).values(change))
        return True

    def end(self, identity: str, state: str, *, error: str | None = None, result: Any = None) -> None:  # noqa: ANN401 - JSON
        """Write down how a job ended: ``done``, ``failed`` or ``cancelled``."""
        change = {"state": state, "ended": now(), "error": error, "result": result}
        with self._database.writing() as connection:
            connection.execute(sa.update(jobs).where(jobs.c.id == identity).values(change))

    def end_with_version(self, job: Row, about: Mapping[str, Any]) -> int:
        """Write down what a training gave, with the job's end; returns the version's number."""
        last = sa.select(sa.func.max(versions.c.number)).where(versions.c.product == job["product"])
        with self._database.writing() as connection:
            number = int(connection.scalar(last) or 0) + 1
            connection.execute(
                sa.insert(versions).values(
                    product=job["product"],
                    number=number,
                    created=now(),
                    key=job["key"],
                    job=job["id"],
                    model_id=about["model_id"],
                    about=dict(about),
                )
            )
            change = {"state": "done", "ended": now(), "result": {"version": number}}
            connection.execute(sa.update(jobs).where(jobs.c.id == job["id"]).values(change))
        return number


_WORDS = {"train": "training", "compare": "comparison", "export": "export", "report": "report"}
