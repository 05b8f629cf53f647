"""The local model while it is fitted, and what it says of good images that it was not fitted to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from differnet.features import FeatureExtraction, Sample
from differnet.features.describer import Cells
from differnet.localization.local_model import LocalModel
from differnet.localization.localizer import Localizer
from differnet.localization.registry import build_method
from differnet.scoring import CommonScale, local_score
from differnet.settings import Settings
from differnet.views import fixed_views

__all__ = ["LocalFitting", "LocalMeasure", "Measurement", "join_scores"]


class Measurement(NamedTuple):
    """What the local model says of an image.

    Attributes:
        score: Its local score.
        peak: The hottest raw value of its map.
    """

    score: float
    peak: float


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
        self._collector = method.collector(extraction.extractor, images, settings.seed)

    def collect(self, image: Sample) -> None:
        """Take the cells of an image."""
        if self._collector is not None and image.cells is not None:
            self._collector.add(image.index, image.cells)

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
            score = local_score(anomaly, self._settings.scoring.hottest)
            return Measurement(score, localizer.peak(localizer.map_of_cells(anomaly)))

        return measure


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
    local = torch.tensor([each.score for each in measured])
    scale = CommonScale.fit(scores, local, settings.scoring.join)
    return scale, scale.join(scores, local), peaks
