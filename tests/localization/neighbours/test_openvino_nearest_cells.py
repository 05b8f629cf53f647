"""The compiled local model gives torch's anomaly, and takes over after some images."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from differnet.extractors import build_extractor, find_weights
from differnet.features import Engine, FeatureExtraction
from differnet.localization.localizer import Localizer
from differnet.localization.neighbours import openvino_nearest_cells
from differnet.localization.neighbours.cells import CellGrids
from differnet.localization.neighbours.nearest_cells import NearestCells, NearestCellsCollector
from differnet.localization.neighbours.openvino_nearest_cells import CompiledNearestCells
from differnet.settings import LocalizationSettings
from differnet.views import View


def grids_of(images: int, side: int, small: int) -> list[CellGrids]:
    generator = torch.Generator().manual_seed(side)
    return [
        # Far from the origin and close together, as cells are: the differences are what is left of large numbers.
        CellGrids(*(torch.randn(n, n, 16, generator=generator) * 0.2 + 2.0 for n in (side, small)))
        for _ in range(images)
    ]


def local_of(grids: list[CellGrids]) -> NearestCells:
    collector = NearestCellsCollector(len(grids), 60, seed=0)
    for place, grid in enumerate(grids):
        collector.add(place, grid)
    return collector.fit()


@pytest.mark.parametrize(("side", "small"), [(20, 6), (9, 3), (4, 1)])
def test_the_anomaly_is_that_of_torch(side: int, small: int) -> None:
    grids = grids_of(12, side, small)
    local, others = local_of(grids[:8]), grids[8:]
    compiled = CompiledNearestCells(local, grids[0])
    for grid in others:
        found = compiled.anomaly(grid)
        assert found.shape == (side, side)
        assert torch.allclose(found, local.anomaly(grid), rtol=1e-3, atol=1e-3)


def localizer_by(engine: Engine, local: NearestCells) -> Localizer:
    network = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))
    extraction = FeatureExtraction(network, size=96, scales=1, engine=engine)
    return Localizer(extraction, (View(),), LocalizationSettings(dimensions=16), local=local)


def test_a_localizer_compiles_after_some_images_and_only_where_that_is_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grids = grids_of(8, 6, 2)
    local, grids = local_of(grids[:4]), grids[4:]
    asked: list[CellGrids] = []
    by_torch = NearestCells.anomaly

    def count(self: NearestCells, cells: CellGrids) -> torch.Tensor:
        asked.append(cells)
        return by_torch(self, cells)

    monkeypatch.setattr(NearestCells, "anomaly", count)
    found = {}
    for engine, expected in (("openvino", 15), ("torch", 40)):
        localizer = localizer_by(engine, local)  # type: ignore[arg-type]
        asked.clear()
        found[engine] = [localizer.anomaly(grids[i % 4]) for i in range(40)]
        assert len(asked) == expected
    for ours, theirs in zip(*found.values(), strict=True):
        assert np.abs(ours.numpy() - theirs.numpy()).max() < 1e-3


def test_torch_goes_on_where_openvino_does_not_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> CompiledNearestCells:
        raise RuntimeError("no such processor")

    monkeypatch.setattr(openvino_nearest_cells, "CompiledNearestCells", fail)
    grids = grids_of(3, 6, 2)
    local = local_of(grids)
    localizer = localizer_by("openvino", local)
    with caplog.at_level(logging.WARNING):
        found = [localizer.anomaly(grids[0]) for _ in range(40)]
    assert torch.equal(found[-1], local.anomaly(grids[0]))
    assert caplog.text.count("no such processor") == 1
