"""Good images that score so far above the others that they are probably defective."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import ArrayLike, NDArray

from differnet.calibration.checks import finite_scores

__all__ = ["deviations_above", "gross_outliers"]

_OUTLIER_IMAGES = 10

_OUTLIER_DEVIATIONS = 7.0

_OUTLIER_MIN_DEVIATION = 0.02

# A normal variable has this quantile at 0.85, and this many median absolute deviations to a standard deviation.
_NORMAL_85 = 1.0364

_NORMAL_MAD = 1.4826


def gross_outliers(
    scores: ArrayLike, reference: ArrayLike | None = None, *, logarithmic: bool = False, tail: float = 1.0
) -> NDArray[np.intp]:
    """Calibration images that score so far above the others that they are probably defective.

    Meant for a warning only: dropping what looks bad from the calibration makes its rates wrong.

    Scores are compared as logarithms. An image is named when it lies over 7 deviations above the median; a deviation
    is the largest of: the median absolute deviation and the distance to the 0.85 quantile, both scaled to the
    standard deviation of a normal variable, and 0.02. Up to about a seventh of the images may be defective before
    they hide each other. In simulation, clean draws of 20 to 1000 lognormal (sigma 0.1 to 1) and gamma (shape 0.5 to
    20) scores are named in under 1 %; draws of an offset plus a heavy tail, whose logarithms are still heavy-tailed,
    more often. Where a score is not positive, all are shifted so that the lowest is as far above 0 as the median is
    above the lowest.

    Args:
        scores: (n,) of the images in question.
        reference: (m,) scores of the images to compare them with; by default these images themselves.
        logarithmic: Whether the scores are compared as they are, as logarithms and numbers of standard deviations.
        tail: How much farther than of a normal distribution those of good images reach; a deviation is so much larger.

    Returns:
        Indices into `scores`, ascending; none when there are fewer than 10 images to compare with.

    Raises:
        DatasetError: If a score is not finite.
    """
    values, others = _compared(scores, reference, logarithmic)
    if len(others) < _OUTLIER_IMAGES:
        return np.empty(0, np.intp)
    median, upper = np.quantile(others, [0.5, 0.85])
    deviation = max(_spread(others), float(upper - median) / _NORMAL_85)
    return np.flatnonzero(values > median + _OUTLIER_DEVIATIONS * tail * deviation)


def deviations_above(scores: ArrayLike, *, logarithmic: bool = False, tail: float = 1.0) -> NDArray[np.float64]:
    """How far above the median of all each score lies, in median absolute deviations scaled to a standard deviation.

    Unlike the deviation of `gross_outliers`, this one is hardly larger where a tenth of the images is defective. Good
    images lie more than 3.5 above in up to a tenth of small sets, and 1 to 3 % of solar cells do.

    Args:
        scores: (n,) of good images, as one supposes.
        logarithmic: See `gross_outliers`.
        tail: Likewise.

    Raises:
        DatasetError: If a score is not finite.
    """
    values, _ = _compared(scores, None, logarithmic)
    if not len(values):
        return values
    return (values - np.median(values)) / (tail * _spread(values))


def _spread(values: NDArray[np.float64]) -> float:
    return max(_NORMAL_MAD * float(np.median(np.abs(values - np.median(values)))), _OUTLIER_MIN_DEVIATION)


def _compared(
    scores: ArrayLike, reference: ArrayLike | None, logarithmic: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The scores in question and those to compare them with, both on a scale of logarithms."""
    values = finite_scores(scores)
    others = values if reference is None else finite_scores(reference)
    if logarithmic or not len(others):
        return values, others
    lowest = float(others.min())
    if lowest <= 0.0:
        shift = float(np.median(others)) - 2 * lowest
        values, others = values + shift, others + shift
    tiny = sys.float_info.min
    return np.log(np.maximum(values, tiny)), np.log(np.maximum(others, tiny))
