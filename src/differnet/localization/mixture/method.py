"""Localization by the likelihood of cells."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from differnet.extractors import Extractor
from differnet.localization.cell_method import CellMethod
from differnet.localization.mixture.cells import (
    ScaledDescriber,
    StageDescriber,
    WindowedDescriber,
    described_channels,
)
from differnet.localization.mixture.good_cells import MixtureCollector, MixtureModel

__all__ = ["Mixture"]

_DESCRIBERS = {"all": WindowedDescriber, "cells": ScaledDescriber, "none": StageDescriber}


class Mixture(CellMethod):
    """See `StageDescriber` for the cells and `MixtureModel` for how they are judged."""

    name = "mixture"
    resolution = 16
    # Half of a cell: its density is sharper than the distance to the nearest of a few cells.
    smoothing = 0.5

    def describer(self, extractor: Extractor) -> StageDescriber:
        """See `LocalizationMethod.describer`."""
        describer = _DESCRIBERS[self.settings.reduced]
        return describer(len(described_channels(extractor)), resolved=self.settings.fine_stages == "resolved")

    def collector(self, extractor: Extractor, images: int, seed: int) -> MixtureCollector:
        """See `LocalizationMethod.collector`."""
        return MixtureCollector(
            images,
            channels=described_channels(extractor),
            components=self.settings.components,
            rank=self.settings.rank,
            strength=self.settings.shrinkage,
            dimensions=self.settings.mixture_dimensions,
            seed=seed,
        )

    def restore(self, state: Mapping[str, Tensor]) -> MixtureModel:
        """See `LocalizationMethod.restore`."""
        restored = MixtureModel.from_state(state)
        if (restored.reduced is not None) != (self.settings.reduced != "none"):
            raise ValueError("reduced.means")
        if (restored.windows is not None) != (self.settings.reduced == "all"):
            raise ValueError("windows.means")
        return restored
