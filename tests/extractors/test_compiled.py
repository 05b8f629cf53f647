"""The compiled network gives torch's maps, from any number of threads, and never reports to anyone."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet import features as features_module
from differnet.cells import CellProjection
from differnet.errors import SettingsError
from differnet.extractors import Extractor, build_extractor, find_weights
from differnet.extractors.compiled import CompiledStages, can_compile, compile_stages
from differnet.features import Engine, FeatureExtraction, ImageFeatures
from differnet.settings import ViewSettings
from differnet.views import View, fixed_views
from tests.conftest import plate

ALL_STAGES = (-6, -5, -4, -3, -2, -1)
ENGINES: tuple[Engine, Engine] = ("openvino", "torch")
ROTATIONS = fixed_views(ViewSettings(kind="rotations", count=20, size=96))


@pytest.fixture(scope="module")
def network() -> Extractor:
    return build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))


def images_of(size: int, count: int) -> list[NDArray[np.uint8]]:
    return list(np.random.default_rng(size).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def extraction_by(engine: Engine, network: Extractor, size: int = 96) -> FeatureExtraction:
    return FeatureExtraction(network, size=size, scales=1, stages=(-3, -2), deviation=True, engine=engine)


@torch.no_grad()
def maps_of_torch(network: Extractor, images: list[NDArray[np.uint8]]) -> list[torch.Tensor]:
    return network.forward_stages(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255, -1)


# Odd sizes are padded on one side more than on the other, at different layers.
@pytest.mark.parametrize("size", [64, 97, 130, 224])
def test_the_maps_are_those_of_torch(network: Extractor, size: int) -> None:
    images = images_of(size, 3)
    expected = maps_of_torch(network, images)
    found = CompiledStages(network, size, ALL_STAGES)(images)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert ours.is_contiguous(memory_format=torch.channels_last)
        assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_only_wanted_stages_come_in_the_order_that_they_were_asked_for(network: Extractor) -> None:
    images = images_of(96, 2)
    all_maps = CompiledStages(network, 96, ALL_STAGES)(images)
    coarse, fine = CompiledStages(network, 96, (-2, -5))(images)
    assert torch.equal(coarse, all_maps[4])
    assert torch.equal(fine, all_maps[1])


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_more_images_than_cores_keep_their_order(network: Extractor, threads: int) -> None:
    images, before = images_of(96, 7), torch.get_num_threads()
    compiled = CompiledStages(network, 96, (-2,))
    alone = torch.cat([compiled([image])[0] for image in images])
    torch.set_num_threads(threads)
    try:
        [together] = compiled(images)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(together, alone)


def test_threads_do_not_get_the_results_of_one_another(network: Extractor) -> None:
    images, compiled = images_of(96, 24), CompiledStages(network, 96, (-2,))
    expected = [compiled([image])[0] for image in images]
    everyone = threading.Barrier(4)

    def compute(first: int) -> list[torch.Tensor]:
        everyone.wait(timeout=30)
        return [compiled([image])[0] for image in images[first::4]]

    with ThreadPoolExecutor(4) as pool:
        for first, found in enumerate(pool.map(compute, range(4))):
            assert all(torch.equal(*pair) for pair in zip(found, expected[first::4], strict=True))


def test_features_and_cells_are_those_of_torch(network: Extractor) -> None:
    sources, projection = images_of(96, 3), CellProjection(network, 32)
    for views in ([View()], ROTATIONS):
        ours, theirs = (
            list(extraction_by(engine, network).stream(sources, views, cells=projection)) for engine in ENGINES
        )
        for a, b in zip(ours, theirs, strict=True):
            assert isinstance(a, ImageFeatures)
            assert isinstance(b, ImageFeatures)
            assert torch.allclose(a.features, b.features, rtol=1e-4, atol=1e-5)
            assert a.cells is not None
            assert b.cells is not None
            assert torch.allclose(a.cells.fine, b.cells.fine, rtol=1e-4, atol=1e-5)
            assert torch.allclose(a.cells.coarse, b.cells.coarse, rtol=1e-4, atol=1e-5)


def test_models_with_the_same_weights_share_a_network_while_one_of_them_is_there(network: Extractor) -> None:
    first = compile_stages(network, 96, (-2,), "weights")
    assert compile_stages(network, 96, (-2,), "weights") is first
    others = [((-2,), 96, "others"), ((-3,), 96, "weights"), ((-2,), 64, "weights"), ((-2,), 96, "")]
    assert all(compile_stages(network, size, stages, weights) is not first for stages, size, weights in others)
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


def test_compiling_is_for_more_than_a_view_or_two(network: Extractor) -> None:
    extraction = extraction_by("auto", network)
    rng, before = np.random.default_rng(3), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert count_passes_of_torch(extraction, [plate(rng, size=96)], [View()]) == 1
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
    assert can_compile(network)
    assert not can_compile(alexnet)
    [result] = FeatureExtraction(alexnet, size=96, scales=1).stream(images_of(96, 1), ROTATIONS)
    assert isinstance(result, ImageFeatures)
    assert result.features.isfinite().all()
    for able, scales, dtype in ((False, 1, torch.float32), (True, 2, torch.float32), (True, 1, torch.bfloat16)):
        extractor = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0")) if able else alexnet
        with pytest.raises(SettingsError, match="differnet\\[fast\\]"):
            FeatureExtraction(extractor, size=96, scales=scales, dtype=dtype, engine="openvino")


def test_torch_takes_over_where_openvino_does_not_work(
    network: Extractor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> CompiledStages:
        raise RuntimeError("no such processor")

    monkeypatch.setattr(features_module, "compile_stages", fail)
    extraction = extraction_by("auto", network)
    assert count_passes_of_torch(extraction, images_of(96, 1), list(ROTATIONS)) > 0
    assert "no such processor" in caplog.text


def test_openvino_is_imported_late_and_without_its_usage_statistics() -> None:
    program = (
        "import sys\n"
        "import differnet.extractors.compiled\n"
        "assert 'openvino' not in sys.modules\n"
        "from differnet.openvino_runtime import import_openvino\n"
        "assert import_openvino().Core().available_devices\n"
        "print([name for name in sys.modules if 'telemetry' in name and not name.startswith('openvino.')])\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "openvino.tools.ovc.telemetry_stub"]
