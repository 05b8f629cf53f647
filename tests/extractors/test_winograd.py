"""Minimal filtering gives what the convolution gives, but for rounding, whatever the sizes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from differnet.extractors.alexnet import AlexNet
from differnet.extractors.winograd import WinogradConv2d, quickened


def conv(kernel: int, padding: int, channels_in: int = 6, channels: int = 5) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(channels_in, channels, kernel, padding=padding).requires_grad_(False)


def error(layer: nn.Conv2d, maps: Tensor) -> float:
    """Of the largest result."""
    exact = functional.conv2d(maps.double(), layer.weight.double(), layer.bias.double(), padding=layer.padding)  # type: ignore[union-attr]
    found = WinogradConv2d(layer)(maps)
    assert found.shape == exact.shape
    return ((found - exact).abs().max() / exact.abs().max()).item()


@pytest.mark.parametrize("size", [(1, 1), (3, 8), (6, 6), (13, 13), (27, 20), (55, 31)])
@pytest.mark.parametrize(("kernel", "padding"), [(3, 1), (5, 2), (3, 0), (5, 1)])
@torch.no_grad()
def test_it_is_the_convolution_but_for_rounding(kernel: int, padding: int, size: tuple[int, int]) -> None:
    if min(size) + 2 * padding < kernel:
        pytest.skip("smaller than the kernel")
    maps = torch.randn(3, 6, *size, generator=torch.Generator().manual_seed(1))
    assert error(conv(kernel, padding), maps) < 2e-5
    assert error(conv(kernel, padding), maps.contiguous(memory_format=torch.channels_last)) < 2e-5


@torch.no_grad()
def test_without_a_bias_nothing_is_added() -> None:
    layer = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    maps = torch.randn(1, 4, 9, 9, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(WinogradConv2d(layer)(maps), layer(maps), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_maps_are_divided_as_they_fit() -> None:
    # 64 channels: 32 tiles at a time, so a few rows of one image, or several images.
    for side, images in ((27, 2), (6, 20)):
        maps = torch.randn(images, 64, side, side, generator=torch.Generator().manual_seed(1))
        assert error(conv(3, 1, 64, 64), maps) < 2e-5


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(64, 64, 3, stride=2),
        nn.Conv2d(64, 64, 3, dilation=2),
        nn.Conv2d(64, 64, 3, groups=2),
        nn.Conv2d(64, 64, 3, padding_mode="reflect", padding=1),
        nn.Conv2d(64, 64, 3, padding="same"),
        nn.Conv2d(64, 64, 7),
        nn.Conv2d(64, 64, (3, 5)),
        nn.Conv2d(3, 64, 3),
        nn.ReLU(),
    ],
)
def test_what_it_cannot_do_stays(layer: nn.Module) -> None:
    assert not WinogradConv2d.suits(layer)


@torch.no_grad()
def test_a_quickened_network_gives_the_same_maps_and_leaves_the_other_alone() -> None:
    torch.manual_seed(0)
    network = AlexNet().freeze()
    before = copy.deepcopy(network.state_dict())
    other = quickened(network)
    assert sum(isinstance(layer, WinogradConv2d) for layer in other.modules()) == 4
    assert not any(isinstance(layer, WinogradConv2d) for layer in network.modules())
    images = torch.rand(2, 3, 128, 96, generator=torch.Generator().manual_seed(1))
    for a, b in zip(network.forward_stages(images, -1), other.forward_stages(images, -1), strict=True):
        assert ((a - b).norm() / a.norm()).item() < 1e-5
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
