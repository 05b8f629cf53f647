"""Conformal thresholds and p-values, and how many images a rate takes."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from differnet.calibration import calibrate, conformal_threshold, images_needed, p_value
from differnet.errors import CalibrationError
from tests.calibration.calibrations import TAILS, rates


@settings(deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=80), rates, st.integers(-1000, 1000))
def test_the_conformal_threshold_moves_with_the_scores(values: list[int], rate: float, shift: int) -> None:
    try:
        threshold = conformal_threshold(values, rate)
    except CalibrationError:
        return
    assert threshold in values
    assert conformal_threshold([value + shift for value in values], rate) == threshold + shift
    assert conformal_threshold([2 * value for value in reversed(values)], rate) == 2 * threshold


def test_the_p_value_counts_the_images_that_score_at_least_as_high() -> None:
    scores = np.array([1.0, 2.0, 2.0, 5.0])
    assert [p_value(scores, score) for score in (0, 1, 1.5, 2, 3, 5, 6)] == [1, 1, 0.8, 0.8, 0.4, 0.4, 0.2]
    assert calibrate(scores, 0.4).p_value(2) == 0.8


@pytest.mark.parametrize(
    ("rate", "needed"),
    [(0.05, 19), (0.01, 99), (0.1, 9), (0.07, 14), (0.2, 4), (0.3, 3), (1 / 3, 2), (0.5, 1), (0.9, 1), (0.001, 999)],
)
def test_one_image_fewer_than_needed_is_refused_by_number(rate: float, needed: int) -> None:
    assert images_needed(rate) == needed
    assert conformal_threshold(range(needed), rate) == needed - 1
    with pytest.raises(CalibrationError, match=rf"at least {needed} good images .* there are {needed - 1}:") as caught:
        calibrate(range(needed - 1), rate)
    assert 'tail="generalized-pareto"' in str(caught.value)
    assert "--tail generalized-pareto" in str(caught.value)


@pytest.mark.parametrize("rate", [1e-300, 5e-324])
def test_a_rate_near_nothing_needs_more_than_anybody_has_in_few_words(rate: float) -> None:
    with pytest.raises(CalibrationError, match="at least 1000000000000 good images") as caught:
        calibrate(range(20), rate)
    assert len(str(caught.value)) < 300


def test_shares_are_counted_without_rounding_errors() -> None:
    for whole in range(2, 500):
        assert images_needed(1 / whole) == whole - 1
        for count in (1, 3, 7, whole - 1):
            if count < whole:
                assert conformal_threshold(range(1, whole), count / whole) == whole - count
                # The next lower number is less than the share, though its product with the whole may round up.
                if count > 1:
                    below = math.nextafter(count / whole, 0.0)
                    assert conformal_threshold(range(1, whole), below) == whole - count + 1
        with pytest.raises(CalibrationError, match=f"at least {whole} good images"):
            conformal_threshold(range(1, whole), math.nextafter(1 / whole, 0.0))


@pytest.mark.parametrize(("rate", "images", "allowed"), [(0.05, 19, 1), (0.1, 29, 3), (0.07, 99, 7), (0.29, 99, 29)])
def test_decimal_rates_count_as_written(rate: float, images: int, allowed: int) -> None:
    assert conformal_threshold(range(images), rate) == images - allowed


@pytest.mark.parametrize("images", [1, 2, 6, 8, 15, 18, 40, 123, 124, 998, 4321])
def test_the_rate_that_the_refusal_offers_can_be_had(images: int) -> None:
    with pytest.raises(CalibrationError) as caught:
        conformal_threshold(range(images), 1e-5)
    offered = re.search(r"a rate of (\S+) or more", str(caught.value))
    assert offered
    assert conformal_threshold(range(images), float(offered[1])) == images - 1
    assert float(offered[1]) <= 1.01 / (images + 1)


def test_no_images_at_all_and_absurd_rates_are_refused_too() -> None:
    for tail in TAILS:
        with pytest.raises(CalibrationError, match="there are 0"):
            calibrate([], 0.05, tail=tail)
    with pytest.raises(CalibrationError, match="there are 3"):
        calibrate([1, 2, 3], 5e-324)
