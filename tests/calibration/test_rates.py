"""Thresholds keep the rates that they state, and decisions and p-values agree."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from differnet.calibration import Tail, calibrate, conformal_threshold
from differnet.errors import SettingsError
from tests.calibration.calibrations import TAILS, many, probes, rates, some_calibration, tied, untied


@pytest.mark.parametrize(
    ("rate", "images"),
    [(0.01, 99), (0.01, 250), (0.05, 19), (0.05, 30), (0.05, 200), (0.1, 9), (0.1, 25), (0.1, 100)],
)
def test_on_average_no_more_good_parts_are_refused_than_stated(rate: float, images: int) -> None:
    rng = np.random.default_rng(images)
    pool = rng.lognormal(sigma=0.7, size=6000)
    observed = []
    for _ in range(1000):
        rng.shuffle(pool)
        threshold = conformal_threshold(pool[:images], rate)
        observed.append((pool[images : images + 1000] > threshold).mean())
    error = np.std(observed) / math.sqrt(len(observed))
    expected = calibrate(pool[:images], rate).expected_rate
    assert rate - 1 / (images + 1) < expected <= rate
    assert np.mean(observed) <= rate + 3 * error
    assert np.mean(observed) == pytest.approx(expected, abs=3.5 * error)


def test_ties_make_the_rate_lower_never_higher() -> None:
    rng = np.random.default_rng(0)
    observed = [(rng.integers(0, 5, 500) > conformal_threshold(rng.integers(0, 5, 40), 0.1)).mean() for _ in range(500)]
    assert np.mean(observed) <= 0.1


@pytest.mark.parametrize(("rate", "images"), [(0.05, 19), (0.05, 150), (0.1, 60)])
def test_the_interval_holds_the_true_rate_as_often_as_it_says(rate: float, images: int) -> None:
    rng = np.random.default_rng(3)
    for confidence in (0.95, 0.6):
        hits = 0
        for _ in range(1000):
            calibration = calibrate(rng.exponential(size=images), rate)
            interval = calibration.rate_interval(confidence)
            assert interval is not None
            hits += interval[0] <= math.exp(-calibration.threshold) <= interval[1]
        assert hits / 1000 == pytest.approx(confidence, abs=4 * math.sqrt(confidence * (1 - confidence) / 1000))


def test_the_interval_is_the_beta_distribution_of_vovk() -> None:
    # 100 images at 5 %: 5 of 101 shares, the fifth largest is the threshold, 4 lie above it.
    calibration = calibrate(range(100), 0.05)
    assert calibration.threshold == 95
    assert calibration.expected_rate == pytest.approx(5 / 101)
    assert calibration.rate_interval() == pytest.approx(stats.beta(5, 96).interval(0.95))
    with pytest.raises(SettingsError, match="confidence"):
        calibration.rate_interval(1.0)


@settings(deadline=None, max_examples=200)
@given(st.one_of(tied, untied, many), rates, st.one_of(st.none(), rates), st.sampled_from(TAILS))
def test_a_part_is_refused_exactly_where_its_p_value_is_at_most_the_rate(
    values: list[float], rate: float, review: float | None, tail: Tail
) -> None:
    calibration = some_calibration(values, rate, review, tail)
    if calibration is None:
        return
    for score in probes(calibration):
        decision, p = calibration.decide(score), calibration.p_value(score)
        assert 0 < p <= 1
        assert (decision == "reject") == (p <= rate)
        assert (decision == "reject") == (calibration.margin(score) > 0)
        if calibration.review_rate is None:
            assert decision != "review"
        else:
            assert (decision != "accept") == (p <= calibration.review_rate)


@settings(deadline=None, max_examples=100)
@given(st.one_of(tied, untied, many), rates, st.sampled_from(TAILS))
def test_the_p_value_never_rises_with_the_score(values: list[float], rate: float, tail: Tail) -> None:
    calibration = some_calibration(values, rate, None, tail)
    if calibration is None:
        return
    found = [calibration.p_value(score) for score in sorted(probes(calibration))]
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(found))
    assert found[0] == 1
