"""A model file of before scores as on the day it was written, whatever the default has become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors
import safetensors.torch

from differnet import DifferNet, Settings
from differnet.model_file.manifest import Manifest
from differnet.settings.earlier import completed


def test_what_a_file_does_not_say_is_what_was_done_before() -> None:
    settings = Settings.model_validate(
        completed({"views": {"size": 320}, "scoring": {"hottest": 0.03}, "localization": {"method": "neighbours"}})
    )
    assert settings.views.enlarge
    assert settings.views.flow_size is None
    assert settings.views.tiles == "none"
    assert (settings.scoring.join, settings.scoring.flow_weight) == ("soft-maximum", 1.0)
    assert (settings.scoring.reduced_weight, settings.scoring.windows_weight) == (1.0, 1.0)
    assert settings.localization.reduced == "none"
    assert settings.localization.fine_stages == "all"
    assert settings.localization.turn_cells == "never"


@pytest.mark.parametrize(("said", "meant"), [(True, "cells"), (False, "none")])
def test_the_reduced_image_was_described_by_cells_or_not(said: bool, meant: str) -> None:
    found = completed({"localization": {"reduced_cells": said, "rank": 16}})
    assert Settings.model_validate(found).localization.reduced == meant
    assert found["localization"]["rank"] == 16


def test_windows_counted_as_the_cells_of_the_reduced_image() -> None:
    settings = Settings.model_validate(completed({"scoring": {"flow_weight": 2.0, "reduced_weight": 0.5}}))
    assert settings.scoring.weights == (2.0, 0.5, 0.5)


def test_what_it_says_stays() -> None:
    said = {
        "views": {"flow_size": 256, "enlarge": False, "tiles": "auto"},
        "scoring": {"join": "sum-of-logarithms", "flow_weight": 0.3, "reduced_weight": 0.4, "windows_weight": 0.2},
        "seed": 3,
    }
    assert completed(said) == said


def test_a_manifest_is_completed_when_it_is_read(fitted: DifferNet, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    fitted.save(file)
    with safetensors.safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    [fields] = [json.loads(text) for text in metadata.values() if text.startswith("{") and "settings" in text]
    for section, name in (("views", "flow_size"), ("views", "enlarge"), ("localization", "turn_cells")):
        fields["settings"][section].pop(name)
    found = Manifest.model_validate_json(json.dumps(fields)).settings
    assert (found.views.flow_size, found.views.enlarge, found.localization.turn_cells) == (None, True, "never")
