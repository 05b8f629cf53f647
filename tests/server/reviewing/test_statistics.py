"""Counts, false rejects, the control chart and drift."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from differnet.server.reviewing.statistics import Statistics
from differnet.server.storage.database import now
from differnet.server.storage.records import Entry, Filter, Records
from tests.server.conftest import MakeClient, station_of


class Line:
    """Records made-up inspections of the model 'plates'."""

    def __init__(self, make_client: MakeClient) -> None:
        station = station_of(make_client())
        self.served = station.shelf.get("plates")
        self.records = Records(station.database)
        self._statistics = Statistics(station.database)
        scores = self.served.model.held_out_scores.double().numpy()
        self.centre, self.deviation = float(scores.mean()), float(scores.std(ddof=1))

    def add(self, score: float, decision: str = "accept", review: str | None = None, hours_ago: float = 0.0) -> None:
        time = now() - timedelta(hours=hours_ago)
        row: dict[str, Any] = dict.fromkeys(("threshold", "margin", "p_value", "filename"))
        row |= {
            "id": uuid.uuid4().hex,
            "created": time,
            "hour": int(time.timestamp()) // 3600,
            "model": "plates",
            "model_id": self.served.model_id,
            "sha256": uuid.uuid4().hex * 2,
            "score": score,
            "decision": decision,
            "width": 96,
            "height": 96,
            "milliseconds": 1.0,
            "views": 4,
        }
        self.records.add([Entry(row, 100, "image/png")])
        if review is not None:
            self.records.review(row["id"], review, None, None)  # type: ignore[arg-type]

    def of(self, hours: int = 24) -> dict[str, Any]:
        return self._statistics.of(self.served, hours)


@pytest.fixture
def line(make_client: MakeClient) -> Line:
    return Line(make_client)


def test_counts_are_of_the_hours_asked_for(line: Line) -> None:
    line.add(0.0, "accept", hours_ago=30)
    line.add(0.0, "accept")
    line.add(0.0, "review", "unsure")
    line.add(0.0, "reject", "defective")
    found = line.of(24)
    assert found["counts"] == {"accept": 1, "review": 1, "reject": 1, "total": 3}
    assert found["reviewed"] == {"good": 0, "defective": 1, "unsure": 1}
    assert line.of(48)["counts"]["total"] == 4


def test_false_rejects_are_estimated_from_those_reviewed(line: Line) -> None:
    for _ in range(16):
        line.add(0.0, "accept", hours_ago=2)
    for review in ("good", "defective", None, None):
        line.add(9.0, "reject", review, hours_ago=2)
    line.add(9.0, "reject", hours_ago=5)
    line.add(0.0, "accept", hours_ago=8)
    oldest, unreviewed, reviewed = line.of()["false_reject_estimate"]
    # Half of those reviewed were good, so two of the four refused, of 18 good parts in all.
    assert (reviewed["inspected"], reviewed["rejected"], reviewed["rejected_reviewed_good"]) == (20, 4, 1)
    assert reviewed["estimate"] == pytest.approx(2 / 18, abs=1e-6)
    assert reviewed["to"] - reviewed["from"] == timedelta(hours=1)
    assert unreviewed["estimate"] is None
    assert oldest["estimate"] == 0.0


def test_scores_like_those_of_the_calibration_are_in_control(line: Line) -> None:
    for score in np.random.default_rng(0).normal(line.centre, line.deviation, 85):
        line.add(float(score))
    found = line.of()
    chart = found["control_chart"]
    assert chart["centre"] == pytest.approx(line.centre)
    assert chart["upper"] - chart["centre"] == pytest.approx(3 * line.deviation / np.sqrt(10))
    assert [point["count"] for point in chart["points"]] == [10] * 8
    assert not any(point["out_of_control"] for point in chart["points"])
    assert found["drift"] is None


def test_a_shift_of_all_scores_is_called_drift_and_a_single_defect_is_not(line: Line) -> None:
    for score in np.random.default_rng(0).normal(line.centre, line.deviation, 79):
        line.add(float(score))
    line.add(line.centre + 100 * line.deviation, "reject")
    single = line.of()
    assert [point["out_of_control"] for point in single["control_chart"]["points"]] == [False] * 7 + [True]
    assert single["drift"] is None
    for score in np.random.default_rng(1).normal(line.centre + 2 * line.deviation, line.deviation, 60):
        line.add(float(score))
    assert "above those of the calibration" in line.of()["drift"]


def test_known_defects_are_left_out_of_the_chart(line: Line) -> None:
    for _ in range(9):
        line.add(line.centre)
    line.add(line.centre + 100 * line.deviation, "reject", "defective")
    (point,) = line.of()["control_chart"]["points"]
    assert point["mean"] == pytest.approx(line.centre)
    assert (point["count"], point["out_of_control"]) == (9, False)


def test_escapes_are_estimated_from_a_random_sample_alone(line: Line) -> None:
    for _ in range(60):
        line.add(0.0, "accept")
    line.add(9.0, "reject", "defective")
    drawn = line.records.sample("plates", 20).rows
    assert len({row["id"] for row in drawn}) == 20
    assert line.records.sample("plates", 20).rows == drawn
    assert line.records.sample("others", 20).rows == []
    nothing = {"good": 0, "defective": 0, "estimate": None, "interval": None}
    assert line.of()["escape_estimate"] == nothing
    every = line.records.page(Filter(decision="accept"), limit=100).rows
    other = next(row["id"] for row in every if row["id"] not in {each["id"] for each in drawn})
    line.records.review(other, "defective", None, None)  # somebody was suspicious: no random choice
    assert line.of()["escape_estimate"] == nothing
    for i, row in enumerate(drawn[:10]):
        line.records.review(row["id"], "defective" if i == 3 else "good", None, None)
    found = line.of()["escape_estimate"]
    assert (found["good"], found["defective"], found["estimate"]) == (9, 1, 0.1)
    assert found["interval"] == pytest.approx([0.0025, 0.445], abs=0.001)
    # Those looked at count for today, whatever comes meanwhile.
    for _ in range(40):
        line.add(0.0, "accept")
    assert line.records.sample("plates", 20).total == 9
    assert line.records.sample(None, 11).total == 0
