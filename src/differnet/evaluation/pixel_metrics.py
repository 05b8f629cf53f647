"""How well anomaly maps find the defective pixels: pixel AUROC and AUPRO (Bergmann et al., IJCV 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from differnet.errors import DatasetError, SettingsError

__all__ = ["PixelMetrics", "PixelResult"]

# A thinned map keeps this many of its good pixels, at equal distances of rank.
_KEPT_PER_MAP = 2**15

_Floats: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class PixelResult:
    """Pixel metrics of a set of anomaly maps.

    Attributes:
        pixel_auroc: Area under the ROC curve, all pixels of all images together.
        aupro: Area under the curve of per-region overlap over the false-positive rate up to the limit, divided by
            the limit; 1 is perfect, half the limit is what a constant map has.
        max_error: Neither value is farther than this from the exact one; 0 if they are exact.
    """

    pixel_auroc: float
    aupro: float
    max_error: float = 0.0


class PixelMetrics:
    """Gathers anomaly maps one by one and computes pixel AUROC and AUPRO.

    The per-region overlap at a threshold is the share of a region's pixels above it, averaged over all regions of
    all images, small ones counting as much as large ones; a region is a set of 8-connected defective pixels. The
    false-positive rate is the share of good pixels above the threshold, over all images. Both curves take every
    distinct value as a threshold and are joined by straight lines, the area is interpolated at the limit, as in the
    evaluation code of MVTec AD (Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021).

    Four bytes a pixel are kept. Beyond ``exact_pixels`` good pixels each map keeps only 32768 of them, the
    quantiles at equal distances of rank: the false-positive rate is then at most 1 / 65536 off at any threshold, and
    so is the pixel AUROC; the AUPRO by that divided by the limit, 5.1e-5 at 0.3. Defective pixels are all kept.

    Args:
        aupro_limit: Highest false-positive rate of the AUPRO, in (0, 1].
        exact_pixels: Number of good pixels up to which the metrics are exact; the default takes 512 MiB.

    Raises:
        SettingsError: If the limit is not in (0, 1].

    Example:
        >>> metrics = PixelMetrics()
        >>> metrics.add([[0.1, 0.2], [0.1, 0.9]], [[False, False], [False, True]])
        >>> metrics.compute()
        PixelResult(pixel_auroc=1.0, aupro=1.0, max_error=0.0)
    """

    def __init__(self, aupro_limit: float = 0.3, *, exact_pixels: int = 2**27) -> None:
        if not 0.0 < aupro_limit <= 1.0:
            raise SettingsError(f"The AUPRO's limit must lie in (0, 1], not be {aupro_limit}.")
        self._limit = aupro_limit
        self._exact_pixels = exact_pixels
        self._maps = 0
        # Of each map the values of good pixels, in order, and how many pixels one of them stands for.
        self._good: list[tuple[_Floats, float]] = []
        self._good_pixels = 0
        # Of each region the values of its pixels.
        self._regions: list[_Floats] = []
        self._result: PixelResult | None = None

    def add(self, heat: ArrayLike, mask: ArrayLike) -> None:
        """Take in the map of one image.

        Args:
            heat: (H, W) anomaly map, higher is more anomalous; taken as float32.
            mask: (H, W), True or not 0 where the part is defective; all False for a good part.

        Raises:
            DatasetError: If the shapes differ or a value is not finite; the map is then left out.
        """
        values, defective = np.asarray(heat, np.float32), np.asarray(mask, bool)
        which = f"Anomaly map {self._maps + 1}"
        if values.ndim != 2 or values.shape != defective.shape:
            raise DatasetError(
                f"{which} has the shape {values.shape}, its mask {defective.shape}; both must be (height, width) of "
                "the image."
            )
        if not np.isfinite(values).all():
            raise DatasetError(f"{which} has a value that is not a finite number; train the model again.")
        self._maps += 1
        self._result = None
        self._regions += _regions(values, defective)
        good = np.sort(values[~defective])
        if not len(good):
            return
        was_exact, self._good_pixels = self._is_exact, self._good_pixels + len(good)
        self._good.append((good, 1.0))
        if self._is_exact:
            return
        # All maps when the bound is crossed, later only the new one.
        first = 0 if was_exact else len(self._good) - 1
        self._good[first:] = [_thinned(kept) for kept, _ in self._good[first:]]

    def compute(self) -> PixelResult:
        """Compute the metrics of all maps so far, once; more may be added afterwards.

        Raises:
            DatasetError: If no pixel is defective, or none is good.
        """
        if self._result is not None:
            return self._result
        if not self._regions:
            raise DatasetError("No pixel is marked defective; pixel metrics need masks of at least one defective part.")
        if not self._good:
            raise DatasetError("Every pixel is marked defective; pixel metrics need good pixels too, check the masks.")
        sizes = np.array([len(region) for region in self._regions])
        levels, level = np.unique(np.concatenate(self._regions), return_inverse=True)
        curve_x = _climb(self._good_around(levels))
        roc_y = _climb(_steps(level, np.ones(len(level))))
        pro_y = _climb(_steps(level, np.repeat(1.0 / sizes, sizes)))
        error = 0.0 if self._is_exact else 0.5 / _KEPT_PER_MAP / self._limit
        aupro = _area(curve_x, pro_y, self._limit) / self._limit
        self._result = PixelResult(_area(curve_x, roc_y, 1.0), aupro, error)
        return self._result

    @property
    def _is_exact(self) -> bool:
        return self._good_pixels <= self._exact_pixels

    def _good_around(self, levels: _Floats) -> NDArray[np.float64]:
        """Count the good pixels below the first of K levels, at it, between it and the second, and so on: (2K + 1,).

        Only defective pixels move the curves up, so that between their levels good pixels need not be told apart.
        """
        counts = np.zeros(2 * len(levels) + 1)
        for good, weight in self._good:
            above = np.searchsorted(levels, good)
            equal = levels[np.minimum(above, len(levels) - 1)] == good
            np.add.at(counts, 2 * above + equal, weight)
        return counts


def _regions(values: _Floats, defective: NDArray[np.bool_]) -> list[_Floats]:
    """The values of each 8-connected region."""
    if not defective.any():
        return []
    count, labels = cv2.connectedComponents(defective.astype(np.uint8), connectivity=8)
    of_pixel = labels[defective]
    order = np.argsort(of_pixel, kind="stable")
    ends = np.cumsum(np.bincount(of_pixel, minlength=count)[1:])
    return np.split(values[defective][order], ends[:-1])


def _thinned(good: _Floats) -> tuple[_Floats, float]:
    """Keep the values in the middle of equal shares; returns them and how many pixels one stands for."""
    if len(good) <= _KEPT_PER_MAP:
        return good, 1.0
    share = len(good) / _KEPT_PER_MAP
    return good[((np.arange(_KEPT_PER_MAP) + 0.5) * share).astype(np.int64)], share


def _steps(level: NDArray[np.intp], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the weights of defective pixels at each of K levels, among zeros for what lies around: (2K + 1,)."""
    at_levels = np.bincount(level, weights)
    steps = np.zeros(2 * len(at_levels) + 1)
    steps[1::2] = at_levels
    return steps


def _climb(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The share that lies above each threshold, from the highest threshold, where it is 0, to the lowest, where 1."""
    shares = np.concatenate(([0.0], np.cumsum(steps[::-1])))
    return shares / shares[-1]


def _area(x: NDArray[np.float64], y: NDArray[np.float64], limit: float) -> float:
    """Integrate a curve of straight lines, x ascending from 0 to 1, from 0 to a limit."""
    inside = int(np.searchsorted(x, limit, side="right"))
    if inside < len(x):
        start = inside - 1
        share = (limit - x[start]) / (x[inside] - x[start])
        x = np.append(x[:inside], limit)
        y = np.append(y[:inside], y[start] + share * (y[inside] - y[start]))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2))
