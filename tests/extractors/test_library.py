"""Extractors that other libraries make: how their stages are found, and what is said where they are not installed."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from torch import Tensor, nn

from differnet import DifferNet
from differnet.errors import MissingExtraError, SettingsError
from differnet.extractors import CustomExtractor, check_settings, find_weights
from differnet.extractors.library import LIBRARIES
from differnet.extractors.stage_names import drop_unused, find_stage_names
from differnet.settings import preset


class Block(nn.Module):
    """Begins at the size of the stage before, as a bottleneck does."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels_in, channels, 1)
        self.shrink = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.shrink(self.widen(x).relu()).relu()


class Classifier(nn.Module):
    """Stem, stages in a Sequential, pooling to a fixed size, head, and a branch that is for training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 7, stride=4, padding=3)
        self.layers = nn.Sequential(
            nn.Sequential(Block(8, 12), nn.Conv2d(12, 12, 3, padding=1)), nn.Sequential(Block(12, 16)), Block(16, 20)
        )
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.auxiliary = nn.Linear(20, 5)
        self.head = nn.Linear(20 * 7 * 7, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.layers(self.stem(x))).flatten(1))


NAMES = ["stem", "layers.0.1", "layers.1.0", "layers.2"]


def test_the_stages_are_the_last_maps_of_each_size_and_pooling_is_none() -> None:
    assert find_stage_names(Classifier().eval()) == NAMES


def test_what_comes_behind_the_stages_is_dropped_and_they_stay_the_same() -> None:
    network = Classifier().eval()
    pixels = torch.rand(1, 3, 96, 96)
    expected = CustomExtractor(network, NAMES, name="whole").forward_stages(pixels, -1)
    drop_unused(network, NAMES)
    assert {name.split(".")[0] for name in network.state_dict()} == {"stem", "layers"}
    found = CustomExtractor(network, NAMES, name="cut").forward_stages(pixels, -1)
    assert all(torch.equal(*pair) for pair in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (nn.Sequential(nn.Flatten(), nn.LazyLinear(5)), "does not take images of 256 x 256"),
        (nn.Sequential(nn.AdaptiveAvgPool2d(1)), "gives no maps; choose a convolutional network"),
    ],
)
def test_networks_without_maps_are_refused(network: nn.Module, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        find_stage_names(network)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_that_is_not_installed_is_told_with_its_extra(library: str) -> None:
    if importlib.util.find_spec(library) is not None:
        pytest.skip(f"{library} is installed")
    settings = preset("default").with_overrides({"extractor.name": f"{library}/resnet18"})
    needs = rf"extractor {library}/resnet18 needs {library}; install with: .*pip install 'differnet\[{library}\]'"
    for ask in (lambda: DifferNet(settings), lambda: check_settings(settings), lambda: find_weights(f"{library}/a")):
        with pytest.raises(MissingExtraError, match=needs.replace("resnet18", "(resnet18|a)")):
            ask()


@pytest.mark.parametrize("name", ["timm/resnet18", "torchvision/resnet18", "torchvision/efficientnet_b0"])
def test_a_library_that_is_installed_makes_extractors(name: str) -> None:
    library, model = name.split("/")
    module = pytest.importorskip(library)
    extractor = LIBRARIES[library](module, model, False)
    maps = extractor.forward_stages(torch.rand(1, 3, 256, 256), -1)
    assert [of_stage.shape[2] for of_stage in maps] == [64, 32, 16, 8]


def test_a_library_that_is_not_known_is_refused_and_the_choices_are_named() -> None:
    with pytest.raises(SettingsError, match=r"'keras/resnet50'.*alexnet.*torchvision/MODEL, timm/MODEL"):
        find_weights("keras/resnet50")
