"""The contract of a method of localization: what finds where an image is anomalous."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from differnet.extractors import Extractor
from differnet.features import FeatureExtraction
from differnet.features.describer import Describer
from differnet.flow import DensityModel
from differnet.images import RegionOfInterest
from differnet.localization.local_model import CellCollector, LocalModel
from differnet.settings import LocalizationSettings
from differnet.views import Tiling, View

__all__ = ["LocalizationMethod", "MapSources"]


@dataclass(frozen=True)
class MapSources:
    """What a raw map is made from, beside the image.

    Attributes:
        extraction: The path from images to features.
        views: The fixed views.
        flow: The normalizing flow, or an ensemble of them; None before anything is learnt.
    """

    extraction: FeatureExtraction
    views: Sequence[View]
    flow: DensityModel | None


class LocalizationMethod(ABC):
    """Finds where an image is anomalous. A subclass and its line in `LOCALIZATION_METHODS` are all that it takes.

    For every method:

    - `raw_map` is a float32 (s, s) map of the square image that the extractor sees, higher is more anomalous; the same
      image gives the same map.
    - `positive` is strictly increasing and above 0, so that heat ranks pixels as the raw map does.
    - A method that learns from good images, see `differnet.localization.cell_method`, has a describer, a collector and
      a restored model, others have none of them.

    Args:
        settings: Of localization; a method reads those that are its own.

    Attributes:
        name: Of the method, as in the settings.
        resolution: The side of what a map resolves, in pixels that the extractor sees; smaller regions are noise.
        quick: Whether a map costs little beside a score; if not, maps are made only where they are asked for, and
            images are not spread over the cores.
        can_export: Whether `heat_graph` gives a graph.
    """

    name: ClassVar[str]
    resolution: ClassVar[int]
    quick: ClassVar[bool] = True
    can_export: ClassVar[bool] = False

    def __init__(self, settings: LocalizationSettings) -> None:
        self.settings = settings

    @abstractmethod
    def raw_map(self, pixels: NDArray[np.uint8], sources: MapSources, anomaly: Tensor | None) -> NDArray[np.float32]:
        """Compute the map in the method's own unit.

        Args:
            pixels: uint8 (size, size, 3), what the extractor sees.
            sources: What else there is.
            anomaly: (g, g) float32, what the local model says of the image's cells; None for methods without one.

        Raises:
            NotFittedError: If the model has not what the method needs.
        """

    @abstractmethod
    def positive(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bring raw values, of any shape, to values above 0 of the same rank; the ratio to that of a scale is shown."""

    def describer(self, extractor: Extractor) -> Describer | None:
        """What describes cells by an extractor; None for a method without cells."""
        return None

    def collector(self, extractor: Extractor, images: int, seed: int) -> CellCollector | None:
        """What collects the cells of a number of good images, described by an extractor; None for a method without."""
        return None

    def restore(self, state: Mapping[str, Tensor]) -> LocalModel | None:
        """The local model of a state; None for a method without.

        Raises:
            KeyError: If a tensor is missing; its argument is the name.
            ValueError: If a tensor is not as expected; likewise.
        """
        return None

    def heat_graph(
        self,
        cells: int,
        size: int,
        scale: float | None,
        region: RegionOfInterest | None,
        tiling: Tiling | None = None,
    ) -> nn.Module:
        """What makes the heat map in an exported model, from anomaly (g, g) and the image (height, width, 3).

        Args:
            cells: Number of cells along a side, g.
            size: Side of the image that the extractor sees, in pixels.
            scale: The raw value that becomes 1; None takes each image's own hottest.
            region: The region of interest, if any.
            tiling: How long images are cut, if they are.
        """
        raise NotImplementedError(f"maps by {self.name} have no graph")
