"""From a heat map to the connected regions that are hotter than good images get."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from differnet.errors import ImageError, SettingsError

__all__ = ["Region", "check_heat", "find_regions"]

_AT_ONCE = 2_000_000


@dataclass(frozen=True)
class Region:
    """A connected hot region of a heat map.

    Attributes:
        x: Left edge of the bounding box, in pixels of the original image.
        y: Upper edge of the bounding box, in pixels.
        width: Width of the bounding box, in pixels.
        height: Height of the bounding box, in pixels.
        area: Number of hot pixels, at most ``width * height``.
        peak: Highest heat in the region.
        mean: Mean heat of the region's pixels.
        peak_x: Column of the highest heat, in pixels; the first in reading order if there are several.
        peak_y: Row of the highest heat, in pixels.
    """

    x: int
    y: int
    width: int
    height: int
    area: int
    peak: float
    mean: float
    peak_x: int
    peak_y: int

    def to_dict(self) -> dict[str, Any]:
        """The region as plain numbers, ready for JSON."""
        return asdict(self)


def find_regions(heat: NDArray[np.floating], level: float = 1.0, min_area: int = 1) -> list[Region]:
    """Find the connected regions that are hotter than a level; pixels that touch at a corner are connected.

    Args:
        heat: float32 (height, width), >= 0; 1 is the hottest that good images get.
        level: Pixels with a heat above this are hot; >= 0.
        min_area: Regions with fewer hot pixels are left out; >= 1.

    Returns:
        The regions, hottest peak first; of equal peaks, the larger area first, then in reading order of the peaks.

    Raises:
        ImageError: If the heat map is not one (see `check_heat`).
        SettingsError: If the level or the smallest area is out of range.
    """
    check_heat(heat)
    if not (math.isfinite(level) and level >= 0.0):
        raise SettingsError(f"The level of hot regions must be a number from 0 up, not {level}; 1 is the usual one.")
    if min_area < 1:
        raise SettingsError(f"The smallest area of a region must be at least 1 pixel, not {min_area}.")
    hot = np.ascontiguousarray(heat > level)
    if not hot.any():
        return []
    count, found, boxes, _ = cv2.connectedComponentsWithStats(hot.view(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    labels: NDArray[np.int32] = np.asarray(found, np.int32)
    peaks, sums = np.zeros(count, heat.dtype), np.zeros(count)
    few = [*_hot_pixels(heat, hot, labels)] if heat.size <= _AT_ONCE else None
    for _, values, region_of in few or _hot_pixels(heat, hot, labels):
        np.maximum.at(peaks, region_of, values)
        # Float64 sums: float32 ones would lose digits over a million pixels.
        np.add.at(sums, region_of, values.astype(np.float64))
    peak_places = np.full(count, heat.size, np.int64)
    for inside, values, region_of in few or _hot_pixels(heat, hot, labels):
        at_peak = np.flatnonzero(values == peaks[region_of])
        # The first pixel in reading order.
        np.minimum.at(peak_places, region_of[at_peak], inside[at_peak])
    areas = boxes[:, cv2.CC_STAT_AREA]
    # Label 0 is the background.
    kept = 1 + np.flatnonzero(areas[1:] >= min_area)
    kept = kept[np.lexsort((peak_places[kept], -areas[kept], -peaks[kept]))]
    peak_ys, peak_xs = np.divmod(peak_places[kept], heat.shape[1])
    columns = (*boxes[kept].T, peaks[kept], sums[kept] / areas[kept], peak_xs, peak_ys)
    return [Region(*numbers) for numbers in zip(*(column.tolist() for column in columns), strict=True)]


def _hot_pixels(
    heat: NDArray[np.floating], hot: NDArray[np.bool_], labels: NDArray[np.int32]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.floating], NDArray[np.intp]]]:
    """Places, values and regions of hot pixels in reading order, some rows at a time, since all take 30 bytes each."""
    width = heat.shape[1]
    rows = max(1, _AT_ONCE // width)
    for top in range(0, heat.shape[0], rows):
        inside = np.flatnonzero(hot[top : top + rows])
        if inside.size:
            values = heat[top : top + rows].ravel()[inside]
            yield inside + top * width, values, labels[top : top + rows].ravel()[inside].astype(np.intp)


def check_heat(heat: NDArray[np.floating]) -> None:
    """Make sure that an array is a heat map.

    Raises:
        ImageError: If it is not a floating-point array of shape (height, width) with finite values >= 0.
    """
    if heat.ndim != 2 or heat.size == 0:
        raise ImageError(f"A heat map must have the shape (height, width), not {heat.shape}.")
    if not np.issubdtype(heat.dtype, np.floating):
        raise ImageError(f"A heat map must be float32, not {heat.dtype}; give the map as it was computed.")
    # Written so that NaN fails it too.
    if not (float(heat.min()) >= 0.0 and float(heat.max()) < math.inf):
        raise ImageError("A heat map must hold finite values from 0 up; this one has negative or infinite ones or NaN.")
