"""What training settles by itself is told apart from what was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from differnet.settings import Settings, preset
from differnet.training.evidence import weigh_evidence
from differnet.training.settled import as_settled
from differnet.training.size_choice import choose_size

TURNED = {
    "views.kind": "right-angles",
    "views.count": 4,
    "views.training_count": 4,
    "scoring.aggregation": "features",
}


def settled(asked: Settings, width: int, height: int, images: int) -> Settings:
    sources = [np.zeros((height, width, 3), np.uint8)] * 3
    sized = asked.model_copy(update={"views": choose_size(sources, asked.views, None)})
    return weigh_evidence(sized, images)


@pytest.mark.parametrize(("width", "height"), [(300, 300), (448, 448), (3000, 2000), (3600, 300)])
@pytest.mark.parametrize("images", [16, 200])
@pytest.mark.parametrize("views", [{}, TURNED])
def test_what_training_settles_is_taken_over(width: int, height: int, images: int, views: dict[str, object]) -> None:
    asked = preset("default")
    found = settled(asked, width, height, images).with_overrides(views)
    assert found != asked
    assert as_settled(asked, found) == found


@pytest.mark.parametrize(
    "changed",
    [
        {"views.size": 256},
        {"views.kind": "none"},
        {"scoring.flow_weight": 0.7},
        {"scoring.reduced_weight": 0.7},
        {"scoring.windows_weight": 0.7},
        {"localization.rank": 8},
        {"seed": 1},
    ],
)
def test_what_was_asked_for_is_not(changed: dict[str, object]) -> None:
    found = settled(preset("default"), 448, 448, 200).with_overrides(TURNED)
    asked = preset("default").with_overrides(changed)
    assert as_settled(asked, found) != found
