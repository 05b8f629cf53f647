"""A model of a user's own network is exported, if torch.export follows its code; else a sentence says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from differnet import DifferNet, Settings
from differnet.errors import SettingsError
from differnet.export.parity import Comparison, compare
from differnet.export.targets import open_engine
from differnet.export.write import export_model
from differnet.extractors import CustomExtractor
from tests.conftest import plate
from tests.export.test_graph import assert_agrees
from tests.extractors.test_custom import STAGES, Pyramid, by_names


@pytest.fixture
def settings(small_settings: Settings) -> Settings:
    return small_settings.with_overrides(
        {
            "extractor.scales": 1,
            "extractor.stages": [-2, -1],
            "scoring.local": True,
            "views.count": 1,
            "training.epochs": 2,
        }
    )


def test_the_graph_takes_maps_that_the_network_returns(settings: Settings, product: Path) -> None:
    model = DifferNet(settings, extractor=CustomExtractor(Pyramid(), name="ours"), device="cpu").fit(product)
    rng = np.random.default_rng(0)
    assert_agrees(model, [plate(rng, defect) for defect in (None, "blot")], with_map=False)


def test_the_file_says_what_the_model_says_by_maps_that_are_read(
    settings: Settings, product: Path, tmp_path: Path
) -> None:
    model = DifferNet(settings, extractor=CustomExtractor(Pyramid(), STAGES, name="ours"), device="cpu").fit(product)
    [file] = export_model(model, tmp_path / "model.onnx", with_map=True)
    rng = np.random.default_rng(0)
    images = [plate(rng, defect) for defect in (None, "blot", "scratch")]
    found = list(compare(model, open_engine(file, threads=1), images))
    assert len(found) == len(images)
    assert all(isinstance(image, Comparison) and image.agrees for image in found)
    # On a good part the cells of an untrained network lie so near to known ones that rounding shows in their distances.
    blot = found[1]
    assert isinstance(blot, Comparison)
    assert blot.map_difference is not None
    assert blot.map_difference < 1e-3


def test_a_network_with_a_part_that_wants_a_size_is_refused_with_a_sentence(
    settings: Settings, product: Path, tmp_path: Path
) -> None:
    model = DifferNet(settings, extractor=by_names(), device="cpu").fit(product)
    with pytest.raises(SettingsError, match=r"torch cannot export the model's extractor .*takes images of any size"):
        export_model(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
