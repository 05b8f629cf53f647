"""Medians, and straight lines through measurements."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from differnet.bench.statistics import Spread, fit_line


def test_a_spread_has_the_middle_and_both_ends() -> None:
    assert Spread.of([3.0, 1.0, 9.0]) == Spread(3.0, 1.0, 9.0, 3)
    assert Spread.of([3.0, 1.0, 9.0, 4.0]).median == 3.5
    with pytest.raises(ValueError, match="nothing"):
        Spread.of([])


def test_a_line_through_exact_points_is_found() -> None:
    fit = fit_line([1, 10, 100], [2.05, 2.5, 7.0])
    assert (fit.intercept, fit.slope) == pytest.approx((2.0, 0.05))
    assert fit.r_squared == pytest.approx(1.0)
    assert fit.at(1000) == pytest.approx(52.0)


def test_a_line_through_noise_is_that_of_scipy() -> None:
    random = np.random.default_rng(0)
    x = random.uniform(0, 10, 30)
    y = 3 - 0.4 * x + random.normal(0, 1, 30)
    fit, expected = fit_line(x.tolist(), y.tolist()), linregress(x, y)
    assert fit.slope == pytest.approx(expected.slope)
    assert fit.intercept == pytest.approx(expected.intercept)
    assert fit.r_squared == pytest.approx(expected.rvalue**2)


def test_a_bent_curve_fits_worse_than_a_line() -> None:
    x = [1, 2, 3, 4, 5]
    fit = fit_line(x, [value**4 for value in x])
    assert fit.r_squared is not None
    assert fit.r_squared < 0.85


def test_two_places_say_nothing_of_the_fit() -> None:
    assert fit_line([1, 2, 2], [1.0, 2.0, 2.5]).r_squared is None
    assert fit_line([1, 2, 3], [4.0, 4.0, 4.0]).r_squared is None


@pytest.mark.parametrize(("x", "y"), [([1, 1], [1.0, 2.0]), ([1], [1.0]), ([], []), ([1, 2], [1.0])])
def test_a_line_takes_two_places(x: list[float], y: list[float]) -> None:
    with pytest.raises(ValueError, match="places"):
        fit_line(x, y)
