"""Metrics against scikit-learn, and the intervals' behaviour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from differnet.errors import DatasetError
from differnet.evaluation import average_precision, image_auroc
from differnet.evaluation.image_metrics import resampled_metrics

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


def test_the_interval_holds_the_true_value_about_as_often_as_promised() -> None:
    rng = np.random.default_rng(1)
    truth = 0.760250  # Phi(1 / sqrt(2)): the AUROC of two unit normals one deviation apart
    hits = 0
    for _ in range(100):
        estimate = image_auroc(rng.normal(0, 1, 60), rng.normal(1, 1, 60))
        hits += estimate.low <= truth <= estimate.high
    assert 88 <= hits <= 100


def test_perfect_separation() -> None:
    estimate = image_auroc([0.0, 1.0], [2.0, 3.0])
    assert (estimate.value, estimate.low, estimate.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("good", "defective"), [([], [1.0]), ([1.0], []), ([float("nan")], [1.0])])
def test_nothing_to_compare_is_an_error(good: list[float], defective: list[float]) -> None:
    with pytest.raises(DatasetError):
        image_auroc(good, defective)
