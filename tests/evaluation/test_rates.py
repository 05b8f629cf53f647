"""Error rates of a threshold, with the exact binomial interval."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from differnet.errors import DatasetError, SettingsError
from differnet.evaluation.estimate import Estimate
from differnet.evaluation.rates import binomial_interval, error_rates


@settings(deadline=None)
@given(st.integers(1, 400), st.data(), st.sampled_from((0.5, 0.9, 0.95, 0.99)))
def test_the_interval_is_that_of_scipy(trials: int, data: st.DataObject, confidence: float) -> None:
    events = data.draw(st.integers(0, trials))
    expected = binomtest(events, trials).proportion_ci(confidence, method="exact")
    assert binomial_interval(events, trials, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_known_intervals() -> None:
    assert binomial_interval(0, 100) == pytest.approx((0, 1 - 0.025 ** (1 / 100)))
    assert binomial_interval(100, 100) == pytest.approx((0.025 ** (1 / 100), 1))
    assert binomial_interval(10, 100) == pytest.approx((0.0490047, 0.1762226), abs=1e-6)


@pytest.mark.parametrize("probability", [0.01, 0.2, 0.5])
def test_the_interval_holds_the_true_probability_at_least_as_often_as_promised(probability: float) -> None:
    events = np.random.default_rng(0).binomial(60, probability, 2000)
    ends = [binomial_interval(int(count), 60) for count in events]
    assert np.mean([low <= probability <= high for low, high in ends]) >= 0.945


def test_a_score_on_the_threshold_is_not_refused() -> None:
    rates = error_rates(good=[1, 2, 3, 4], defective=[3, 3.5, 9], threshold=3)
    assert rates.false_reject == Estimate(0.25, *binomial_interval(1, 4))
    assert rates.escape == Estimate(1 / 3, *binomial_interval(1, 3))


def test_unusable_input_is_refused() -> None:
    for good, defective in (([], [1.0]), ([1.0], [])):
        with pytest.raises(DatasetError, match="at least one good and one defective"):
            error_rates(good, defective, 0.5)
    with pytest.raises(DatasetError, match="not a finite number"):
        error_rates([1.0, math.nan], [1.0], 0.5)
    with pytest.raises(SettingsError, match="threshold"):
        error_rates([1.0], [1.0], math.nan)
    for events, trials in ((0, 0), (-1, 5), (6, 5)):
        with pytest.raises(DatasetError, match="share"):
            binomial_interval(events, trials)
    with pytest.raises(SettingsError, match="confidence"):
        binomial_interval(1, 5, 1.0)
