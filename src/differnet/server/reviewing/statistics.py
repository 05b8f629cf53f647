"""How a model does over time: counts, false rejects by review, and scores against those of the calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
import sqlalchemy as sa
from scipy.stats import binomtest

from differnet.server.inspecting.model_repository import Served
from differnet.server.storage.database import Database, inspections, now

__all__ = ["SAMPLE_SIZE", "Statistics"]

SAMPLE_SIZE = 20
"""Accepted parts that are drawn of a day, to be looked at."""

_of = inspections.c
_SUBGROUP = 10
_MOST_SUBGROUPS = 200
# Drift is told when most of the last subgroups lie far out on the same side: single ones may hold defective parts.
_LAST, _MOST, _DEVIATIONS = 8, 5, 2.0


class Statistics:
    """Asks the database.

    Args:
        database: With inspections and reviews.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, served: Served, hours: int) -> dict[str, Any]:
        """Statistics of a model's last hours.

        Args:
            served: The model; its scores are compared with those of its calibration.
            hours: How far back.

        Returns:
            As `differnet.server.wire.schemas.Statistics`.
        """
        since = int(now().timestamp()) // 3600 - hours + 1
        recent = [_of.model == served.name, _of.hour >= since]
        with self._database.reading() as connection:
            decisions = _counts(connection, _of.decision, recent)
            words = _counts(connection, _of.review, recent)
            buckets = _false_rejects(connection, recent)
            escapes = _escapes(connection, recent)
            chart, drift = _control_chart(connection, served, since)
        total = sum(decisions.values())
        return {
            "counts": {name: decisions.get(name, 0) for name in ("accept", "review", "reject")} | {"total": total},
            "reviewed": {name: words.get(name, 0) for name in ("good", "defective", "unsure")},
            "false_reject_estimate": buckets,
            "escape_estimate": escapes,
            "control_chart": chart,
            "drift": drift,
        }


def _counts(
    connection: sa.Connection, column: sa.ColumnElement[Any], recent: Sequence[sa.ColumnElement[bool]]
) -> dict[str | None, int]:
    query = sa.select(column, sa.func.count()).where(*recent).group_by(column)
    return {row[0]: row[1] for row in connection.execute(query)}


def _false_rejects(connection: sa.Connection, recent: Sequence[sa.ColumnElement[bool]]) -> list[dict[str, Any]]:
    """By the hour: refused good parts among all good parts, if those reviewed speak for all refused ones."""

    def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.sum(sa.case((condition, 1), else_=0))

    rejected = _of.decision == "reject"
    query = (
        sa.select(
            _of.hour,
            sa.func.count().label("inspected"),
            count(rejected).label("rejected"),
            count(sa.and_(rejected, _of.review == "good")).label("good"),
            count(sa.and_(rejected, _of.review == "defective")).label("defective"),
        )
        .where(*recent)
        .group_by(_of.hour)
        .order_by(_of.hour)
    )
    return [
        {
            "from": _time(row.hour),
            "to": _time(row.hour + 1),
            "inspected": row.inspected,
            "rejected": row.rejected,
            "rejected_reviewed_good": row.good,
            "estimate": _estimate(row.inspected, row.rejected, row.good, row.defective),
        }
        for row in connection.execute(query)
    ]


def _estimate(inspected: int, rejected: int, good: int, defective: int) -> float | None:
    if not rejected:
        return 0.0
    if not good + defective:
        return None
    refused_good = rejected * good / (good + defective)
    all_good = inspected - rejected + refused_good
    return round(refused_good / all_good, 6) if all_good else None


def _escapes(connection: sa.Connection, recent: Sequence[sa.ColumnElement[bool]]) -> dict[str, Any]:
    """Defective parts among accepted ones, by those that were drawn at random (`Records.sample`) and looked at.

    What somebody looked at for another reason does not count: it was no random choice. The interval is exact (Clopper
    and Pearson 1934).
    """
    place = sa.func.row_number().over(partition_by=_of.hour / 24, order_by=_of.id).label("place")
    drawn = sa.select(_of.review, place).where(*recent, _of.decision == "accept").subquery()
    query = sa.select(drawn.c.review, sa.func.count()).where(drawn.c.place <= SAMPLE_SIZE).group_by(drawn.c.review)
    words = {row[0]: row[1] for row in connection.execute(query)}
    good, defective = words.get("good", 0), words.get("defective", 0)
    if not good + defective:
        return {"good": 0, "defective": 0, "estimate": None, "interval": None}
    interval = binomtest(defective, good + defective).proportion_ci(0.95, "exact")
    return {
        "good": good,
        "defective": defective,
        "estimate": round(defective / (good + defective), 6),
        "interval": [round(float(interval.low), 6), round(float(interval.high), 6)],
    }


def _control_chart(connection: sa.Connection, served: Served, since: int) -> tuple[dict[str, Any], str | None]:
    """Means of ten consecutive inspections, without parts that a person found defective (Shewhart 1931)."""
    scores = served.model.held_out_scores.double().numpy()
    if len(scores) < 2:
        return {"centre": None, "upper": None, "lower": None, "points": []}, None
    centre, deviation = float(scores.mean()), float(scores.std(ddof=1))
    own = (_of.model == served.name, _of.model_id == served.model_id)
    total = connection.scalar(sa.select(sa.func.count()).select_from(inspections).where(*own)) or 0
    newest = (
        sa.select(_of.seq, _of.created, _of.score, _of.review)
        .where(*own, _of.hour >= since)
        .order_by(_of.seq.desc())
        .limit(_SUBGROUP * _MOST_SUBGROUPS)
    )
    rows = connection.execute(newest).all()[::-1]
    # Counted from the first inspection of all, so that the subgroups stay the same from one request to the next.
    skipped = -(total - len(rows)) % _SUBGROUP
    points = []
    for start in range(skipped, len(rows) - _SUBGROUP + 1, _SUBGROUP):
        group = rows[start : start + _SUBGROUP]
        kept = [row.score for row in group if row.review != "defective"]
        if kept:
            mean = float(np.mean(kept))
            out = abs(mean - centre) > 3 * deviation / math.sqrt(len(kept))
            points.append({"time": group[-1].created, "mean": mean, "count": len(kept), "out_of_control": out})
    limit = 3 * deviation / math.sqrt(_SUBGROUP)
    chart = {"centre": centre, "upper": centre + limit, "lower": centre - limit, "points": points}
    return chart, _drift([point["mean"] for point in points], centre, _DEVIATIONS * limit / 3)


def _drift(means: Sequence[float], centre: float, far: float) -> str | None:
    last = means[-_LAST:]
    if len(last) < _LAST:
        return None
    above = sum(mean > centre + far for mean in last)
    below = sum(mean < centre - far for mean in last)
    if max(above, below) < _MOST:
        return None
    side = "above" if above > below else "below"
    return (
        f"{max(above, below)} of the last {_LAST} groups of {_SUBGROUP} scores lie well {side} those of the "
        "calibration: light, focus or parts may have changed. Look at recent images, then calibrate or train again."
    )


def _time(hour: int) -> datetime:
    return datetime.fromtimestamp(3600 * hour, timezone.utc)
