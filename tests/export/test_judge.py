"""The graph's calibration says of every score what the model's says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet.calibration import Calibration, ParetoTail, calibrate
from differnet.export.judge import DECISIONS, Judge

SCORES = np.random.default_rng(0).gamma(4.0, 0.5, 60).astype(np.float32).astype(np.float64)


def exponential_tail() -> Calibration:
    fitted = calibrate(SCORES, 0.01, 0.1, tail="generalized-pareto")
    assert fitted.pareto is not None
    return Calibration(SCORES, 0.01, 0.1, fitted.pareto.model_copy(update={"shape": 0.0}))


def heavy_tail() -> Calibration:
    fitted = calibrate(SCORES, 0.01, 0.1, tail="generalized-pareto").pareto
    assert isinstance(fitted, ParetoTail)
    return Calibration(SCORES, 0.01, None, fitted.model_copy(update={"shape": 0.4}))


CALIBRATIONS = {
    "conformal": lambda: calibrate(SCORES, 0.05),
    "review": lambda: calibrate(SCORES, 0.05, 0.2),
    "one-review-threshold": lambda: calibrate(SCORES, 0.05, 0.06),
    "pareto": lambda: calibrate(SCORES, 0.01, tail="generalized-pareto"),
    "pareto-review": lambda: calibrate(SCORES, 0.01, 0.1, tail="generalized-pareto"),
    "exponential": exponential_tail,
    "heavy": heavy_tail,
}


def tried(found: Calibration) -> NDArray[np.float32]:
    """Scores everywhere, and those right at, below and above all that anything changes at."""
    places = [*found.scores, *found.cuts, *([] if found.pareto is None else [found.pareto.location])]
    at = np.asarray(places, np.float64).astype(np.float32)
    near = [at, np.nextafter(at, np.float32(-np.inf)), np.nextafter(at, np.float32(np.inf))]
    return np.concatenate([*near, np.linspace(-1, 12, 200, dtype=np.float32), np.array([1e6, -1e6], np.float32)])


@pytest.mark.parametrize("make", CALIBRATIONS.values(), ids=CALIBRATIONS)
def test_p_value_margin_and_decision_are_the_models(make: object) -> None:
    assert callable(make)
    found: Calibration = make()
    judge = Judge(found)
    for score in tried(found):
        p_value, margin, decision = judge(torch.tensor(score))
        assert DECISIONS[int(decision)] == found.decide(float(score)), score
        assert margin.item() == found.margin(float(score))
        assert p_value.item() == pytest.approx(found.p_value(float(score)), rel=1e-9, abs=2e-38)
        # The two say the same also where the p-value lies on a rate.
        assert (p_value.item() <= found.false_reject_rate) == (DECISIONS[int(decision)] == "reject")
