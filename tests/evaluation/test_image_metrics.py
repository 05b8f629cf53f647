"""Metrics against scikit-learn, and the intervals' behaviour."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from differnet.errors import DatasetError
from differnet.evaluation import average_precision, image_auroc
from differnet.evaluation.estimate import Estimate
from differnet.evaluation.image_metrics import resampled_metrics
from differnet.evaluation.intervals import auroc_interval

# Few different values, so that ties are common.
scores = st.lists(st.integers(0, 6).map(float), min_size=1, max_size=25)


@settings(deadline=None)
@given(scores, scores)
def test_values_are_those_of_scikit_learn(good: list[float], defective: list[float]) -> None:
    labels = [0] * len(good) + [1] * len(defective)
    assert image_auroc(good, defective).value == pytest.approx(roc_auc_score(labels, good + defective))
    expected = average_precision_score(labels, good + defective)
    assert average_precision(good, defective).value == pytest.approx(expected)


@settings(deadline=None)
@given(scores, scores, st.integers(0, 2**16))
def test_resamples_are_those_of_scikit_learn_with_weights(good: list[float], defective: list[float], seed: int) -> None:
    labels = np.array([False] * len(good) + [True] * len(defective))
    values = np.array(good + defective)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(values))).astype(float)
    # Every resample has both good and defective images.
    weights[:, 0] += 1
    weights[:, -1] += 1
    aurocs, precisions = resampled_metrics(labels, values, weights)
    for row, auroc, precision in zip(weights, aurocs, precisions, strict=True):
        assert auroc == pytest.approx(roc_auc_score(labels, values, sample_weight=row))
        assert precision == pytest.approx(average_precision_score(labels, values, sample_weight=row))


def test_the_interval_covers_the_value_and_narrows_with_more_images() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for count in (20, 2000):
        estimate = image_auroc(rng.normal(0, 1, count), rng.normal(1, 1, count))
        assert estimate.low < estimate.value < estimate.high
        widths.append(estimate.high - estimate.low)
    assert widths[1] < widths[0] / 5


@pytest.mark.parametrize(
    ("images", "defects", "shift", "spread", "least"),
    [(60, 60, 1.0, 1.0, 0.92), (20, 20, 3.643, 1.0, 0.95), (200, 30, 6.494, 3.0, 0.95), (60, 20, 1.338, 0.3, 0.95)],
    ids=["usual", "almost-perfect", "wide", "narrow"],
)
def test_the_interval_holds_the_true_value_about_as_often_as_promised(
    images: int, defects: int, shift: float, spread: float, least: float
) -> None:
    rng = np.random.default_rng(1)
    truth = NormalDist().cdf(shift / (1 + spread**2) ** 0.5)
    draws = 300
    hits = 0
    for _ in range(draws):
        low, high = auroc_interval(rng.normal(0, 1, images), rng.normal(shift, spread, defects))
        hits += low <= truth <= high
    assert least <= hits / draws


@pytest.mark.parametrize("count", [1, 2, 10, 1000])
@pytest.mark.parametrize("metric", [image_auroc, average_precision])
def test_perfect_separation_is_no_certainty(count: int, metric: Callable[..., Estimate]) -> None:
    found = metric([*map(float, range(count))], [2000.0 + i for i in range(count)])
    assert (found.value, found.high) == pytest.approx((1.0, 1.0))
    assert 0.15 < found.low < 1.0
    if count == 10:
        assert found.low < 0.81
    worst = image_auroc([5.0] * count, [1.0] * count)
    assert (worst.value, worst.low) == (0.0, 0.0) and 0.0 < worst.high < 0.85


@settings(deadline=None)
@given(scores, scores)
def test_intervals_hold_their_value_within_0_and_1_and_are_no_points(good: list[float], defective: list[float]) -> None:
    for metric in (image_auroc, average_precision):
        found = metric(good, defective)
        assert 0.0 <= found.low <= found.value <= found.high <= 1.0
        assert found.low < found.high


@pytest.mark.parametrize(("good", "defective"), [([], [1.0]), ([1.0], []), ([float("nan")], [1.0])])
def test_nothing_to_compare_is_an_error(good: list[float], defective: list[float]) -> None:
    with pytest.raises(DatasetError):
        image_auroc(good, defective)
