"""The local model while it is fitted, and what it says of good images that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from differnet.features import FeatureExtraction, Sample
from differnet.features.describer import Cells
from differnet.localization.local_model import LocalModel
from differnet.localization.localizer import Localizer
from differnet.localization.registry import build_method
from differnet.scoring import CommonScale, local_scores
from differnet.settings import Settings
from differnet.views import fixed_views

__all__ = ["LocalFitting", "LocalMeasure", "Measurement", "join_scores"]


class Measurement(NamedTuple):
    """What the local model says of an image.

    Attributes:
        scores: Its p local scores.
        peak: The hottest raw value of its map.
    """

    scores: Sequence[float]
    peak: float


_RIGHT_ANGLES = 4
# From so many images on, those that are seen upright say more than the same ones turned (16 screws: 0.77 to 0.90).
_ENOUGH_IMAGES = 25

LocalMeasure: TypeAlias = Callable[[Cells], Measurement]


class LocalFitting:
    """Takes the cells of good images, makes local models of them, and measures other images by these.

    For methods of localization that learn nothing `cells` is None, and so is what `fit` gives.

    Args:
        settings: All settings.
        extraction: The path from images to features.
        images: Number of images to come.

    Attributes:
        cells: Describes the cells of an image.
    """

    def __init__(self, settings: Settings, extraction: FeatureExtraction, images: int) -> None:
        self._settings, self._extraction = settings, extraction
        method = build_method(settings.localization)
        self.cells = method.describer(extraction.extractor)
        self._turns = _RIGHT_ANGLES if _learns_turned(settings, images) else 1
        self._collector = method.collector(extraction.extractor, images * self._turns, settings.seed)

    def collect(self, image: Sample) -> None:
        """Take the cells of an image, and of it turned where the settings say so."""
        if self._collector is None or self.cells is None or image.cells is None:
            return
        self._collector.add(image.index, image.cells)
        if self._turns > 1:
            turned = [np.ascontiguousarray(np.rot90(image.pixels, turn)) for turn in range(1, self._turns)]
            for cells in self._extraction.network.describe_cells(turned, self.cells):
                self._collector.add(image.index, cells)

    def fit(self, without: Collection[int] = ()) -> LocalModel | None:
        """Make a local model.

        Args:
            without: Places of images to leave out, as if they had never been collected; not all.
        """
        return None if self._collector is None else self._collector.fit(without)

    def measure_by(self, local: LocalModel) -> LocalMeasure:
        """How images are measured by a local model; it must not have been fitted to them."""
        localizer = Localizer(
            self._extraction,
            fixed_views(self._settings.views),
            self._settings.localization,
            local=local.to(self._extraction.device),
            region=self._extraction.region,
        )

        def measure(cells: Cells) -> Measurement:
            anomaly = localizer.anomaly(cells.to(self._extraction.device))
            scores = local_scores(anomaly, self._settings.scoring.hottest).tolist()
            return Measurement(scores, localizer.peak(localizer.map_of_cells(anomaly)))

        return measure


def _learns_turned(settings: Settings, images: int) -> bool:
    if settings.localization.turn_cells == "never":
        return False
    return settings.scoring.aggregation == "features" or images < _ENOUGH_IMAGES


def join_scores(
    settings: Settings, scores: Tensor, measured: Sequence[Measurement]
) -> tuple[CommonScale | None, Tensor, Tensor]:
    """Join what flow and local model say of good images that neither was fitted to.

    Args:
        settings: All settings.
        scores: (n,) float32, of the flow.
        measured: Of the same n images; empty without a local model.

    Returns:
        The common scale, None where the flow's score alone counts; the (n,) joined scores; the (n,) hottest raw values
        of the maps, empty without a local model.
    """
    peaks = torch.tensor([each.peak for each in measured])
    if not settings.scoring.local or not len(scores):
        return None, scores, peaks
    local = torch.tensor([each.scores for each in measured])
    chosen = settings.scoring
    scale = CommonScale.fit(scores, local, chosen.join, chosen.weights)
    return scale, scale.join(scores, local), peaks
