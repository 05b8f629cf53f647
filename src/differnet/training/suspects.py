"""Which of the good images are the most suspicious: those that score highest by models that did not see them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from differnet.calibration import deviations_above
from differnet.model_file.manifest import Suspect
from differnet.training.fitted import Fitted

__all__ = ["FAR_OFF", "counted_as_good", "far_off", "find_suspects", "uncounted"]

FAR_OFF = 3.5
"""Deviations above the median from which on an image is far off."""

_LEAST_IMAGES = 10
# Listed are those above so many deviations, but so many at least and at most.
_LISTED_DEVIATIONS, _LISTED_LEAST, _LISTED_MOST = 0.7, 5, 200
_EXPECTED = 0.02


def find_suspects(fitted: Fitted, not_counted: Collection[int] = ()) -> tuple[Suspect, ...]:
    """The images that score highest, the most suspicious first: those above 0.7 deviations, but 5 at least.

    Of 300 solar cells of which 10 % were defective these were 51, and 26 of the 30 defective ones among them; above one
    deviation 34, and 21.

    Args:
        fitted: What was learnt.
        not_counted: The places of those that set no threshold, among the images that were scored.
    """
    if len(fitted.scores) < _LEAST_IMAGES:
        return ()
    deviations = _deviations(fitted)
    order = np.argsort(-deviations, kind="stable")
    above = int((deviations > _LISTED_DEVIATIONS).sum())
    listed = order[: min(max(above, _LISTED_LEAST), _LISTED_MOST)].tolist()
    return tuple(
        Suspect(
            name=fitted.names[place],
            score=float(fitted.scores[place]),
            deviations=round(float(deviations[place]), 2),
            far_off=bool(deviations[place] > FAR_OFF),
            uncounted=place in not_counted,
        )
        for place in listed
    )


def far_off(fitted: Fitted) -> list[int]:
    """The places of those that are far off, among the images that were scored."""
    if len(fitted.scores) < _LEAST_IMAGES:
        return []
    return np.flatnonzero(_deviations(fitted) > FAR_OFF).tolist()


def uncounted(fitted: Fitted) -> list[int]:
    """The places of those that are far off and more than clean images have, among the images that were scored.

    None where more than a third is far off, which is no rest of usual images with outliers.
    """
    off = far_off(fitted)
    if 3 * len(off) > len(fitted.scores):
        return []
    off.sort(key=lambda place: float(fitted.scores[place]))
    return off[counted_as_good(len(fitted.scores)) :]


def counted_as_good(images: int) -> int:
    """How many images far off clean images have: a fiftieth, rounded down.

    Where images far off are left out, or not counted, so many of them set the threshold all the same. Else it would be
    lower than that of clean images, all of which should count, and more good parts would be refused than stated.
    """
    return int(_EXPECTED * images)


def _deviations(fitted: Fitted) -> NDArray[np.float64]:
    if fitted.scale is None:
        return deviations_above(fitted.scores.double().numpy())
    scale = fitted.scale
    return deviations_above(scale.deviations(fitted.scores).numpy(), logarithmic=True, tail=scale.tail)
