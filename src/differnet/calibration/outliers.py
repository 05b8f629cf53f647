"""Calibration images that are probably defective."""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import ArrayLike, NDArray

from differnet.calibration.checks import finite_scores

__all__ = ["gross_outliers"]

_OUTLIER_IMAGES = 10

_OUTLIER_DEVIATIONS = 7.0

_OUTLIER_MIN_DEVIATION = 0.02

# A normal variable has this quantile at 0.85, and this many median absolute deviations to a standard deviation.
_NORMAL_85 = 1.0364

_NORMAL_MAD = 1.4826


def gross_outliers(scores: ArrayLike, reference: ArrayLike | None = None) -> NDArray[np.intp]:
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

    Returns:
        Indices into `scores`, ascending; none when there are fewer than 10 images to compare with.

    Raises:
        DatasetError: If a score is not finite.
    """
    values = finite_scores(scores)
    others = values if reference is None else finite_scores(reference)
    if len(others) < _OUTLIER_IMAGES:
        return np.empty(0, np.intp)
    lowest = float(others.min())
    if lowest <= 0.0:
        shift = float(np.median(others)) - 2 * lowest
        values, others = values + shift, others + shift
    tiny = sys.float_info.min
    values, others = np.log(np.maximum(values, tiny)), np.log(np.maximum(others, tiny))
    median, upper = np.quantile(others, [0.5, 0.85])
    absolute = float(np.median(np.abs(others - median)))
    deviation = max(_NORMAL_MAD * absolute, float(upper - median) / _NORMAL_85, _OUTLIER_MIN_DEVIATION)
    return np.flatnonzero(values > median + _OUTLIER_DEVIATIONS * deviation)
