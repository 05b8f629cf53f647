"""Split-conformal thresholds and p-values (Vovk et al. 2005; Angelopoulos & Bates, arXiv 2107.07511)."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from differnet.calibration.checks import check_rate, checked_score, sorted_scores
from differnet.calibration.pareto import PARETO_IMAGES
from differnet.errors import CalibrationError

__all__ = ["allowed_refusals", "conformal_threshold", "images_needed", "p_value", "threshold_of_sorted"]

# More than anybody has: the true number of a rate such as 1e-300 has 300 digits, which no message may hold.
_MOST_NEEDED = 10**12


def conformal_threshold(scores: ArrayLike, rate: float) -> float:
    """The threshold above which at most a stated share of good parts lies, on average over calibrations.

    A part is refused when its `p_value` is at most the rate, which is when it scores above the (k + 1)-th largest
    calibration score, ``k = floor(rate * (n + 1)) - 1``.

    Args:
        scores: (n,) of good images, in any order.
        rate: In (0, 1).

    Raises:
        SettingsError: If the rate is not in (0, 1).
        DatasetError: If a score is not finite.
        CalibrationError: If there are fewer than `images_needed`.
    """
    check_rate("rate", rate)
    return threshold_of_sorted(sorted_scores(scores), rate)


def images_needed(rate: float) -> int:
    """The least number of good images with which the conformal rule can keep a rate: ``ceil(1 / rate) - 1``.

    More than 10^12 are told as so many.

    Raises:
        SettingsError: If the rate is not in (0, 1).
    """
    check_rate("rate", rate)
    # In exact numbers, 1 / 0.01 is a little under 100 or a little over, as the rounding of 0.01 has it.
    share = math.ceil(1 / Fraction(rate))
    if 1 / (share - 1) <= rate:
        share -= 1
    return min(share - 1, _MOST_NEEDED)


def p_value(scores_sorted: NDArray[np.float64], score: float) -> float:
    """The conformal p-value, ``(1 + number of calibration scores >= score) / (n + 1)``.

    Args:
        scores_sorted: (n,) of good images, ascending.
        score: Of the part in question.

    Raises:
        DatasetError: If the score is NaN.
    """
    images = len(scores_sorted)
    below = int(np.searchsorted(scores_sorted, checked_score(score), side="left"))
    return (1 + images - below) / (images + 1)


def threshold_of_sorted(ascending: NDArray[np.float64], rate: float) -> float:
    """The same as `conformal_threshold` for scores that are ascending already.

    Raises:
        CalibrationError: If they are too few for the rate.
    """
    images = len(ascending)
    allowed = allowed_refusals(rate, images)
    if not allowed:
        raise CalibrationError(_too_few(rate, images))
    return float(ascending[images - allowed])


def allowed_refusals(rate: float, images: int) -> int:
    """The largest m with ``m / (images + 1) <= rate``: k + 1.

    Compared by the very division that `p_value` does: a quotient is rounded as a literal is, so that 0.05 is as much
    as 1 / 20, though 0.05 * 20 might not be 1.
    """
    allowed = int(rate * (images + 1))
    if (allowed + 1) / (images + 1) <= rate:
        return allowed + 1
    return allowed if allowed / (images + 1) <= rate else allowed - 1


def _too_few(rate: float, images: int) -> str:
    mend = f"give more good images, accept a rate of {_lowest_rate(images)} or more" if images else "give good images"
    return (
        f"A rate of {rate:.6g} needs at least {images_needed(rate)} good images for calibration, there are {images}: "
        f'{mend}, or ask for tail="generalized-pareto" (CLI: --tail generalized-pareto), which extrapolates from '
        f"{PARETO_IMAGES} images on, without a guarantee."
    )


def _lowest_rate(images: int) -> str:
    """The lowest rate that the images allow, in three digits, rounded up so that it can be asked for as it stands."""
    rate = 1 / (images + 1)
    digits = 2 - math.floor(math.log10(rate))
    return f"{-(-(10**digits) // (images + 1)) / 10**digits:g}"
