"""A model whose cells are not those of its extractor is told before anything is computed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from differnet.errors import ModelFileError
from differnet.extractors.alexnet import AlexNet
from differnet.extractors.efficientnet_lite import EfficientNetLite0
from differnet.features import FeatureExtraction
from differnet.localization.localizer import Localizer
from differnet.localization.mixture.cells import WindowedCells, described_channels
from differnet.localization.mixture.good_cells import MixtureCollector, MixtureModel
from differnet.settings import LocalizationSettings


@pytest.fixture(scope="module")
def local() -> MixtureModel:
    channels = described_channels(EfficientNetLite0())
    random = torch.Generator().manual_seed(0)
    collector = MixtureCollector(5, channels=channels, components=2, rank=2, strength=9.0, dimensions=4, seed=0)
    for place in range(5):
        sides = ((4, sum(channels[:-1])), (2, sum(channels)), (4, sum(channels)), (4, sum(channels[-2:])))
        collector.add(place, WindowedCells(*(torch.rand(side, side, width, generator=random) for side, width in sides)))
    return collector.fit()


def test_cells_of_the_extractor_fit_and_those_of_another_one_do_not(local: MixtureModel) -> None:
    assert local.fits(EfficientNetLite0())
    assert not local.fits(AlexNet())


@pytest.mark.parametrize("name", ["fine", "coarse", "reduced", "windows", "number of windows"])
def test_a_part_of_another_width_is_told(name: str, local: MixtureModel) -> None:
    parts: dict[str, Any] = dict(local.levels, windows=local.windows)
    windows = local.windows
    assert windows is not None
    if name == "windows":
        parts[name] = replace(windows, means=windows.means[:, 1:], whitening=windows.whitening[:, 1:, 1:])
    elif name == "number of windows":
        parts["windows"] = replace(windows, means=windows.means[1:], whitening=windows.whitening[1:])
    else:
        space = parts[name].space
        parts[name] = replace(parts[name], space=replace(space, channels=space.channels + 1))
    extraction = FeatureExtraction(EfficientNetLite0(), size=64, scales=1, engine="torch")
    with pytest.raises(ModelFileError, match="are not those of its extractor"):
        Localizer(extraction, (), LocalizationSettings(), local=MixtureModel(**parts))
