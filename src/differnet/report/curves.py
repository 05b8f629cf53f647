"""The numbers behind the figures: the ROC curve, and stated against observed false-reject rates."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from differnet.calibration import Calibration, conformal_threshold
from differnet.evaluation.evaluate import Evaluation

__all__ = [
    "CalibrationCurve",
    "RocCurve",
    "calibration_curve",
    "defective_scores",
    "good_scores",
    "promised_range",
    "roc_curve",
]

_HIGHEST_RATE = 0.5
_MOST_RATES = 200
_CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The trade between the two errors.

    Attributes:
        false_reject: (n,) shares of good images refused, ascending from 0 to 1.
        caught: (n,) shares of defective images refused at the same thresholds.
    """

    false_reject: NDArray[np.float64]
    caught: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CalibrationCurve:
    """What the conformal rule states and what good test images show, for every rate that the images allow.

    Attributes:
        stated: (n,) false-reject rates, ascending, at most one half.
        observed: (n,) shares of the good test images above the threshold of each.
        low: (n,) lower end of where 95 % of the observed shares lie if the rule's promise holds.
        high: (n,) upper end.
    """

    stated: NDArray[np.float64]
    observed: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def good_scores(evaluation: Evaluation) -> NDArray[np.float64]:
    """The scores of the good test images, in the order of the evaluation."""
    return np.array([entry.verdict.score for entry in evaluation.scored if not entry.image.is_defective], np.float64)


def defective_scores(evaluation: Evaluation) -> NDArray[np.float64]:
    """The scores of the defective test images, in the order of the evaluation."""
    return np.array([entry.verdict.score for entry in evaluation.scored if entry.image.is_defective], np.float64)


def roc_curve(good: NDArray[np.float64], defective: NDArray[np.float64]) -> RocCurve:
    """Both shares at every threshold that tells two of the scores apart.

    Args:
        good: (G,) scores, at least one.
        defective: (D,) scores, at least one.
    """
    # Refused is what scores above: the highest score as a threshold refuses none.
    thresholds = np.append(np.unique(np.concatenate((good, defective)))[::-1], -math.inf)
    return RocCurve(_shares_above(good, thresholds), _shares_above(defective, thresholds))


def calibration_curve(calibration: Calibration, good: NDArray[np.float64]) -> CalibrationCurve:
    """Compare stated with observed false-reject rates.

    With n calibration images the rule has a threshold of its own for each rate k / (n + 1); rates in between share
    the next lower one's.

    Args:
        calibration: Its scores give the thresholds, by the conformal rule even if its tail is extrapolated.
        good: (G,) scores of good images that neither training nor calibration saw, at least one.
    """
    images = len(calibration.scores)
    steps = np.arange(1, int(_HIGHEST_RATE * (images + 1)) + 1)
    if len(steps) > _MOST_RATES:
        steps = np.unique(np.linspace(1, steps[-1], _MOST_RATES).astype(np.intp))
    stated = steps / (images + 1)
    thresholds = np.array([conformal_threshold(calibration.scores, float(rate)) for rate in stated])
    ranges = [promised_range(int(step), images, len(good)) for step in steps]
    low, high = np.array(ranges, np.float64).reshape(-1, 2).T
    return CalibrationCurve(stated, _shares_above(good, thresholds), low, high)


def promised_range(step: int, images: int, good_images: int) -> tuple[float, float]:
    """Where the observed false-reject rate lies in 95 % of cases, if the rule's promise holds.

    The threshold's true rate is Beta(k, n + 1 - k) distributed, and the number refused of G images binomial with that
    rate: together beta-binomial, which counts the luck of the calibration and of the test.

    Args:
        step: The k of the stated rate k / (n + 1).
        images: Calibration images, the n.
        good_images: Good test images, the G.
    """
    from scipy.stats import betabinom  # noqa: PLC0415 - scipy.stats takes half a second to import

    outside = (1 - _CONFIDENCE) / 2
    low, high = betabinom.ppf([outside, 1 - outside], good_images, step, images + 1 - step)
    return float(low) / good_images, float(high) / good_images


def _shares_above(scores: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    ascending = np.sort(scores)
    return 1.0 - np.searchsorted(ascending, thresholds, side="right") / len(ascending)
