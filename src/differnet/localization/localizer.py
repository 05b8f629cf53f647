"""From an image to its heat map, by whichever method a model has, on one fixed display scale."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from differnet.calibration import conformal_threshold
from differnet.errors import CalibrationError, ModelFileError, NotFittedError
from differnet.features import FeatureExtraction
from differnet.features.describer import Cells
from differnet.flow import DensityModel
from differnet.images import RegionOfInterest
from differnet.localization.cell_method import CellMethod
from differnet.localization.local_model import LocalModel
from differnet.localization.method import LocalizationMethod, MapSources
from differnet.localization.registry import build_method
from differnet.localization.seen_cells import seen_cells
from differnet.settings import LocalizationSettings
from differnet.views import View

__all__ = ["Localizer", "display_scale"]

# From so many images on, the time that compiling the local model takes is won back.
_WORTH_COMPILING = 16

_log = logging.getLogger(__name__)


class Localizer:
    """Computes the raw map of an image, and its heat map, by a model's own method or by another one.

    Args:
        extraction: Gives the pixels that the extractor sees.
        views: The fixed views.
        settings: Of localization.
        flow: The flow, for methods that ask it.
        local: The local model, for methods that learn one.
        region: The region of interest that the images are cropped to, if any.
        compile_at_once: Whether the first image is worth compiling the local model, so that an image has the same
            anomaly alone and after others, to the last bit.

    Attributes:
        own: The model's own method.
        describer: Describes the cells of an image for it; None for a method without cells.

    Raises:
        ModelFileError: If the local model was fitted to cells of another extractor.
    """

    def __init__(
        self,
        extraction: FeatureExtraction,
        views: tuple[View, ...],
        settings: LocalizationSettings,
        *,
        flow: DensityModel | None = None,
        local: LocalModel | None = None,
        region: RegionOfInterest | None = None,
        compile_at_once: bool = False,
    ) -> None:
        if local is not None and not local.fits(extraction.extractor):
            raise ModelFileError("The model's cells are not those of its extractor; train again.")
        self._extraction = extraction
        self._sources = MapSources(extraction, views, flow)
        self._settings = settings
        self._local = local
        self._region = region
        self.own = build_method(settings)
        self.describer = self.own.describer(extraction.extractor)
        self._methods = {self.own.name: self.own}
        self._compiled: Callable[[Any], Tensor] | None = None
        self._compiling = threading.Lock()
        self._asked = 0
        self._worth_compiling = 1 if compile_at_once else _WORTH_COMPILING

    def method(self, name: str) -> LocalizationMethod:
        """The method of a name.

        Raises:
            SettingsError: If there is none.
        """
        if name not in self._methods:
            self._methods[name] = build_method(self._settings, name)
        return self._methods[name]

    def needs_cells(self, name: str) -> bool:
        """Whether a map by the method of a name takes the cells of the image."""
        return self.describer is not None and self.method(name) is self.own

    def anomaly(self, cells: Cells) -> Tensor:
        """Compute the local anomaly of an image's cells, (g, g) float32; see `LocalModel.anomaly`.

        Raises:
            NotFittedError: If there is no local model.
        """
        if self._local is None:
            raise self._not_learnt(self.own.name)
        self._asked += 1
        if self._compiled is None and self._asked >= self._worth_compiling:
            self.compile(cells)
        return (self._compiled or self._local.anomaly)(cells)

    def anomaly_of(self, pixels: NDArray[np.uint8]) -> Tensor:
        """Compute the local anomaly of an image, uint8 (size, size, 3), in a pass of the network of its own.

        Raises:
            NotFittedError: If there is no local model.
        """
        if self.describer is None:
            raise self._not_learnt(self.own.name)
        return self.anomaly(self._extraction.describe(pixels, self.describer))

    def compile(self, cells: Cells) -> None:
        """Have OpenVINO compute the anomaly from now on, if it is the engine; `anomaly` does so after some images.

        Args:
            cells: Of any image.
        """
        with self._compiling:
            if self._compiled is None and self._local is not None and self._extraction.engine == "openvino":
                try:
                    self._compiled = self._local.compile(cells) or self._local.anomaly
                except (ImportError, OSError, RuntimeError) as error:
                    _log.warning("OpenVINO does not work here, torch is used (%s)", error)
                    self._compiled = self._local.anomaly

    def raw_map(self, pixels: NDArray[np.uint8], method: str, anomaly: Tensor | None = None) -> NDArray[np.float32]:
        """Compute the map in the method's own unit; higher is more anomalous.

        Args:
            pixels: uint8 (size, size, 3), what the extractor sees.
            method: Its name.
            anomaly: What `anomaly` gave for the image, if that is at hand.

        Returns:
            float32 (s, s), see the method.

        Raises:
            NotFittedError: If the model has not what the method needs.
            SettingsError: If there is no such method.
        """
        chosen = self.method(method)
        if isinstance(chosen, CellMethod):
            if chosen is not self.own:
                raise self._not_learnt(method)
            if anomaly is None:
                anomaly = self.anomaly_of(pixels)
        return chosen.raw_map(pixels, self._sources, anomaly)

    def map_of_cells(self, anomaly: Tensor) -> NDArray[np.float32]:
        """The raw map that belongs to the anomaly of an image's cells.

        Raises:
            NotFittedError: If the model's method has no cells.
        """
        if not isinstance(self.own, CellMethod):
            raise self._not_learnt(self.own.name)
        return self.own.interpolate(anomaly, self._extraction.size)

    def peak(self, raw: NDArray[np.float32]) -> float:
        """The hottest of a raw map, within the region of interest."""
        if self._region is None:
            return float(raw.max())
        x, y, width, height = self._region.box
        inside = self._region.mask[y : y + height, x : x + width]
        return float(raw[seen_cells(inside, raw.shape[0], self._extraction.tiling)].max())

    def heat(self, raw: NDArray[np.float32], method: str, scale: float, width: int, height: int) -> NDArray[np.float32]:
        """Bring a raw map to the display scale and to the image's own size.

        Args:
            raw: What `raw_map` gave.
            method: Name of the raw map's.
            scale: The raw value that becomes 1.
            width: Of the original image, in pixels.
            height: Of the original image, in pixels.

        Returns:
            float32 (height, width), > 0 within the region of interest and 0 outside; ranks pixels as the raw map.
        """
        positive = self.method(method).positive
        heat = positive(raw) / positive(np.asarray(scale, np.float32))
        size = (width, height) if self._region is None else self._region.box[2:]
        tiling = self._extraction.tiling
        if tiling is not None:
            square = cv2.resize(heat, (tiling.size, tiling.size), interpolation=cv2.INTER_LINEAR)
            heat = tiling.restore(np.asarray(square, np.float32))
        resized = np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), np.float32)
        return resized if self._region is None else self._region.place(resized)

    def smallest_region(self, method: str, width: int, height: int) -> int:
        """The least area, in pixels of the original image, that a map can resolve; smaller regions are noise.

        Args:
            method: Name of the map's.
            width: Of the original image, in pixels.
            height: Of the original image, in pixels.
        """
        if self._region is not None:
            _, _, width, height = self._region.box
        share = (self.method(method).resolution / self._extraction.size) ** 2
        return max(1, round(width * height * share))

    def _not_learnt(self, name: str) -> NotFittedError:
        instead = "" if name == self.own.name else f"ask for '{self.own.name}', or "
        return NotFittedError(
            f"The model has no cells of good parts, so it has no map by '{name}'; {instead}train a model with "
            f"localization.method={name}."
        )


def display_scale(peaks: ArrayLike, false_reject_rate: float) -> float:
    """The hottest that good images get at a rate: at most that share of them has a pixel above it.

    Args:
        peaks: (n,) hottest raw value of each good image.
        false_reject_rate: In (0, 1); with too few images for it, the hottest of all is taken.
    """
    try:
        return conformal_threshold(peaks, false_reject_rate)
    except CalibrationError:
        return float(np.max(peaks))
