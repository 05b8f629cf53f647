"""Image AUROC and average precision with confidence intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

from differnet.errors import DatasetError
from differnet.evaluation.estimate import Estimate
from differnet.evaluation.intervals import auroc_interval, wilson_interval

__all__ = ["average_precision", "image_auroc", "resampled_metrics"]

_RESAMPLES = 2000
_CONFIDENCE = 0.95


def image_auroc(good: ArrayLike, defective: ArrayLike) -> Estimate:
    """Area under the ROC curve: the chance that a defective part scores higher than a good one.

    Args:
        good: (G,) scores of good parts, higher is more anomalous.
        defective: (D,) scores of defective parts.

    Raises:
        DatasetError: If either is empty or a score is not finite.
    """
    labels, scores = _labelled(good, defective)
    value = float(roc_auc_score(labels, scores))
    low, high = auroc_interval(scores[~labels], scores[labels])
    return Estimate(value, min(low, value), max(high, value))


def average_precision(good: ArrayLike, defective: ArrayLike, *, seed: int = 0) -> Estimate:
    """Average precision with defective parts as the positives; arguments as for `image_auroc`.

    The interval is that of the bootstrap, widened to the binomial one of Boyd et al. ("Area under the precision-recall
    curve", ECML 2013; with Wilson's formula), since resamples of a perfect separation are all perfect.

    Args:
        good: (G,) scores of good parts.
        defective: (D,) scores of defective parts.
        seed: Of the bootstrap.
    """
    labels, scores = _labelled(good, defective)
    value = float(average_precision_score(labels, scores))
    _, resampled = resampled_metrics(labels, scores, _stratified_weights(labels, seed))
    ends = np.quantile(resampled, [(1 - _CONFIDENCE) / 2, (1 + _CONFIDENCE) / 2]).tolist()
    low, high = wilson_interval(value, int(labels.sum()))
    return Estimate(value, min(low, ends[0], value), max(high, ends[1], value))


def resampled_metrics(
    labels: NDArray[np.bool_], scores: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """AUROC and average precision of many resamples at once.

    A bootstrap resample is the same images with whole-number weights, so that one sorting serves all of them.

    Args:
        labels: (n,) True for defective.
        scores: (n,).
        weights: (B, n), how often each resample has each image.

    Returns:
        (B,) AUROCs and (B,) average precisions, as scikit-learn gives with ``sample_weight``.
    """
    order = np.argsort(-scores, kind="stable")
    # Images of equal score fall together: a threshold lies only where the score changes.
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    hits = np.cumsum(weights[:, order] * labels[order], axis=1)[:, ends]
    alarms = np.cumsum(weights[:, order] * ~labels[order], axis=1)[:, ends]
    new_hits, new_alarms = np.diff(hits, prepend=0.0), np.diff(alarms, prepend=0.0)
    total_hits, total_alarms = hits[:, -1], alarms[:, -1]
    auroc = (new_alarms * (hits - new_hits / 2)).sum(axis=1) / (total_hits * total_alarms)
    flagged = hits + alarms
    precision = np.divide(hits, flagged, out=np.zeros_like(hits), where=flagged > 0)
    return auroc, (new_hits * precision).sum(axis=1) / total_hits


def _labelled(good: ArrayLike, defective: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    of_good, of_defective = np.asarray(good, np.float64).ravel(), np.asarray(defective, np.float64).ravel()
    if not len(of_good) or not len(of_defective):
        raise DatasetError("Evaluation needs at least one good and one defective image that can be scored.")
    scores = np.concatenate((of_good, of_defective))
    if not np.isfinite(scores).all():
        raise DatasetError("A score is not a finite number; train the model again.")
    return np.arange(len(scores)) >= len(of_good), scores


def _stratified_weights(labels: NDArray[np.bool_], seed: int) -> NDArray[np.float64]:
    """Draw good and defective images separately, with replacement, as many as there are."""
    rng = np.random.default_rng(seed)
    weights = np.empty((_RESAMPLES, len(labels)))
    for group in (labels, ~labels):
        count = int(group.sum())
        weights[:, group] = rng.multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    return weights
