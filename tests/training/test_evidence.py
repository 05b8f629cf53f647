"""What training settles of how much the pieces of an image's evidence count."""

from __future__ import annotations

from typing import Any

import pytest

from differnet.settings import Settings
from differnet.training.evidence import weigh_evidence


@pytest.mark.parametrize(
    ("overrides", "weights"),
    [
        ({}, (0.5, 0.5)),
        ({"views.size": 320}, (0.5, 0.5)),
        ({"views.size": 288}, (2.0, 1.0)),
        ({"views.size": 256, "localization.reduced": "none"}, (1.0, 1.0)),
        # Of tiles the reduced image is larger too.
        ({"views.size": 640, "views.tiles": "1x12"}, (2.0, 1.0)),
        ({"views.size": 288, "scoring.flow_weight": 0.3}, (0.3, 1.0)),
        ({"scoring.reduced_weight": 0.1}, (0.5, 0.1)),
    ],
)
def test_cells_of_one_size_are_one_piece_of_evidence(overrides: dict[str, Any], weights: tuple[float, float]) -> None:
    assert weigh_evidence(Settings().with_overrides(overrides), 50).scoring.weights == weights


def test_a_flow_of_few_images_counts_less() -> None:
    for size in (288, 640):
        settings = Settings().with_overrides({"views.size": size})
        assert weigh_evidence(settings, 49).scoring.weights == (0.25, 0.5)


@pytest.mark.parametrize("override", [{"scoring.join": "soft-maximum"}, {"scoring.local": False}])
def test_where_nothing_is_weighed_nothing_is_settled(override: dict[str, Any]) -> None:
    settings = Settings().with_overrides(override)
    assert weigh_evidence(settings, 50) == settings
