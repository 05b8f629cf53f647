"""The network as an OpenVINO graph gives torch's maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet.compute.openvino_graph import CompiledGraph
from differnet.compute.openvino_runtime import import_openvino
from differnet.extractors import Extractor, build_extractor, find_weights
from differnet.extractors.openvino_stages import build_stages, can_compile

ALL_STAGES = (-6, -5, -4, -3, -2, -1)


@pytest.fixture(scope="module")
def network() -> Extractor:
    return build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))


def images_of(size: int, count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(size).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def maps_of(network: Extractor, images: list[NDArray[np.uint8]], stages: tuple[int, ...]) -> list[NDArray[np.float32]]:
    openvino = import_openvino()
    image, maps = build_stages(network, len(images[0]), stages)
    graph = CompiledGraph(openvino.Model([openvino.opset13.result(of_stage) for of_stage in maps], [image]))
    return graph([[each] for each in images])


# Odd sizes are padded on one side more than on the other, at different layers.
@pytest.mark.parametrize("size", [64, 97, 130, 224])
@torch.no_grad()
def test_the_maps_are_those_of_torch(network: Extractor, size: int) -> None:
    images = images_of(size, 3)
    expected = network.forward_stages(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255, -1)
    found = maps_of(network, images, ALL_STAGES)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs.numpy()).max() < 1e-5 * theirs.abs().max()


def test_only_wanted_stages_come_in_the_order_that_they_were_asked_for(network: Extractor) -> None:
    images = images_of(96, 2)
    all_maps = maps_of(network, images, ALL_STAGES)
    coarse, fine = maps_of(network, images, (-2, -5))
    assert np.array_equal(coarse, all_maps[4])
    assert np.array_equal(fine, all_maps[1])


def test_other_networks_are_left_alone(network: Extractor) -> None:
    assert can_compile(network)
    assert not can_compile(build_extractor("alexnet", find_weights("alexnet")))
