"""What methods that learn the cells of good images have in common: their map, its display, its export."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from differnet.errors import NotFittedError
from differnet.extractors import Extractor
from differnet.features.describer import Describer
from differnet.images import RegionOfInterest
from differnet.localization.heat_graph import HeatGraph
from differnet.localization.local_model import CellCollector, LocalModel, shown
from differnet.localization.method import LocalizationMethod, MapSources
from differnet.views import Tiling

__all__ = ["CellMethod"]

# The side of a map is this fraction of the image's that the extractor sees.
_REDUCTION = 4


class CellMethod(LocalizationMethod):
    """A method that learns the cells of good images: its raw map is made of the local model's anomaly alone.

    A subclass gives describer, collector and restored model, which belong together: the collector takes, and the model
    judges, what the describer makes. The anomaly should be in standard deviations of good cells, or in another unit in
    which 1 is a little, since it is shown through a softplus.

    Attributes:
        smoothing: Standard deviation of the Gaussian that maps are smoothed by, in cells.
    """

    can_export = True
    smoothing: ClassVar[float] = 1.0

    @abstractmethod
    def describer(self, extractor: Extractor) -> Describer:
        """What describes cells by an extractor."""

    @abstractmethod
    def collector(self, extractor: Extractor, images: int, seed: int) -> CellCollector:
        """What collects the cells of a number of good images, described by an extractor, and fits the local model."""

    @abstractmethod
    def restore(self, state: Mapping[str, Tensor]) -> LocalModel:
        """The local model of a state, see `LocalizationMethod.restore`."""

    def raw_map(self, pixels: NDArray[np.uint8], sources: MapSources, anomaly: Tensor | None) -> NDArray[np.float32]:
        """The interpolated anomaly, float32 (size / 4, size / 4); see `LocalizationMethod.raw_map`."""
        if anomaly is None:
            raise NotFittedError("The model has no cells of good parts; train it again.")
        return self.interpolate(anomaly, sources.extraction.size)

    def interpolate(self, anomaly: Tensor, size: int) -> NDArray[np.float32]:
        """Interpolate the anomaly of an image of ``size`` pixels to the raw map, (size / 4, size / 4)."""
        cells, side = shown(anomaly), size // _REDUCTION
        # Between the cells' centres, then over a part of a cell's width, so that their grid does not show.
        finer = functional.interpolate(cells[None, None], size=(side, side), mode="bilinear", align_corners=False)
        sigma = self.smoothing * side / len(cells)
        smooth = cv2.GaussianBlur(finer[0, 0].cpu().numpy(), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        return np.asarray(smooth, np.float32)

    def positive(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Softplus: near 0 below what is usual, linear above, rank kept."""
        return np.asarray(np.logaddexp(np.float32(0.0), raw), np.float32)

    def heat_graph(
        self,
        cells: int,
        size: int,
        scale: float | None,
        region: RegionOfInterest | None,
        tiling: Tiling | None = None,
    ) -> nn.Module:
        """See `LocalizationMethod.heat_graph`."""
        return HeatGraph(cells, size // _REDUCTION, scale, region, smoothing=self.smoothing, tiling=tiling)
