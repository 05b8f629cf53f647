"""Are more images refused than a threshold explains?"""

from __future__ import annotations

from differnet.calibration.calibration import Calibration

__all__ = ["chance_of_refusals"]

_LEAST = 1e-3


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
    from scipy.stats import betabinom, binom  # noqa: PLC0415 - takes half a second to import

    witnesses = len(calibration.scores) if calibration.groups is None else calibration.groups
    if calibration.pareto is not None or not witnesses:
        return float(binom.sf(refused - 1, images, calibration.false_reject_rate))
    above = max(calibration.expected_rate * (witnesses + 1), _LEAST)
    below = max(witnesses + 1 - above, _LEAST)
    return float(betabinom.sf(refused - 1, images, above, below))
