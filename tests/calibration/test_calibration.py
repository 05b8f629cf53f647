"""Decisions by a calibration: what it takes, and what it refuses."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

from differnet.calibration import Calibration, calibrate, conformal_threshold, gross_outliers, images_needed
from differnet.errors import DatasetError, SettingsError
from tests.calibration.calibrations import TAILS


def test_a_float32_score_is_compared_unrounded() -> None:
    calibration = calibrate([0.1] * 19, 0.05)
    # In float32 the two are equal.
    assert float(np.float32(0.1)) > 0.1
    assert calibration.decide(np.float32(0.1)) == "reject"  # type: ignore[arg-type]
    assert calibration.p_value(np.float32(0.1)) == 0.05  # type: ignore[arg-type]


def test_three_decisions() -> None:
    calibration = calibrate(range(1, 100), 0.05, 0.2)
    assert (calibration.threshold, calibration.review_threshold) == (95, 80)
    assert [calibration.decide(score) for score in (80, 80.5, 95, 95.5)] == ["accept", "review", "review", "reject"]
    assert calibration.margin(97) == 2
    assert calibrate(range(1, 100), 0.05).review_threshold is None


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 5.0, math.nan, math.inf])
def test_a_rate_must_lie_between_0_and_1(rate: float) -> None:
    for refused in (
        lambda: calibrate(range(50), rate),
        lambda: calibrate(range(50), 0.05, rate),
        lambda: conformal_threshold(range(50), rate),
        lambda: images_needed(rate),
    ):
        with pytest.raises(SettingsError, match="between 0 and 1"):
            refused()


@pytest.mark.parametrize("review", [0.02, 0.05])
def test_the_review_rate_must_exceed_the_false_reject_rate(review: float) -> None:
    with pytest.raises(SettingsError, match="must exceed false_reject_rate"):
        calibrate(range(50), 0.05, review)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    for refused in (
        lambda: calibrate([*range(50), bad], 0.05),
        lambda: conformal_threshold([*range(50), bad], 0.05),
        lambda: gross_outliers([*range(50), bad]),
        lambda: gross_outliers(range(50), [*range(50), bad]),
    ):
        with pytest.raises(DatasetError, match="not a finite number"):
            refused()


def test_a_part_without_a_score_gets_no_decision() -> None:
    for tail in TAILS:
        calibration = calibrate(range(50), 0.05, tail=tail)
        for refused in (calibration.decide, calibration.p_value):
            with pytest.raises(DatasetError, match="not a number"):
                refused(math.nan)
        assert calibration.decide(math.inf) == "reject"


def test_an_unknown_tail_is_refused() -> None:
    with pytest.raises(SettingsError, match="no tail 'normal'"):
        calibrate(range(50), 0.05, tail="normal")  # type: ignore[arg-type]


def test_the_scores_of_a_calibration_cannot_be_changed() -> None:
    given_scores = np.arange(30.0)[::-1].copy()
    calibration = Calibration(given_scores, 0.1)
    given_scores[:] = 0
    assert calibration.scores.tolist() == list(range(30))
    with pytest.raises(ValueError, match="read-only"):
        calibration.scores[0] = 7


def test_deciding_needs_neither_torch_nor_scipy() -> None:
    record = calibrate(range(50), 0.01, 0.1, "generalized-pareto").record("held-out").model_dump_json()
    script = (
        "import sys\n"
        "from differnet.calibration import Calibration, CalibrationRecord\n"
        f"record = CalibrationRecord.model_validate_json('''{record}''')\n"
        "restored = Calibration.restore(record, range(50))\n"
        "print(restored.decide(1e6), restored.p_value(48.5) > 0.01, {'torch', 'scipy'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=2) == ["reject", "True", "set()\n"]
