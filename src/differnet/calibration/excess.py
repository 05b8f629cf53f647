"""Are more images refused than a threshold explains?"""

from __future__ import annotations

import math

from differnet.calibration.calibration import Calibration

__all__ = ["chance_of_refusals"]


def chance_of_refusals(calibration: Calibration, refused: int, images: int) -> float:
    """The chance that at least so many of a number of good images are refused.

    Of good images like n that a threshold comes from, with k of these above it, the number refused is beta-binomially
    distributed with k + 1 and n - k (Vovk 2012): not only the images are a sample, the calibration is one, too.

    Args:
        calibration: The threshold, and how sure it is.
        refused: Number of images above it.
        images: Number of all images.

    Returns:
        In [0, 1]; 1 where none is refused.
    """
    if not refused:
        return 1.0
    from scipy.special import bdtrc, betaln, gammaln  # noqa: PLC0415 - deciding must not need scipy

    witnesses = len(calibration.scores) if calibration.groups is None else calibration.groups
    if calibration.pareto is not None or not witnesses:
        return float(bdtrc(refused - 1, images, calibration.false_reject_rate))
    above = max(calibration.expected_rate * (witnesses + 1), 1e-3)
    below = max(witnesses + 1 - above, 1e-3)
    total = 0.0
    for count in range(refused, images + 1):
        ways = gammaln(images + 1) - gammaln(count + 1) - gammaln(images - count + 1)
        total += math.exp(ways + betaln(count + above, images - count + below) - betaln(above, below))
    return min(total, 1.0)
