"""What a threshold does: the share of good parts that it refuses, and of defective ones that escape it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from differnet.errors import DatasetError, SettingsError
from differnet.evaluation.estimate import Estimate

__all__ = ["ErrorRates", "binomial_interval", "error_rates", "passed_share", "refused_share"]


@dataclass(frozen=True)
class ErrorRates:
    """Both errors of a threshold, with 95 % confidence intervals.

    Attributes:
        false_reject: Share of good parts that score above it.
        escape: Share of defective parts that score at most it.
    """

    false_reject: Estimate
    escape: Estimate


def error_rates(good: ArrayLike, defective: ArrayLike, threshold: float) -> ErrorRates:
    """Measure a threshold that was fixed without these images.

    Args:
        good: (G,) scores of good parts, higher is more anomalous.
        defective: (D,) scores of defective parts.
        threshold: A part is refused when it scores above it.

    Raises:
        DatasetError: If either is empty or a score is not finite.
        SettingsError: If the threshold is NaN.
    """
    return ErrorRates(refused_share(good, threshold), passed_share(defective, threshold))


def refused_share(scores: ArrayLike, threshold: float) -> Estimate:
    """The share of parts that score above a threshold; arguments and errors as for `error_rates`."""
    values = _scores(scores, threshold)
    return _share(int((values > threshold).sum()), len(values))


def passed_share(scores: ArrayLike, threshold: float) -> Estimate:
    """The share of parts that score at most a threshold; arguments and errors as for `error_rates`."""
    values = _scores(scores, threshold)
    return _share(int((values <= threshold).sum()), len(values))


def binomial_interval(events: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of Clopper and Pearson (1934) for a probability; it holds the true one at least so often.

    Args:
        events: How often it happened.
        trials: How often it could have happened, at least 1.
        confidence: In (0, 1).

    Returns:
        The lower and the upper end, in [0, 1].

    Raises:
        DatasetError: If there are no trials, or the events are not from 0 to `trials`.
        SettingsError: If the confidence is not in (0, 1).
    """
    if trials < 1 or not 0 <= events <= trials:
        raise DatasetError(f"{events} of {trials} images is not a share; count at least one image.")
    if not 0.0 < confidence < 1.0:
        raise SettingsError(f"confidence is {confidence} and must lie between 0 and 1, both excluded; give 0.95.")
    from scipy.special import betaincinv  # noqa: PLC0415 - importing the package stays quick

    outside = (1 - confidence) / 2
    low = float(betaincinv(events, trials - events + 1, outside)) if events else 0.0
    high = float(betaincinv(events + 1, trials - events, 1 - outside)) if events < trials else 1.0
    return low, high


def _share(events: int, trials: int) -> Estimate:
    return Estimate(events / trials, *binomial_interval(events, trials))


def _scores(scores: ArrayLike, threshold: float) -> NDArray[np.float64]:
    if math.isnan(threshold):
        raise SettingsError("The threshold is not a number; give one in units of the score.")
    values = np.asarray(scores, np.float64).ravel()
    if not len(values):
        raise DatasetError("Error rates need at least one good and one defective image that can be scored.")
    if not np.isfinite(values).all():
        raise DatasetError("A score is not a finite number; train the model again.")
    return values
