"""Gross outliers among scores of good parts are named, clean scores seldom."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from differnet.calibration import calibrate, chance_of_refusals, deviations_above, gross_outliers


@pytest.mark.parametrize(
    ("family", "parameter"),
    [("lognorm", 0.1), ("lognorm", 1), ("gamma", 0.5), ("gamma", 2), ("gamma", 20), ("norm", 0)],
)
def test_clean_scores_are_seldom_named(family: str, parameter: float) -> None:
    good = getattr(stats, family)(parameter)
    rng = np.random.default_rng(11)
    for images in (20, 100, 1000):
        named = sum(len(gross_outliers(draw)) > 0 for draw in good.rvs((300, images), random_state=rng))
        assert named < 0.02 * 300


def test_defective_images_among_the_good_are_named() -> None:
    rng = np.random.default_rng(12)
    scores = rng.lognormal(0, 0.15, 40)
    assert gross_outliers(scores).tolist() == []
    scores[[3, 17, 30]] = 6.0, 40.0, 9.0
    assert gross_outliers(scores).tolist() == [3, 17, 30]
    # Scores that are not positive are shifted first; low ones are no defects.
    assert gross_outliers(np.append(rng.normal(0, 1, 40), [60.0, -50.0])[:41]).tolist() == [40]
    assert gross_outliers(np.append(rng.lognormal(0, 0.15, 40), 1e-6)).tolist() == []


def test_images_can_be_compared_with_others_than_themselves() -> None:
    good = np.random.default_rng(13).lognormal(0, 0.15, 40)
    assert gross_outliers([1.0, 20.0, -1.0], good).tolist() == [1]
    assert gross_outliers([1.0, 20.0]).tolist() == []


def test_equal_scores_do_not_make_the_slightest_difference_an_outlier() -> None:
    assert gross_outliers([1.0] * 30 + [1.05]).tolist() == []
    assert gross_outliers([1.0] * 30 + [2.0]).tolist() == [30]


def test_defects_are_named_on_a_scale_that_is_one_of_logarithms_already() -> None:
    good = np.random.default_rng(14).gumbel(0.0, 0.8, 60)
    assert gross_outliers(np.append(good, [16.9, 19.2]), logarithmic=True).tolist() == [60, 61]
    assert gross_outliers([16.9, 0.5, 12.0], good, logarithmic=True).tolist() == [0, 2]
    assert gross_outliers(good, logarithmic=True).tolist() == []


def test_where_good_images_reach_farther_so_do_deviations() -> None:
    scores = np.append(np.random.default_rng(14).normal(0, 1, 200), [8.5])
    assert gross_outliers(scores, logarithmic=True).tolist() == [200]
    assert gross_outliers(scores, logarithmic=True, tail=1.4).tolist() == []
    assert deviations_above(scores, logarithmic=True, tail=1.4) == pytest.approx(
        deviations_above(scores, logarithmic=True) / 1.4
    )


def test_a_tenth_of_defects_does_not_hide_itself() -> None:
    rng = np.random.default_rng(15)
    scores = np.append(rng.normal(0, 1, 90), rng.normal(6, 0.5, 10))
    deviations = deviations_above(scores, logarithmic=True)
    assert (deviations[90:] > 3.5).all()
    assert (deviations[:90] > 3.5).sum() == 0
    assert np.median(deviations) == pytest.approx(0.0)
    assert deviations_above([]).tolist() == []


def test_how_likely_so_many_refusals_are() -> None:
    calibration = calibrate(np.arange(99.0), 0.05)
    assert chance_of_refusals(calibration, 0, 100) == 1.0
    expected = stats.betabinom(100, 5, 95)
    for refused in (1, 7, 30, 100):
        assert chance_of_refusals(calibration, refused, 100) == pytest.approx(expected.sf(refused - 1), rel=1e-6)
    # As few as 9 groups say little of the true rate.
    assert chance_of_refusals(calibrate(np.arange(99.0), 0.05, groups=9), 30, 100) > 0.01
    fitted = calibrate(np.random.default_rng(0).exponential(1, 50), 0.001, tail="generalized-pareto")
    assert chance_of_refusals(fitted, 3, 100) == pytest.approx(stats.binom(100, 0.001).sf(2), rel=1e-6)
