"""The compiled mixtures give torch's anomaly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from differnet.localization.mixture.cells import ScaledCells, StageCells, WindowedCells
from differnet.localization.mixture.good_cells import MixtureCollector
from differnet.localization.mixture.openvino_mixture import CompiledMixture

CHANNELS = (5, 7, 4)


def cells_of(images: int, side: int) -> list[StageCells]:
    generator = torch.Generator().manual_seed(side)
    return [
        StageCells(*(torch.randn(n, n, sum(CHANNELS), generator=generator).abs() + 0.2 for n in (side, side // 2)))
        for _ in range(images)
    ]


def scaled(cells: StageCells) -> ScaledCells:
    """With a third grid, the coarse one's upper left quarter."""
    side = max(len(cells.coarse) // 2, 1)
    return ScaledCells(cells.fine, cells.coarse, cells.coarse[:side, :side].contiguous())


def windowed(cells: StageCells) -> WindowedCells:
    """With windows too, the same cells."""
    return WindowedCells(cells.fine, cells.coarse, scaled(cells).reduced, cells.coarse)


@pytest.mark.parametrize("reduced", [None, scaled, windowed])
@pytest.mark.parametrize("side", [14, 9, 2])
def test_the_anomaly_is_that_of_torch(side: int, reduced: Callable[[StageCells], StageCells] | None) -> None:
    cells = [each if reduced is None else reduced(each) for each in cells_of(12, side)]
    collector = MixtureCollector(8, channels=CHANNELS, components=6, rank=3, strength=20.0, dimensions=10, seed=0)
    for place, of_image in enumerate(cells[:8]):
        collector.add(place, of_image)
    local = collector.fit()
    compiled = CompiledMixture(local, cells[0])
    for of_image in cells[8:]:
        found = compiled.anomaly(of_image)
        assert found.shape == ((local.planes, side, side) if reduced else (side, side))
        assert torch.allclose(found, local.anomaly(of_image), rtol=1e-3, atol=1e-3)


def test_an_image_unlike_the_good_ones_is_hot_where_it_differs() -> None:
    cells = cells_of(9, 14)
    collector = MixtureCollector(8, channels=CHANNELS, components=6, rank=3, strength=20.0, dimensions=10, seed=0)
    for place, of_image in enumerate(cells[:8]):
        collector.add(place, of_image)
    local, fine = collector.fit(), cells[8].fine.clone()
    before = local.anomaly(cells[8])
    fine[3, 5] *= torch.tensor([20.0] + [0.0] * (sum(CHANNELS) - 1))
    after = local.anomaly(StageCells(fine, cells[8].coarse))
    assert after.argmax() == 3 * 14 + 5
    unchanged = torch.ones(14, 14, dtype=torch.bool)
    unchanged[3, 5] = False
    assert torch.allclose(after[unchanged], before[unchanged], atol=1e-4)
