"""The fitted tail: that of scipy within its bounds, and it goes on from the scores."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from differnet.calibration import calibrate
from differnet.errors import CalibrationError
from tests.calibration.calibrations import TAILS


def test_extrapolated_thresholds_of_exponential_scores_are_near_the_true_ones() -> None:
    rng = np.random.default_rng(5)
    found = [calibrate(rng.exponential(size=50), 0.01, tail="generalized-pareto") for _ in range(200)]
    thresholds = [calibration.threshold for calibration in found]
    truth = -math.log(0.01)
    assert np.median(thresholds) == pytest.approx(truth, rel=0.1)
    assert np.mean(thresholds) == pytest.approx(truth, rel=0.15)
    assert np.mean(np.exp(-np.array(thresholds))) < 0.02


def test_the_fit_is_that_of_scipy_where_its_shape_is_within_the_bounds() -> None:
    rng = np.random.default_rng(6)
    compared = 0
    for _ in range(15):
        scores = np.sort(rng.pareto(4, 300))
        tail = calibrate(scores, 0.001, tail="generalized-pareto").pareto
        assert tail is not None
        assert (tail.location, tail.exceedances) == (scores[-61], 60)
        shape, _, scale = stats.genpareto.fit(scores[-60:] - scores[-61], floc=0)
        if 0.02 < shape < 0.48:
            compared += 1
            assert (tail.shape, tail.scale) == pytest.approx((shape, scale), rel=0.02, abs=0.005)
            exact = stats.genpareto(tail.shape, tail.location, tail.scale)
            assert tail.survival(scores[-1]) == pytest.approx(exact.sf(scores[-1]))
            assert tail.quantile(0.003) == pytest.approx(exact.isf(0.003))
    assert compared >= 5


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e7])
def test_the_tail_moves_and_stretches_with_the_scores(scale: float) -> None:
    scores = np.random.default_rng(7).gamma(2, size=80)
    plain = calibrate(scores, 0.001, tail="generalized-pareto")
    moved = calibrate(5 * scale + scale * scores, 0.001, tail="generalized-pareto")
    assert moved.threshold == pytest.approx(5 * scale + scale * plain.threshold, rel=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_wild_scores_are_fitted_within_bounds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for scores in (rng.standard_cauchy(25), rng.uniform(size=20), np.append(np.zeros(20), rng.normal(size=11) ** 8)):
        calibration = calibrate(scores, 0.001, tail="generalized-pareto")
        assert calibration.pareto is not None
        assert 0 <= calibration.pareto.shape <= 0.5
        assert calibration.threshold > calibration.pareto.location
        assert calibration.decide(calibration.threshold) == "accept"


def test_of_equal_scores_all_exceed_the_location_or_none() -> None:
    # 10 of 50 scores are wanted above the location; the tenth and eleventh largest are equal.
    tail = calibrate([*range(39), *[50.0] * 2, *range(60, 69)], 0.01, tail="generalized-pareto").pareto
    assert tail is not None
    assert (tail.location, tail.exceedances) == (38, 11)


def test_the_fitted_p_value_goes_on_from_the_empirical_one() -> None:
    calibration = calibrate(range(1, 100), 0.001, tail="generalized-pareto")
    assert calibration.pareto is not None
    assert (calibration.pareto.location, calibration.pareto.exceedances) == (79, 20)
    assert calibration.p_value(79) == pytest.approx(0.22)
    # 20 of the 99 images score higher, and the part itself counts as one more of 100.
    assert calibration.p_value(math.nextafter(79.0, 80.0)) == pytest.approx(0.21)
    assert calibration.p_value(79 + calibration.pareto.scale) < 0.21 / 2


def test_within_the_scores_both_tails_decide_alike() -> None:
    scores = np.random.default_rng(8).lognormal(size=100)
    conformal, fitted = (calibrate(scores, 0.25, 0.3, tail) for tail in TAILS)
    assert (fitted.threshold, fitted.review_threshold) == (conformal.threshold, conformal.review_threshold)
    assert (fitted.expected_rate, fitted.rate_interval()) == (conformal.expected_rate, conformal.rate_interval())
    mixed = calibrate(scores, 0.01, 0.3, "generalized-pareto")
    assert mixed.review_threshold == conformal.review_threshold
    # An extrapolated threshold states no interval.
    assert (mixed.rate_interval(), mixed.expected_rate) == (None, 0.01)


def test_the_tail_needs_20_images_and_different_ones() -> None:
    rng = np.random.default_rng(9)
    with pytest.raises(CalibrationError, match="at least 20 good images, there are 19"):
        calibrate(rng.normal(size=19), 0.01, tail="generalized-pareto")
    assert calibrate(rng.normal(size=20), 0.01, tail="generalized-pareto").pareto is not None
    for alike in ([1.0] * 30, [1.0] * 15 + [2.0] * 15):
        with pytest.raises(CalibrationError, match="alike"):
            calibrate(alike, 0.01, tail="generalized-pareto")
