"""From few images, and of parts at any angle, cells are learnt turned too."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from differnet.extractors import build_extractor, find_weights
from differnet.features import FeatureExtraction, Sample
from differnet.settings import Settings
from differnet.training.local_fitting import LocalFitting
from differnet.views import View
from tests.conftest import plate

SMALL_MIXTURE = {
    "views.size": 96,
    "localization.components": 16,
    "localization.rank": 4,
    "localization.mixture_dimensions": 24,
}


@pytest.fixture(scope="module")
def extraction() -> FeatureExtraction:
    network = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))
    return FeatureExtraction(network, size=96, scales=1, stages=(-3,))


def anomaly_of_turned(extraction: FeatureExtraction, images: int, overrides: dict[str, object]) -> float:
    """How strange a good part that lies on its side is to a local model of parts that lie upright."""
    rng = np.random.default_rng(0)
    good = [plate(rng, size=96) for _ in range(images)]
    fitting = LocalFitting(Settings().with_overrides({**SMALL_MIXTURE, **overrides}), extraction, images)
    for sample in extraction.stream(good, [View()], cells=fitting.cells):
        assert isinstance(sample, Sample)
        fitting.collect(sample)
    local = fitting.fit()
    assert local is not None
    assert fitting.cells is not None
    side: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(plate(rng, size=96)))
    [cells] = extraction.network.describe_cells([side], fitting.cells)
    return local.anomaly(cells).mean().item()


def test_a_part_on_its_side_is_less_strange_where_few_images_are_learnt_turned(extraction: FeatureExtraction) -> None:
    upright = anomaly_of_turned(extraction, 8, {"localization.turn_cells": "never"})
    assert anomaly_of_turned(extraction, 8, {}) < 0.5 * upright


def test_many_images_are_learnt_as_they_are_unless_views_are_averaged(extraction: FeatureExtraction) -> None:
    upright = anomaly_of_turned(extraction, 25, {"localization.turn_cells": "never"})
    assert anomaly_of_turned(extraction, 25, {}) == upright
    averaged = {"views.kind": "right-angles", "views.count": 4, "scoring.aggregation": "features"}
    assert anomaly_of_turned(extraction, 25, averaged) < 0.5 * upright
