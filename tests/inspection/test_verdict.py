"""Verdicts: the same fields everywhere, and never at odds with the calibration that gave them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from differnet.calibration import Calibration, calibrate
from differnet.inspection.verdict import Verdict, give_verdict

ABOUT: dict[str, Any] = {
    "source": "part.png",
    "width": 640,
    "height": 480,
    "model_id": "0123456789ab",
    "milliseconds": 12.5,
}
SCORES = np.random.default_rng(0).gamma(4.0, size=60)


@pytest.fixture(scope="module", params=["conformal", "generalized-pareto"])
def calibration(request: pytest.FixtureRequest) -> Calibration:
    return calibrate(SCORES, 0.1, 0.25, request.param)


def test_the_columns_are_the_keys_in_order_and_the_source_is_called_path(calibration: Calibration) -> None:
    row = give_verdict(1.0, calibration, **ABOUT).to_dict()
    assert tuple(row) == Verdict.columns()
    assert Verdict.columns() == (
        "path",
        "score",
        "threshold",
        "margin",
        "p_value",
        "decision",
        "width",
        "height",
        "model_id",
        "milliseconds",
        "views",
        "unlike",
    )
    assert row["path"] == "part.png"
    assert {name: row[name] for name in ABOUT if name != "source"} == {
        name: value for name, value in ABOUT.items() if name != "source"
    }
    assert json.loads(json.dumps(row)) == row


def test_without_a_calibration_there_is_a_score_and_no_decision() -> None:
    verdict = give_verdict(-3.25, None, **ABOUT)
    assert verdict.score == -3.25
    assert (verdict.threshold, verdict.margin, verdict.p_value, verdict.decision) == (None,) * 4
    assert (verdict.width, verdict.height) == (640, 480)


@given(st.one_of(st.floats(-1e6, 1e6), st.sampled_from([float(score) for score in SCORES])))
def test_decision_margin_and_p_value_agree(score: float) -> None:
    for tail in ("conformal", "generalized-pareto"):
        verdict = give_verdict(score, calibrate(SCORES, 0.1, 0.25, tail), **ABOUT)
        assert verdict.score == score
        assert verdict.threshold is not None
        assert verdict.margin == score - verdict.threshold
        assert verdict.p_value is not None
        assert 0.0 < verdict.p_value <= 1.0
        refused = verdict.decision == "reject"
        assert refused == (score > verdict.threshold) == (verdict.p_value <= 0.1)
        assert (verdict.decision == "accept") == (verdict.p_value > 0.25)


def test_a_higher_score_is_never_judged_more_mildly(calibration: Calibration) -> None:
    verdicts = [give_verdict(score, calibration, **ABOUT) for score in np.linspace(-1.0, 20.0, 300).tolist()]
    severity = [("accept", "review", "reject").index(verdict.decision or "") for verdict in verdicts]
    assert severity == sorted(severity)
    assert set(severity) == {0, 1, 2}
    p_values = [verdict.p_value or 0.0 for verdict in verdicts]
    assert p_values == sorted(p_values, reverse=True)
