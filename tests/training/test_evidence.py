"""What training settles of how much the pieces of an image's evidence count."""

from __future__ import annotations

from typing import Any

import pytest

from differnet.settings import Settings
from differnet.training.evidence import weigh_evidence


@pytest.mark.parametrize(
    ("overrides", "weights"),
    [
        ({}, (0.5, 0.5, 1.0)),
        ({"views.size": 320}, (0.5, 0.5, 1.0)),
        ({"views.size": 288}, (3.5, 1.0, 3.0)),
        ({"views.size": 256, "localization.reduced": "none"}, (1.0, 1.0, 1.0)),
        # Of tiles the reduced image is larger too.
        ({"views.size": 640, "views.tiles": "1x12"}, (3.5, 1.0, 3.0)),
        ({"views.size": 288, "scoring.flow_weight": 0.3}, (0.3, 1.0, 3.0)),
        ({"scoring.reduced_weight": 0.1}, (0.5, 0.1, 1.0)),
        ({"scoring.windows_weight": 0.1}, (0.5, 0.5, 0.1)),
    ],
)
def test_cells_of_one_size_are_one_piece_of_evidence(
    overrides: dict[str, Any], weights: tuple[float, float, float]
) -> None:
    settings = Settings().with_overrides({"views.kind": "none", "views.count": 1, "views.training_count": 1})
    assert weigh_evidence(settings.with_overrides(overrides), 50).scoring.weights == weights


def test_a_flow_of_few_images_hardly_counts() -> None:
    for size in (288, 640):
        settings = Settings().with_overrides(
            {"views.size": size, "views.kind": "none", "views.count": 1, "views.training_count": 1}
        )
        assert weigh_evidence(settings, 49).scoring.weights == (0.1, 0.5, 1.0)


@pytest.mark.parametrize("images", [16, 50])
def test_where_parts_lie_at_any_angle_what_is_usual_at_a_place_counts_less(images: int) -> None:
    aligned = {"views.kind": "none", "views.count": 1, "views.training_count": 1}
    turned = {"views.kind": "right-angles", "views.count": 4, "views.training_count": 4}
    of_aligned, of_turned = (
        weigh_evidence(Settings().with_overrides(views), images).scoring.weights for views in (aligned, turned)
    )
    assert of_turned[:2] == of_aligned[:2]
    assert of_turned[2] < of_aligned[2]


@pytest.mark.parametrize("override", [{"scoring.join": "soft-maximum"}, {"scoring.local": False}])
def test_where_nothing_is_weighed_nothing_is_settled(override: dict[str, Any]) -> None:
    settings = Settings().with_overrides(override)
    assert weigh_evidence(settings, 50) == settings
