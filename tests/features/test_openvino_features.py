"""The compiled network gives torch's features and cells, and is used where that pays."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet.errors import SettingsError
from differnet.extractors import Extractor, build_extractor, find_weights
from differnet.features import Engine, FeatureExtraction, Sample
from differnet.features import network as features_module
from differnet.features.openvino_features import CompiledFeatures, compile_features
from differnet.features.pooling import pool_scales
from differnet.localization.neighbours.cells import CellGrids, CellProjection
from differnet.settings import ViewSettings
from differnet.views import View, fixed_views
from tests.conftest import plate

ENGINES: tuple[Engine, Engine] = ("openvino", "torch")
ROTATIONS = fixed_views(ViewSettings(kind="rotations", count=20, size=96))


@pytest.fixture(scope="module")
def network() -> Extractor:
    return build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))


def images_of(size: int, count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(size).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def extraction_by(engine: Engine, network: Extractor, size: int = 96) -> FeatureExtraction:
    return FeatureExtraction(network, size=size, scales=1, stages=(-3, -2), deviation=True, engine=engine)


# Grids of other sides: stages that are divided evenly, unevenly, and interpolated.
@pytest.mark.parametrize("size", [64, 97, 130, 224])
@pytest.mark.parametrize("deviation", [False, True])
@torch.no_grad()
def test_features_and_cells_are_those_of_torch_at_any_size(network: Extractor, size: int, deviation: bool) -> None:
    images, projection = images_of(size, 2), CellProjection(network, 32)
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    compiled = CompiledFeatures(network, size, (-1, -3), deviation=deviation, describer=projection)
    features, cells = compiled(images)
    expected = pool_scales(network, pixels, 1, stages=(-1, -3), deviation=deviation)
    assert features.shape == expected.shape
    assert torch.allclose(features, expected, rtol=1e-4, atol=1e-5)
    for ours, theirs in zip(cells, projection.describe(network.forward_stages(pixels), size), strict=True):
        for found, wanted in zip(ours.tensors().values(), theirs.tensors().values(), strict=True):
            assert found.shape == wanted.shape
            assert torch.allclose(found, wanted, rtol=1e-4, atol=1e-5)
    alone, none = CompiledFeatures(network, size, (-1, -3), deviation=deviation, describer=None)(images)
    assert torch.equal(alone, features)
    assert none == []


def test_features_and_cells_are_those_of_torch(network: Extractor) -> None:
    sources, projection = images_of(96, 3), CellProjection(network, 32)
    for views in ([View()], ROTATIONS):
        ours, theirs = (
            list(extraction_by(engine, network).stream(sources, views, cells=projection)) for engine in ENGINES
        )
        for a, b in zip(ours, theirs, strict=True):
            assert isinstance(a, Sample)
            assert isinstance(b, Sample)
            assert torch.allclose(a.features, b.features, rtol=1e-4, atol=1e-5)
            assert isinstance(a.cells, CellGrids)
            assert isinstance(b.cells, CellGrids)
            assert torch.allclose(a.cells.fine, b.cells.fine, rtol=1e-4, atol=1e-5)
            assert torch.allclose(a.cells.coarse, b.cells.coarse, rtol=1e-4, atol=1e-5)


def test_models_with_the_same_weights_share_a_network_while_one_of_them_is_there(network: Extractor) -> None:
    def compiled(stages: tuple[int, ...] = (-2,), size: int = 96, weights: str = "weights", k: int = 0) -> object:
        cells = CellProjection(network, k) if k else None
        return compile_features(network, size, stages, deviation=True, describer=cells, fingerprint=weights)

    first = compiled()
    assert compiled() is first
    others = [compiled((-3,)), compiled(size=64), compiled(weights="others"), compiled(weights=""), compiled(k=8)]
    assert all(other is not first for other in others)
    assert compiled(k=8) is others[-1]
    gone = weakref.ref(first)
    del first
    gc.collect()
    assert gone() is None


def count_passes_of_torch(extraction: FeatureExtraction, sources: list[NDArray[np.uint8]], views: list[View]) -> int:
    passes: list[object] = []
    handle = next(extraction.extractor.children()).register_forward_hook(lambda *_: passes.append(None))
    try:
        list(extraction.stream(sources, views))
    finally:
        handle.remove()
    return len(passes)


def test_a_single_view_is_compiled_too_so_that_its_digits_are_those_among_others(network: Extractor) -> None:
    extraction = extraction_by("auto", network)
    rng, before = np.random.default_rng(3), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert count_passes_of_torch(extraction, [plate(rng, size=96)], [View()]) == 0
        assert count_passes_of_torch(extraction, [plate(rng, size=96)], list(ROTATIONS)) == 0
        assert count_passes_of_torch(extraction, [plate(rng, size=96) for _ in range(3)], [View()]) == 0
        torch.set_num_threads(1)
        assert count_passes_of_torch(extraction, [plate(rng, size=96) for _ in range(3)], [View()]) == 0
        torch.set_num_threads(2)
        assert count_passes_of_torch(extraction_by("torch", network), [plate(rng, size=96)] * 3, [View()]) == 3
    finally:
        torch.set_num_threads(before)


def test_what_cannot_be_compiled_is_left_to_torch_or_refused(network: Extractor) -> None:
    alexnet = build_extractor("alexnet", find_weights("alexnet"))
    [result] = FeatureExtraction(alexnet, size=96, scales=1).stream(images_of(96, 1), ROTATIONS)
    assert isinstance(result, Sample)
    assert result.features.isfinite().all()
    for able, scales, dtype in ((False, 1, torch.float32), (True, 2, torch.float32), (True, 1, torch.bfloat16)):
        extractor = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0")) if able else alexnet
        with pytest.raises(SettingsError, match="differnet\\[fast\\]"):
            FeatureExtraction(extractor, size=96, scales=scales, dtype=dtype, engine="openvino")


def test_torch_takes_over_where_openvino_does_not_work(
    network: Extractor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> CompiledFeatures:
        raise RuntimeError("no such processor")

    monkeypatch.setattr(features_module, "compile_features", fail)
    extraction = extraction_by("auto", network)
    assert count_passes_of_torch(extraction, images_of(96, 1), list(ROTATIONS)) > 0
    assert "no such processor" in caplog.text
