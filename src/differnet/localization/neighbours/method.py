"""Localization by the distance to the nearest cells of good images."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from differnet.extractors import Extractor
from differnet.localization.cell_method import CellMethod
from differnet.localization.neighbours.cells import CellProjection
from differnet.localization.neighbours.nearest_cells import NearestCells, NearestCellsCollector

__all__ = ["Neighbours"]


class Neighbours(CellMethod):
    """See `CellProjection` for the cells and `NearestCells` for how they are compared."""

    name = "neighbours"
    resolution = 16

    def describer(self, extractor: Extractor) -> CellProjection:
        """See `LocalizationMethod.describer`."""
        return CellProjection(extractor, self.settings.dimensions)

    def collector(self, extractor: Extractor, images: int, seed: int) -> NearestCellsCollector:
        """See `LocalizationMethod.collector`."""
        return NearestCellsCollector(images, self.settings.cells, seed)

    def restore(self, state: Mapping[str, Tensor]) -> NearestCells:
        """See `LocalizationMethod.restore`."""
        return NearestCells.from_state(state, self.settings.dimensions)
