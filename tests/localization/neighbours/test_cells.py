"""Cells: grids of the promised shapes for every extractor, pattern counted and contrast not, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from differnet.extractors import CATALOGUE, Extractor
from differnet.extractors.alexnet import AlexNet
from differnet.localization.neighbours.cells import CellGrids, CellProjection
from tests.conftest import plate

NEUTRAL = torch.tensor(AlexNet.mean).view(1, 3, 1, 1)


def extractor(name: str = "alexnet") -> Extractor:
    """One with random weights: shapes and invariances do not depend on what was learnt."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return CATALOGUE[name].network().freeze()


def without_biases(network: Extractor) -> Extractor:
    """Without biases ReLU and max-pooling let a scaling of the input through unchanged."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.bias is not None:
            layer.bias.zero_()
    return network


def pixels(seed: int = 0, size: int = 128, defect: str | None = None) -> Tensor:
    image = plate(np.random.default_rng(seed), defect, size=size)
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


def described(network: Extractor, images: Tensor, dimensions: int = 48) -> list[CellGrids]:
    return CellProjection(network, dimensions).describe(network.forward_stages(images), images.shape[-1])


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.parametrize("size", [64, 128, 176])
def test_grids_have_a_cell_for_every_position_and_every_third_window(name: str, size: int) -> None:
    network = extractor(name)
    [first, second] = described(network, torch.rand(2, 3, size, size))
    sides = [maps.shape[-1] for maps in network.forward_stages(torch.rand(1, 3, size, size))]
    side = min(sides, key=lambda of_stage: abs(of_stage - size / 16))
    assert abs(side - size / 16) <= 1
    coarse = first.coarse.shape[0]
    assert first.fine.shape == second.fine.shape == (side, side, 48)
    assert first.coarse.shape == second.coarse.shape == (coarse, coarse, 48)
    assert coarse in (side // 3, -(-side // 3))
    assert first.fine.dtype == first.coarse.dtype == torch.float32
    assert first.fine.isfinite().all()
    assert first.coarse.isfinite().all()


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_stages_are_the_declared_ones_and_end_in_what_is_scored(name: str) -> None:
    network = extractor(name)
    images = torch.rand(1, 3, 96, 96)
    maps = network.forward_stages(images)
    assert tuple(stage.shape[1] for stage in maps) == network.stage_channels
    sides = [stage.shape[-1] for stage in maps]
    assert sides == sorted(sides, reverse=True)
    *_, last = network.stages((images - network._mean) / network._std)
    assert torch.equal(last, network(images))


def test_images_of_a_batch_do_not_influence_each_other() -> None:
    network, one, other = extractor(), pixels(0), pixels(1)
    together = described(network, torch.cat([one, other]))
    for of_batch, alone in zip(together, (*described(network, one), *described(network, other)), strict=True):
        assert torch.allclose(of_batch.fine, alone.fine, atol=1e-5)
        assert torch.allclose(of_batch.coarse, alone.coarse, atol=1e-5)


def test_a_constant_scaling_of_the_contrast_does_not_change_the_cells_of_a_network_without_biases() -> None:
    network, image = without_biases(extractor()), pixels()
    [cells], [dull] = described(network, image), described(network, NEUTRAL + 0.5 * (image - NEUTRAL))
    assert torch.allclose(cells.fine, dull.fine, atol=1e-3)
    assert torch.allclose(cells.coarse, dull.coarse, atol=1e-3)


def test_a_constant_scaling_of_the_contrast_barely_changes_the_cells_of_a_real_network() -> None:
    network = extractor()
    image = pixels()
    dull = NEUTRAL + 0.8 * (image - NEUTRAL)
    [cells], [of_dull], [of_noise] = (described(network, of) for of in (image, dull, torch.rand(1, 3, 128, 128)))
    change = (cells.fine - of_dull.fine).norm() / cells.fine.norm()
    assert change < 0.1
    assert change < 0.3 * (cells.fine - of_noise.fine).norm() / cells.fine.norm()
    # The maps themselves change by about what the contrast does.
    for stage, of_stage in zip(network.forward_stages(image), network.forward_stages(dull), strict=True):
        assert (stage - of_stage).norm() / stage.norm() > change


def test_cells_change_where_the_image_does() -> None:
    network, image = extractor(), pixels()
    spoilt = image.clone()
    spoilt[:, :, 96:, 96:] = torch.rand(1, 3, 32, 32)
    distance = (described(network, image)[0].fine - described(network, spoilt)[0].fine).norm(dim=-1)
    row, column = divmod(int(distance.argmax()), distance.shape[1])
    assert min(row, column) >= distance.shape[0] // 2
    assert distance[0, 0] < 0.05 * distance.max()


def test_the_projection_is_the_same_in_every_model_and_needs_no_random_state() -> None:
    network, image = extractor(), pixels()
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    [first], [again] = described(network, image), described(network, image)
    assert torch.equal(first.fine, again.fine)
    assert torch.equal(first.coarse, again.coarse)
    assert torch.equal(torch.random.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # type: ignore[index]


def test_the_projection_keeps_distances() -> None:
    network = extractor()
    few, many = (described(network, pixels(), dimensions)[0].fine.flatten(0, 1) for dimensions in (256, 4096))
    ratio = torch.pdist(few) / torch.pdist(many)
    assert 0.95 < ratio.median() < 1.05
    assert ((ratio > 0.7) & (ratio < 1.3)).float().mean() > 0.99
