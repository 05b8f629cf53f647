"""The record in the model file: it is restored with its scores, and refused where it does not follow from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from differnet.calibration import Calibration, CalibrationRecord, ParetoTail, Tail, calibrate
from differnet.errors import ModelFileError
from tests.calibration.calibrations import TAILS, probes


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("review", [None, 0.2])
def test_a_calibration_survives_the_model_file(tail: Tail, review: float | None) -> None:
    scores = np.random.default_rng(10).lognormal(size=60)
    calibration = calibrate(scores, 0.04, review, tail)
    record = calibration.record("held-out")
    assert (record.images, record.source, record.tail) == (60, "held-out", tail)
    read = CalibrationRecord.model_validate_json(record.model_dump_json())
    assert read == record
    restored = Calibration.restore(read, calibration.scores)
    assert restored.record("held-out") == record
    assert [restored.p_value(score) for score in probes(calibration)] == [
        calibration.p_value(score) for score in probes(calibration)
    ]


def tampered_pareto(**changes: float) -> dict[str, Any]:
    tail = calibrate(np.arange(60.0), 0.01, 0.2, "generalized-pareto").pareto
    assert tail is not None
    return {"pareto": tail.model_copy(update=changes)}


@pytest.mark.parametrize(
    "changes",
    [
        {"images": 59},
        {"threshold": 60.0},
        {"review_threshold": 46.0},
        {"false_reject_rate": 0.011},
        {"review_rate": 0.25},
        tampered_pareto(scale=3.0),
        tampered_pareto(shape=0.2),
        tampered_pareto(exceedances=13),
        tampered_pareto(location=46.5),
    ],
    ids=str,
)
def test_a_record_that_does_not_fit_its_scores_is_refused(changes: dict[str, Any]) -> None:
    calibration = calibrate(np.arange(60.0), 0.01, 0.2, "generalized-pareto")
    record = calibration.record("images")
    Calibration.restore(record, calibration.scores)
    with pytest.raises(ModelFileError, match="calibrate the model again"):
        Calibration.restore(record.model_copy(update=changes), calibration.scores)


@pytest.mark.parametrize(
    "scores", [np.arange(99.0), np.arange(101.0), np.arange(100.0) * 1.01, np.append(np.arange(99.0), np.nan), []]
)
def test_scores_that_do_not_fit_their_record_are_refused(scores: NDArray[np.float64]) -> None:
    record = calibrate(np.arange(100.0), 0.05).record("cross-fitted")
    with pytest.raises(ModelFileError, match="calibrate the model again"):
        Calibration.restore(record, scores)


@pytest.mark.parametrize(
    "changes",
    [
        {"tail": "generalized-pareto"},
        {"review_rate": 0.2},
        {"review_rate": 0.01, "review_threshold": 3.0},
        {"threshold": math.nan},
        {"false_reject_rate": 0.0},
        {"source": "elsewhere"},
        {"extra": 1},
        {"pareto": ParetoTail(location=1, exceedances=10, shape=0.1, scale=1)},
    ],
    ids=str,
)
def test_a_record_that_contradicts_itself_is_not_valid(changes: dict[str, Any]) -> None:
    fields = calibrate(np.arange(100.0), 0.05).record("cross-fitted").model_dump()
    with pytest.raises(ValidationError):
        CalibrationRecord.model_validate(fields | changes)
