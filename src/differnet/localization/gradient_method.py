"""The paper's localization: the gradient of the flow's loss at the pixels (section 3.4)."""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.errors import NotFittedError
from differnet.extractors import Extractor
from differnet.localization.gradient import gradient_map
from differnet.localization.method import LocalizationMethod, MapSources
from differnet.settings import LocalizationSettings

__all__ = ["Gradient"]

_TINY = 1e-12


class Gradient(LocalizationMethod):
    """Maps by `gradient_map`, float32 (size, size), at least 0. Nothing is learnt beside the flow.

    Args:
        settings: Of localization.
    """

    name = "gradient"
    # Of the Gaussian that smooths the gradients.
    resolution = 7
    quick = False

    def __init__(self, settings: LocalizationSettings) -> None:
        super().__init__(settings)
        self._float32: Extractor | None = None

    def raw_map(self, pixels: NDArray[np.uint8], sources: MapSources, anomaly: Tensor | None) -> NDArray[np.float32]:
        """See `LocalizationMethod.raw_map`; the anomaly is not used."""
        extraction = sources.extraction
        if sources.flow is None:
            raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
        if self._float32 is None:
            # Kept, since converting a network for each image would cost more than the map.
            half = extraction.dtype != torch.float32
            network = extraction.extractor
            self._float32 = copy.deepcopy(network).set_precision(torch.float32) if half else network
        return gradient_map(
            self._float32,
            sources.flow,
            extraction.network.reduce(pixels),
            sources.views,
            extraction.scales,
            stages=extraction.stages,
            deviation=extraction.deviation,
        )

    def positive(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Gradients are positive already, all but where they are exactly 0."""
        return np.asarray(raw + np.float32(_TINY), np.float32)
