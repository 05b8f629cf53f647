"""From an image to its heat map, by whichever method a model has, on one fixed display scale."""

from __future__ import annotations

import copy
import logging
import threading
from typing import Literal, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from differnet.calibration import conformal_threshold
from differnet.errors import CalibrationError, NotFittedError
from differnet.extractors import Extractor
from differnet.features import FeatureExtraction
from differnet.features.cells import CellGrids, CellProjection
from differnet.flow import FlowEnsemble, NormalizingFlow
from differnet.images import RegionOfInterest
from differnet.localization.gradient import gradient_map
from differnet.localization.local_model import LocalModel
from differnet.localization.openvino_local_model import CompiledLocalModel
from differnet.views import View

__all__ = ["HEAT_METHODS", "HeatMethod", "Localizer", "display_scale"]

HeatMethod: TypeAlias = Literal["neighbours", "gradient"]
HEAT_METHODS: tuple[HeatMethod, ...] = ("neighbours", "gradient")

# The side of what a heat map resolves, in pixels that the extractor sees: a cell, or the Gaussian of the gradient.
_RESOLUTION = {"neighbours": 16, "gradient": 7}
# The side of a map is this fraction of the image's that the extractor sees.
_REDUCTION = 4
_TINY = 1e-12
# From so many images on, the time that compiling the local model takes is won back.
_WORTH_COMPILING = 16

_log = logging.getLogger(__name__)


class Localizer:
    """Computes the raw map of an image, and its heat map.

    Args:
        extraction: Gives the pixels that the extractor sees.
        views: The fixed views, for the gradient.
        dimensions: Of a cell.
        flow: The flow, for ``gradient``.
        local: The local model, for ``neighbours``.
        region: The region of interest that the images are cropped to, if any.
    """

    def __init__(
        self,
        extraction: FeatureExtraction,
        views: tuple[View, ...],
        dimensions: int,
        *,
        flow: NormalizingFlow | FlowEnsemble | None = None,
        local: LocalModel | None = None,
        region: RegionOfInterest | None = None,
    ) -> None:
        self._extraction = extraction
        self._views = views
        self._flow = flow
        self._local = local
        self._region = region
        self.projection = CellProjection(extraction.extractor, dimensions)
        self._float32: Extractor | None = None
        self._compiled: CompiledLocalModel | LocalModel | None = None
        self._compiling = threading.Lock()
        self._asked = 0

    def anomaly(self, cells: CellGrids, without_image: int | None = None) -> Tensor:
        """Compute the local anomaly of an image's cells, (g, g) float32; see `LocalModel.anomaly`.

        Raises:
            NotFittedError: If there is no local model.
        """
        if self._local is None:
            raise NotFittedError(
                "The model has no cells of good parts, so it has no map by 'neighbours'; ask for 'gradient', or train "
                "a model with localization.method=neighbours."
            )
        if without_image is not None:
            return self._local.anomaly(cells, without_image)
        self._asked += 1
        if self._compiled is None and self._asked >= _WORTH_COMPILING:
            self.compile(cells)
        return (self._compiled or self._local).anomaly(cells)

    def compile(self, cells: CellGrids) -> None:
        """Have OpenVINO compute the anomaly from now on, if it is the engine; `anomaly` does so after some images.

        Args:
            cells: Of any image.
        """
        with self._compiling:
            if self._compiled is None and self._local is not None and self._extraction.engine == "openvino":
                try:
                    self._compiled = CompiledLocalModel(self._local, cells)
                except (ImportError, OSError, RuntimeError) as error:
                    _log.warning("OpenVINO does not work here, torch is used (%s)", error)
                    self._compiled = self._local

    def raw_map(
        self, pixels: NDArray[np.uint8], method: HeatMethod, anomaly: Tensor | None = None
    ) -> NDArray[np.float32]:
        """Compute the map in the method's own unit; higher is more anomalous.

        Args:
            pixels: uint8 (size, size, 3), what the extractor sees.
            method: ``neighbours`` or ``gradient``.
            anomaly: For ``neighbours``: what `anomaly` gave for the image, if that is at hand.

        Returns:
            float32 (size / 4, size / 4) for ``neighbours``; float32 (size, size), >= 0, for ``gradient``.

        Raises:
            NotFittedError: If the model has not what the method needs.
        """
        if method == "gradient":
            if self._flow is None:
                raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
            if self._float32 is None:
                # Kept, since converting a network for each image would cost more than the map.
                half = self._extraction.dtype != torch.float32
                network = self._extraction.extractor
                self._float32 = copy.deepcopy(network).set_precision(torch.float32) if half else network
            return gradient_map(
                self._float32,
                self._flow,
                pixels,
                self._views,
                self._extraction.scales,
                stages=self._extraction.stages,
                deviation=self._extraction.deviation,
            )
        if anomaly is None:
            anomaly = self.anomaly(self.projection(self._extraction.as_tensor(pixels))[0])
        return self.smooth(anomaly)

    def smooth(self, anomaly: Tensor) -> NDArray[np.float32]:
        """Interpolate (g, g) local anomaly to the map that `raw_map` gives for ``neighbours``."""
        side = self._extraction.size // _REDUCTION
        # Between the cells' centres, then over the width of a cell, so that their grid does not show.
        finer = functional.interpolate(anomaly[None, None], size=(side, side), mode="bilinear", align_corners=False)
        sigma = side / anomaly.shape[0]
        smooth = cv2.GaussianBlur(finer[0, 0].cpu().numpy(), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(smooth, np.float32)

    def peak(self, raw: NDArray[np.float32]) -> float:
        """The hottest of a raw map, within the region of interest."""
        if self._region is None:
            return float(raw.max())
        x, y, width, height = self._region.box
        inside = self._region.mask[y : y + height, x : x + width].astype(np.float32)
        seen = cv2.resize(inside, raw.shape[::-1], interpolation=cv2.INTER_AREA) > 0.0
        return float(raw[seen].max())

    def heat(
        self, raw: NDArray[np.float32], method: HeatMethod, scale: float, width: int, height: int
    ) -> NDArray[np.float32]:
        """Bring a raw map to the display scale and to the image's own size.

        Args:
            raw: What `raw_map` gave.
            method: Of the raw map.
            scale: The raw value that becomes 1.
            width: Of the original image, in pixels.
            height: Of the original image, in pixels.

        Returns:
            float32 (height, width), > 0 within the region of interest and 0 outside; ranks pixels as the raw map.
        """
        heat = _positive(raw, method) / _positive(np.float32(scale), method)
        size = (width, height) if self._region is None else self._region.box[2:]
        resized = np.asarray(cv2.resize(heat, size, interpolation=cv2.INTER_LINEAR), np.float32)
        return resized if self._region is None else self._region.place(resized)

    def smallest_region(self, method: HeatMethod, width: int, height: int) -> int:
        """The least area, in pixels of the original image, that a map can resolve; smaller regions are noise.

        Args:
            method: Of the map.
            width: Of the original image, in pixels.
            height: Of the original image, in pixels.
        """
        if self._region is not None:
            _, _, width, height = self._region.box
        share = (_RESOLUTION[method] / self._extraction.size) ** 2
        return max(1, round(width * height * share))


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


def _positive(raw: NDArray[np.float32] | np.float32, method: HeatMethod) -> NDArray[np.float32]:
    """Gradients are positive already; of standard deviations softplus is: near 0 below, linear above, rank kept."""
    positive = raw + np.float32(_TINY) if method == "gradient" else np.logaddexp(np.float32(0.0), raw)
    return np.asarray(positive, np.float32)
