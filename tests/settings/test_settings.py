"""Settings: impossible ones are named, and the paper's preset is the authors' configuration."""

from __future__ import annotations

import math

import pytest

from differnet.errors import SettingsError
from differnet.settings import Settings


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"training.epochs": 0}, "training.epochs"),
        ({"training.betas": [0.9, 1.0]}, "betas"),
        ({"training.held_out": 0.0}, "keep"),
        ({"views.kind": "none", "views.count": 9}, "count"),
        ({"views.size": 128, "extractor.scales": 3}, "128"),
        ({"no.such": 1}, "no.such"),
        ({"training": 1}, "training"),
        ({"flow.clamp": math.nan}, "flow.clamp"),
        ({"extractor.name": "../alexnet"}, "extractor.name"),
        ({"views.tiles": "4x4"}, "views.tiles"),
        ({"views.tiles": "\udcff"}, "views.tiles"),  # a byte of the command line that is no text
    ],
)
def test_impossible_settings_are_named(overrides: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings().with_overrides(overrides)


def test_the_paper_preset_is_the_authors_configuration() -> None:
    from differnet.settings import preset

    paper = preset("paper")
    training = paper.training
    assert (paper.views.size, paper.extractor.scales, paper.extractor.name) == (448, 3, "alexnet")
    assert (paper.views.kind, paper.views.count, paper.views.max_degrees) == ("rotations", 64, 180)
    assert (paper.flow.blocks, paper.flow.hidden, paper.flow.clamp) == (8, 2048, 3)
    assert training.epochs == 24 * 8
    assert training.batch_images * paper.views.training_count == 96
    assert (training.learning_rate, training.betas, training.eps, training.weight_decay) == (
        2e-4,
        (0.8, 0.8),
        1e-4,
        1e-5,
    )
    assert (training.views, training.held_out, training.keep) == ("fresh", 0, "last")
    assert paper.scoring.aggregation == "mean"
