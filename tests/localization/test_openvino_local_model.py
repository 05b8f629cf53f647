"""The compiled local model gives torch's anomaly, and takes over after some images."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from differnet.extractors import build_extractor, find_weights
from differnet.features import Engine, FeatureExtraction
from differnet.features.cells import CellGrids
from differnet.localization import localizer as localizer_module
from differnet.localization.local_model import CellCollector, LocalModel
from differnet.localization.localizer import Localizer
from differnet.localization.openvino_local_model import CompiledLocalModel
from differnet.views import View


def grids_of(images: int, side: int, small: int) -> list[CellGrids]:
    generator = torch.Generator().manual_seed(side)
    return [
        # Far from the origin and close together, as cells are: the differences are what is left of large numbers.
        CellGrids(*(torch.randn(n, n, 16, generator=generator) * 0.2 + 2.0 for n in (side, small)))
        for _ in range(images)
    ]


def local_of(grids: list[CellGrids]) -> LocalModel:
    collector = CellCollector(len(grids), 60, seed=0)
    for place, grid in enumerate(grids):
        collector.add(place, grid)
    return collector.fit()


@pytest.mark.parametrize(("side", "small"), [(20, 6), (9, 3), (4, 1)])
def test_the_anomaly_is_that_of_torch(side: int, small: int) -> None:
    grids = grids_of(12, side, small)
    local, others = local_of(grids[:8]), grids[8:]
    compiled = CompiledLocalModel(local, grids[0])
    for grid in others:
        found = compiled.anomaly(grid)
        assert found.shape == (side, side)
        assert torch.allclose(found, local.anomaly(grid), rtol=1e-3, atol=1e-3)


def localizer_by(engine: Engine, local: LocalModel) -> Localizer:
    network = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))
    extraction = FeatureExtraction(network, size=96, scales=1, engine=engine)
    return Localizer(extraction, (View(),), 16, local=local)


def test_a_localizer_compiles_after_some_images_and_only_where_that_is_the_engine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    grids = grids_of(8, 6, 2)
    local, grids = local_of(grids[:4]), grids[4:]
    asked: list[int | None] = []
    by_torch = LocalModel.anomaly

    def count(self: LocalModel, cells: CellGrids, without_image: int | None = None) -> torch.Tensor:
        asked.append(without_image)
        return by_torch(self, cells, without_image)

    monkeypatch.setattr(LocalModel, "anomaly", count)
    found = {}
    for engine, expected in (("openvino", 15), ("torch", 40)):
        localizer = localizer_by(engine, local)  # type: ignore[arg-type]
        asked.clear()
        found[engine] = [localizer.anomaly(grids[i % 4]) for i in range(40)]
        assert len(asked) == expected
        localizer.anomaly(grids[0], without_image=0)
        assert asked[-1] == 0
    for ours, theirs in zip(*found.values(), strict=True):
        assert np.abs(ours.numpy() - theirs.numpy()).max() < 1e-3


def test_torch_goes_on_where_openvino_does_not_work(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> CompiledLocalModel:
        raise RuntimeError("no such processor")

    monkeypatch.setattr(localizer_module, "CompiledLocalModel", fail)
    grids = grids_of(3, 6, 2)
    local = local_of(grids)
    localizer = localizer_by("openvino", local)
    with caplog.at_level(logging.WARNING):
        found = [localizer.anomaly(grids[0]) for _ in range(40)]
    assert torch.equal(found[-1], local.anomaly(grids[0]))
    assert caplog.text.count("no such processor") == 1
