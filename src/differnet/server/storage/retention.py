"""Images that are too old or too many are removed; what was said of them stays."""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

import sqlalchemy as sa

from differnet.server.metrics import Metrics
from differnet.server.storage.database import Database, images, inspections, now
from differnet.server.storage.files import FileStore

__all__ = ["Retention"]

_log = logging.getLogger(__name__)

_AT_ONCE = 500
# Files without a record are left by a killed process; a younger one may belong to an inspection in flight.
_STRAY_SECONDS = 3600.0
_DAY_SECONDS = 86400.0


class Retention:
    """Looks from time to time.

    By size, the images go first that no person has reviewed, the oldest of them before the others: reviewed ones are
    what thresholds are set from.

    Args:
        database: With the table of images.
        files: The images.
        metrics: Counts.
        days: Remove images that were not inspected for so long; None keeps them.
        most_bytes: Of images and what is derived from them, all together; None for no bound.
        interval: Seconds between two looks.
    """

    def __init__(
        self,
        database: Database,
        files: FileStore,
        metrics: Metrics,
        *,
        days: float | None = None,
        most_bytes: int | None = None,
        interval: float = 60.0,
    ) -> None:
        self._database, self._files, self._metrics = database, files, metrics
        self._days, self._most_bytes, self._interval = days, most_bytes, interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    def sweep(self) -> int:
        """Remove what is too old or too much; returns how many images that were."""
        removed = 0
        if self._days is not None:
            removed += self._remove_older(self._days)
        if self._most_bytes is not None:
            removed += self._remove_beyond(self._most_bytes)
        return removed

    def sweep_strays(self) -> int:
        """Remove files that no inspection was recorded for; returns how many."""
        strays = list(self._files.strays(_STRAY_SECONDS))
        for part in strays:
            part.unlink(missing_ok=True)
        limit = time.time() - _STRAY_SECONDS
        old = [sha256 for sha256, written in self._files.originals() if written < limit]
        number = len(strays)
        for start in range(0, len(old), _AT_ONCE):
            chunk = old[start : start + _AT_ONCE]
            query = sa.select(images.c.sha256).where(images.c.sha256.in_(chunk), images.c.removed_at.is_(None))
            with self._database.reading() as connection:
                known = set(connection.scalars(query))
            number += sum(self._files.remove(sha256) for sha256 in chunk if sha256 not in known)
        return number

    def _run(self) -> None:
        wait, strays_at = 0.0, -float("inf")
        while not self._stop.wait(wait):
            try:
                if time.monotonic() - strays_at > _DAY_SECONDS:
                    strays_at = time.monotonic()
                    self.sweep_strays()
                removed = self.sweep()
                if removed:
                    _log.info("images removed", extra={"images": removed})
            except Exception:  # the next look may succeed
                _log.exception("images could not be removed")
            wait = self._interval

    def _remove_older(self, days: float) -> int:
        limit = now() - timedelta(days=days)
        query = (
            sa.select(images.c.sha256, images.c.last_used)
            .where(images.c.removed_at.is_(None), images.c.last_used < limit)
            .order_by(images.c.last_used)
            .limit(_AT_ONCE)
        )
        removed = 0
        while not self._stop.is_set():
            with self._database.reading() as connection:
                rows = connection.execute(query).all()
            if not rows:
                break
            removed += sum(self._remove(row.sha256, row.last_used) for row in rows)
        return removed

    def _remove_beyond(self, most_bytes: int) -> int:
        size = images.c.bytes + images.c.derived_bytes
        kept = images.c.removed_at.is_(None)
        reviewed = sa.exists().where(inspections.c.sha256 == images.c.sha256, inspections.c.review.is_not(None))
        query = (
            sa.select(images.c.sha256, images.c.last_used, size.label("size"))
            .where(kept)
            .order_by(sa.case((reviewed, 1), else_=0), images.c.last_used)
            .limit(_AT_ONCE)
        )
        removed = 0
        while not self._stop.is_set():
            with self._database.reading() as connection:
                excess = int(connection.scalar(sa.select(sa.func.sum(size)).where(kept)) or 0) - most_bytes
                rows = connection.execute(query).all() if excess > 0 else []
            if not rows:
                break
            before = removed
            for row in rows:
                if excess <= 0:
                    break
                if self._remove(row.sha256, row.last_used):
                    removed += 1
                    excess -= row.size
            if removed == before:
                break  # all of them have just been used again
        return removed

    def _remove(self, sha256: str, last_used: object) -> bool:
        """Remove an image unless it has been used since."""
        mark = (
            sa.update(images)
            .where(images.c.sha256 == sha256, images.c.last_used == last_used, images.c.removed_at.is_(None))
            .values(removed_at=now(), derived_bytes=0)
        )
        # The record first: a file without one is found later, a record without its file would be a lie.
        with self._database.writing() as connection:
            if connection.execute(mark).rowcount != 1:
                return False
        self._files.remove(sha256)
        self._metrics.removed.inc()
        return True
