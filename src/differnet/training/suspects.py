"""Which of the good images are the most suspicious: those that score highest by models that did not see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from differnet.calibration import deviations_above
from differnet.model_file.manifest import Suspect
from differnet.training.fitted import Fitted

__all__ = ["FAR_OFF", "counted_as_good", "far_off", "find_suspects"]

FAR_OFF = 3.5
"""Deviations above the median from which on an image is far off."""

_LEAST_IMAGES = 10
# Listed are those above so many deviations, but so many at least and at most.
_LISTED_DEVIATIONS, _LISTED_LEAST, _LISTED_MOST = 0.7, 5, 200
_EXPECTED = 0.02


def find_suspects(fitted: Fitted) -> tuple[Suspect, ...]:
    """The images that score highest, the most suspicious first: those above 0.7 deviations, but 5 at least.

    Of 300 solar cells of which 10 % were defective these were 51, and 26 of the 30 defective ones among them; above one
    deviation 34, and 21.
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
        )
        for place in listed
    )


def far_off(fitted: Fitted) -> list[int]:
    """The places of those that are far off, among the images that were scored."""
    if len(fitted.scores) < _LEAST_IMAGES:
        return []
    return np.flatnonzero(_deviations(fitted) > FAR_OFF).tolist()


def counted_as_good(images: int) -> int:
    """How many images far off clean images have: a fiftieth, rounded down.

    Where images far off are left out, so many of them set the threshold all the same. Else it would be lower than that
    of clean images, of which none should have been left out, and more good parts would be refused than stated.
    """
    return int(_EXPECTED * images)


def _deviations(fitted: Fitted) -> NDArray[np.float64]:
    if fitted.scale is None:
        return deviations_above(fitted.scores.double().numpy())
    scale = fitted.scale
    return deviations_above(scale.deviations(fitted.scores).numpy(), logarithmic=True, tail=scale.tail)
