"""A threshold that somebody set."""

from __future__ import annotations

import numpy as np
import pytest

from differnet.calibration import Calibration, CalibrationRecord, set_by_hand
from differnet.errors import SettingsError

SCORES = np.arange(1.0, 21.0)


@pytest.mark.parametrize(("threshold", "above"), [(18.5, 2), (30.0, 0), (-1.0, 20), (18.0, 2)])
def test_it_decides_and_the_scores_give_p_values_and_the_rate_that_they_show(threshold: float, above: int) -> None:
    found = set_by_hand(SCORES, threshold)
    assert found.threshold == threshold
    decisions = [found.decide(score) for score in SCORES]
    assert decisions.count("reject") == above
    assert found.decide(threshold) == "accept"
    assert found.false_reject_rate == pytest.approx((above + 1) / (22 if above == 20 else 21))
    assert found.p_value(19.5) == 2 / 21
    assert found.rate_interval() is None


@pytest.mark.parametrize("scores", [SCORES, np.empty(0)])
def test_its_record_says_so_and_restores_it(scores: np.ndarray) -> None:
    record = set_by_hand(scores, 3.25).record("cross-fitted")
    assert (record.source, record.scores_source, record.threshold, record.images) == (
        "by-hand",
        "cross-fitted",
        3.25,
        len(scores),
    )
    restored = Calibration.restore(CalibrationRecord.model_validate_json(record.model_dump_json()), scores)
    assert (restored.threshold, restored.by_hand) == (3.25, 3.25)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf")])
def test_it_is_a_finite_number(threshold: float) -> None:
    with pytest.raises(SettingsError, match="finite"):
        set_by_hand(SCORES, threshold)
