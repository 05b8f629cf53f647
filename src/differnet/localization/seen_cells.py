"""Which places of a raw map a region of interest covers."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from differnet.views import Tiling

__all__ = ["seen_cells"]


def seen_cells(inside: NDArray[np.bool_], side: int, tiling: Tiling | None) -> NDArray[np.bool_]:
    """Find the places of a raw map of which some part is within a region of interest.

    Args:
        inside: (height, width), the region within its box.
        side: Of the raw map.
        tiling: How the box is cut, if it is.

    Returns:
        (side, side).
    """
    covered = inside.astype(np.float32)
    if tiling is not None:
        strip = cv2.resize(covered, (tiling.width, tiling.height), interpolation=cv2.INTER_AREA)
        covered = np.asarray(tiling.lay(strip), np.float32)
    return np.asarray(cv2.resize(covered, (side, side), interpolation=cv2.INTER_AREA) > 0.0)
