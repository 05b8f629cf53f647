"""Confidence intervals of ranking metrics that are never a point, however perfect a few images look."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit
from scipy.stats import rankdata

__all__ = ["auroc_interval", "wilson_interval"]

# Two-sided, 95 %.
_DEVIATES = 1.959964
_EDGE = 1e-9

Interval = tuple[float, float]


def auroc_interval(good: NDArray[np.float64], defective: NDArray[np.float64]) -> Interval:
    """The 95 % interval of an AUROC: from the lower to the higher end of two.

    One is Newcombe's (Statistics in Medicine 2006, part 2, method 5): as Wilson's for a share, the AUROCs from which
    the observed one lies less than 1.96 standard errors away, these by Hanley and McNeil. It is never a point, but
    takes scores to be distributed alike. The other is by the variance that the scores themselves show (DeLong et al.,
    Biometrics 1988) on the scale of log-odds, which does not, and cannot be had of a perfect separation. In simulation
    (normal scores of equal and unequal spread, some defects that look good, AUROC 0.9 to 0.995, 10 to 200 images) both
    together hold the true value in 92 % to 99.9 %, either alone in 75 or 83 % where it fits least.

    Args:
        good: (G,) scores.
        defective: (D,) scores.

    Returns:
        Both ends, in [0, 1].
    """
    images, defects = len(good), len(defective)
    ranks = rankdata(np.concatenate((good, defective)))
    below_defect = (ranks[images:] - rankdata(defective)) / images
    above_good = 1 - (ranks[:images] - rankdata(good)) / defects
    value = float(below_defect.mean())
    low, high = _newcombe(value, images, defects)
    if min(images, defects) > 1 and _EDGE < value < 1 - _EDGE:
        variance = below_defect.var(ddof=1) / defects + above_good.var(ddof=1) / images
        half = _DEVIATES * math.sqrt(variance) / (value * (1 - value))
        low, high = min(low, float(expit(logit(value) - half))), max(high, float(expit(logit(value) + half)))
    return low, high


def wilson_interval(share: float, trials: int) -> Interval:
    """Wilson's 95 % interval (1927) of a share of so many trials."""
    square = _DEVIATES**2 / trials
    centre = (share + square / 2) / (1 + square)
    half = math.sqrt(square * (share * (1 - share) + square / 4)) / (1 + square)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _newcombe(value: float, images: int, defects: int) -> Interval:
    def distance(true: float) -> float:
        """Of the value from a true one, above 0 where it lies outside."""
        pairs = (images + defects) / 2 - 1
        variance = true * (1 - true) * (1 + pairs * (1 - true) / (2 - true) + pairs * true / (1 + true))
        return abs(value - true) - _DEVIATES * math.sqrt(variance / (images * defects))

    low = 0.0 if value <= _EDGE else float(brentq(distance, 0.0, min(value, 1 - _EDGE)))
    high = 1.0 if value >= 1 - _EDGE else float(brentq(distance, max(value, _EDGE), 1.0))
    return low, high
