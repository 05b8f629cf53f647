"""The curves of a report, and what a rate leads one to expect."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc, roc_auc_score

from differnet.calibration import calibrate
from differnet.evaluation.rates import error_rates
from differnet.report.curves import calibration_curve, promised_range, roc_curve


def test_roc_curve_passes_through_the_operating_point() -> None:
    rng = np.random.default_rng(0)
    good, defective = rng.integers(0, 12, 40).astype(float), rng.integers(4, 20, 30).astype(float)
    curve = roc_curve(good, defective)
    area = auc(curve.false_reject, curve.caught)
    assert area == pytest.approx(roc_auc_score([0] * 40 + [1] * 30, [*good, *defective]))
    assert (curve.false_reject[0], curve.caught[0], curve.false_reject[-1], curve.caught[-1]) == (0, 0, 1, 1)
    points = set(zip(curve.false_reject, curve.caught, strict=True))
    for threshold in (3.0, 7.5, 11.0, 30.0):
        rates = error_rates(good, defective, threshold)
        x, y = rates.false_reject.value, 1 - rates.escape.value
        assert any(x == pytest.approx(a) and y == pytest.approx(b) for a, b in points)


def test_calibration_curve_is_what_thresholds_for_each_rate_give() -> None:
    rng = np.random.default_rng(1)
    scores, good = rng.lognormal(size=30), rng.lognormal(size=50)
    for calibration in (calibrate(scores, 0.1), calibrate(scores, 0.01, tail="generalized-pareto")):
        curve = calibration_curve(calibration, good)
        assert len(curve.stated) == 15
        for stated, observed in zip(curve.stated, curve.observed, strict=True):
            assert observed == pytest.approx((good > calibrate(scores, stated).threshold).mean())
        assert (curve.low <= curve.stated).all()
        assert (curve.high >= curve.stated).all()
    assert len(calibration_curve(calibrate(rng.lognormal(size=5000), 0.1), good).stated) == 200
    assert calibration_curve(calibrate([1.0], 0.9), good).stated.tolist() == [0.5]


def test_promised_range_holds_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    images, good_images, step = 30, 60, 3
    low, high = promised_range(step, images, good_images)
    thresholds = np.sort(rng.random((4000, images)), axis=1)[:, images - step]
    observed = (rng.random((4000, good_images)) > thresholds[:, None]).mean(axis=1)
    inside = ((observed >= low - 1e-9) & (observed <= high + 1e-9)).mean()
    assert 0.94 < inside < 0.985
