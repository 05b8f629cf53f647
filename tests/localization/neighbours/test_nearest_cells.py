"""Cells and the nearest-neighbour model of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from differnet.extractors.alexnet import AlexNet
from differnet.extractors.base import Extractor
from differnet.extractors.efficientnet_lite import EfficientNetLite0
from differnet.extractors.resnet import ResNet18
from differnet.extractors.vgg import VGG16
from differnet.localization.neighbours.cells import CellGrids, CellProjection
from differnet.localization.neighbours.nearest_cells import NearestCells, NearestCellsCollector


def collected(images: int = 8, seed: int = 0) -> tuple[NearestCells, list[CellGrids]]:
    generator = torch.Generator().manual_seed(seed)
    grids = [
        CellGrids(torch.randn(9, 9, 16, generator=generator), torch.randn(3, 3, 16, generator=generator))
        for _ in range(images)
    ]
    collector = NearestCellsCollector(images, 60, seed=0)
    for place, grid in enumerate(grids):
        collector.add(place, grid)
    return collector.fit(), grids


@pytest.mark.parametrize("network", [AlexNet, VGG16, ResNet18, EfficientNetLite0])
def test_every_extractor_describes_cells(network: type[Extractor]) -> None:
    extractor = network().freeze()
    stages = extractor.forward_stages(torch.rand(2, 3, 128, 128))
    grids = CellProjection(extractor, 32).describe(stages, 128)
    sides = [maps.shape[-1] for maps in stages]
    side = min(sides, key=lambda of_stage: abs(of_stage - 8))
    assert len(grids) == 2
    assert grids[0].fine.shape == (side, side, 32)
    assert grids[0].coarse.shape[2] == 32
    assert 1 <= grids[0].coarse.shape[0] < side


def test_nearest_distance_agrees_with_brute_force() -> None:
    fine = collected()[0].fine
    queries = collected(seed=1)[1][0].fine.flatten(0, 1)
    expected = (torch.cdist(queries, fine.cells.float()).min(1).values - fine.mean) / fine.deviation
    torch.testing.assert_close(fine.standardised_distance(queries), expected, rtol=1e-4, atol=1e-3)


def test_other_good_images_are_about_as_far_as_usual() -> None:
    fine = collected()[0].fine
    others = torch.cat([fine.standardised_distance(grid.fine.flatten(0, 1)) for grid in collected(seed=1)[1]])
    assert abs(others.mean().item()) < 0.2
    assert 0.8 < others.std().item() < 1.2


def test_a_strange_cell_is_the_most_anomalous_and_wide_windows_add_at_most_two_deviations() -> None:
    model, grids = collected()
    strange = CellGrids(grids[0].fine.clone(), torch.full((3, 3, 16), 100.0))
    strange.fine[4, 6] = 9.0
    anomaly = model.anomaly(strange)
    assert int(anomaly.argmax()) == 4 * 9 + 6
    fine = model.fine.standardised_distance(strange.fine.flatten(0, 1)).view(9, 9)
    torch.testing.assert_close(anomaly - fine, torch.full((9, 9), 2.0))


def test_a_model_is_the_same_for_the_same_cells_and_survives_storage_to_the_last_bit() -> None:
    model, grids = collected()
    again = collected()[0]
    stored = NearestCells.from_state(model.state(), 16)
    for other in (again, stored):
        assert torch.equal(other.anomaly(grids[1]), model.anomaly(grids[1]))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("fine.cells", torch.zeros(60, 16)),
        ("coarse.cells", torch.zeros(60, 15, dtype=torch.float16)),
        ("fine.usual", torch.tensor([1.0, 0.0], dtype=torch.float64)),
        ("coarse.usual", torch.tensor([float("nan"), 1.0], dtype=torch.float64)),
        ("fine.usual", None),
    ],
)
def test_a_damaged_state_is_refused_by_the_name_of_the_tensor(name: str, value: torch.Tensor | None) -> None:
    state = collected()[0].state()
    if value is None:
        del state[name]
    else:
        state[name] = value
    with pytest.raises((KeyError, ValueError), match=name):
        NearestCells.from_state(state, 16)


def test_many_images_do_not_make_the_collection_grow() -> None:
    sizes = []
    for images in (20, 200):
        collector = NearestCellsCollector(images, 60, seed=0)
        for place in range(images):
            collector.add(place, CellGrids(torch.rand(9, 9, 16), torch.rand(3, 3, 16)))
        sizes.append(sum(len(cells) for cells in collector._fine))
    assert sizes[1] <= 1.7 * sizes[0]
    assert np.isfinite(collector.fit().fine.mean)
