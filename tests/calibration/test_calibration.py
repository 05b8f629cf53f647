"""Thresholds keep the rates that they state, decisions and p-values agree, and what cannot be kept is refused."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from scipy import stats

from differnet.calibration import (
    Calibration,
    CalibrationRecord,
    ParetoTail,
    Tail,
    calibrate,
    conformal_threshold,
    gross_outliers,
    images_needed,
    p_value,
)
from differnet.errors import CalibrationError, DatasetError, ModelFileError, SettingsError

TAILS: tuple[Tail, ...] = ("conformal", "generalized-pareto")

# Few different values, so that ties are common; and any values.
tied = st.lists(st.integers(-3, 6).map(float), min_size=1, max_size=60)
untied = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
# Enough values for a fitted tail.
many = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).lognormal(size=20 + seed % 50).tolist())
rates = st.one_of(st.sampled_from((0.01, 0.05, 0.07, 0.1, 0.3, 1 / 3, 1 - 0.9)), st.floats(1e-6, 0.999))


def some_calibration(values: list[float], rate: float, review: float | None, tail: Tail) -> Calibration | None:
    """A calibration, or None where the values allow none."""
    try:
        return calibrate(values, rate, review if review is not None and review > rate else None, tail)
    except CalibrationError:
        return None


def probes(calibration: Calibration) -> list[float]:
    """Scores on, just below and just above everything at which something changes, and far beyond."""
    marks = [*calibration.scores, calibration.threshold, calibration.review_threshold or 0.0]
    near = [float(side) for mark in marks for side in (mark, np.nextafter(mark, -np.inf), np.nextafter(mark, np.inf))]
    top = float(calibration.scores[-1])
    return [*near, *np.linspace(top, top + 100, 20).tolist(), top + 1e9, math.inf, -math.inf]


# --- the stated rate is kept -----------------------------------------------------------------------------------


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


# --- decisions, p-values and thresholds agree ------------------------------------------------------------------


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


def test_a_float32_score_is_compared_unrounded() -> None:
    calibration = calibrate([0.1] * 19, 0.05)
    # In float32 the two are equal.
    assert float(np.float32(0.1)) > 0.1
    assert calibration.decide(np.float32(0.1)) == "reject"  # type: ignore[arg-type]
    assert calibration.p_value(np.float32(0.1)) == 0.05  # type: ignore[arg-type]


def test_three_decisions() -> None:
    calibration = calibrate(range(1, 100), 0.05, 0.2)
    assert (calibration.threshold, calibration.review_threshold) == (95, 80)
    assert [calibration.decide(score) for score in (80, 80.5, 95, 95.5)] == ["accept", "review", "review", "reject"]
    assert calibration.margin(97) == 2
    assert calibrate(range(1, 100), 0.05).review_threshold is None


# --- too few images --------------------------------------------------------------------------------------------


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


# --- the generalised Pareto tail -------------------------------------------------------------------------------


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


# --- bad input -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 5.0, math.nan, math.inf])
def test_a_rate_must_lie_between_0_and_1(rate: float) -> None:
    for refused in (
        lambda: calibrate(range(50), rate),
        lambda: calibrate(range(50), 0.05, rate),
        lambda: conformal_threshold(range(50), rate),
        lambda: images_needed(rate),
    ):
        with pytest.raises(SettingsError, match="between 0 and 1"):
            refused()


@pytest.mark.parametrize("review", [0.02, 0.05])
def test_the_review_rate_must_exceed_the_false_reject_rate(review: float) -> None:
    with pytest.raises(SettingsError, match="must exceed false_reject_rate"):
        calibrate(range(50), 0.05, review)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_refused(bad: float) -> None:
    for refused in (
        lambda: calibrate([*range(50), bad], 0.05),
        lambda: conformal_threshold([*range(50), bad], 0.05),
        lambda: gross_outliers([*range(50), bad]),
        lambda: gross_outliers(range(50), [*range(50), bad]),
    ):
        with pytest.raises(DatasetError, match="not a finite number"):
            refused()


def test_a_part_without_a_score_gets_no_decision() -> None:
    for tail in TAILS:
        calibration = calibrate(range(50), 0.05, tail=tail)
        for refused in (calibration.decide, calibration.p_value):
            with pytest.raises(DatasetError, match="not a number"):
                refused(math.nan)
        assert calibration.decide(math.inf) == "reject"


def test_an_unknown_tail_is_refused() -> None:
    with pytest.raises(SettingsError, match="no tail 'normal'"):
        calibrate(range(50), 0.05, tail="normal")  # type: ignore[arg-type]


def test_the_scores_of_a_calibration_cannot_be_changed() -> None:
    given_scores = np.arange(30.0)[::-1].copy()
    calibration = Calibration(given_scores, 0.1)
    given_scores[:] = 0
    assert calibration.scores.tolist() == list(range(30))
    with pytest.raises(ValueError, match="read-only"):
        calibration.scores[0] = 7


# --- the record in the model file ------------------------------------------------------------------------------


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


# --- gross outliers --------------------------------------------------------------------------------------------


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


# --- what deciding needs ---------------------------------------------------------------------------------------


def test_deciding_needs_neither_torch_nor_scipy() -> None:
    record = calibrate(range(50), 0.01, 0.1, "generalized-pareto").record("held-out").model_dump_json()
    script = (
        "import sys\n"
        "from differnet.calibration import Calibration, CalibrationRecord\n"
        f"record = CalibrationRecord.model_validate_json('''{record}''')\n"
        "restored = Calibration.restore(record, range(50))\n"
        "print(restored.decide(1e6), restored.p_value(48.5) > 0.01, {'torch', 'scipy'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=2) == ["reject", "True", "set()\n"]
