"""Gross outliers among scores of good parts are named, clean scores seldom."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from differnet.calibration import gross_outliers


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
