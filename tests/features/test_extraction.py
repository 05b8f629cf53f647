"""Feature extraction: the same numbers however images come in, in order, past damaged ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet.extractors import build_extractor, find_weights
from differnet.features import FeatureExtraction, Sample
from differnet.features.pooling import pool_scales
from differnet.images import read_image
from differnet.images.failure import Failure
from differnet.localization.mixture.cells import StageCells, StageDescriber
from differnet.localization.neighbours.cells import CellGrids, CellProjection
from differnet.views import View, resize
from tests.conftest import plate

VIEWS = (View(), View(degrees=90.0), View(degrees=30.0, mirrored=True))


@pytest.fixture(scope="module")
def extraction() -> FeatureExtraction:
    return FeatureExtraction(build_extractor("alexnet", find_weights("alexnet")), size=128, scales=2)


@pytest.fixture(scope="module")
def images() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [plate(rng, size=size) for size in (96, 128, 60, 200, 96)]


def features_of(results: list[Sample | Failure]) -> torch.Tensor:
    return torch.stack([result.features for result in results if isinstance(result, Sample)])


def test_features_are_the_pooled_maps_of_every_view(
    extraction: FeatureExtraction, images: list[NDArray[np.uint8]]
) -> None:
    [result] = extraction.stream([images[0]], [View()])
    assert isinstance(result, Sample)
    pixels = torch.from_numpy(resize(images[0], 128).copy()).permute(2, 0, 1).unsqueeze(0) / 255
    network = extraction.extractor
    expected = torch.cat([network(pixels).mean((2, 3)), network(pixels[:, :, ::2, ::2]).mean((2, 3))], 1)
    assert result.features.shape == (1, 512)
    assert torch.allclose(result.features, expected, rtol=1e-4, atol=1e-5)


def test_files_and_arrays_give_the_same_features_in_order(
    extraction: FeatureExtraction, images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    from PIL import Image

    files = []
    for i, image in enumerate(images):
        files.append(tmp_path / f"{i}.png")
        Image.fromarray(image).save(files[-1])
    from_files, from_arrays = (list(extraction.stream(sources, VIEWS)) for sources in (files, images))
    assert torch.equal(features_of(from_files), features_of(from_arrays))
    assert [result.source for result in from_files] == [str(file) for file in files]
    assert [result.source for result in from_arrays] == [f"array[{i}]" for i in range(5)]
    sizes = [(result.width, result.height) for result in from_files if isinstance(result, Sample)]
    assert sizes == [(image.shape[1], image.shape[0]) for image in images]


def test_features_do_not_depend_on_the_neighbours(
    extraction: FeatureExtraction, images: list[NDArray[np.uint8]]
) -> None:
    together = features_of(list(extraction.stream(images, VIEWS)))
    alone = torch.cat([features_of(list(extraction.stream([image], VIEWS))) for image in images])
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5)


def test_views_may_depend_on_the_image(extraction: FeatureExtraction, images: list[NDArray[np.uint8]]) -> None:
    turned = features_of(list(extraction.stream(images[:3], lambda index: [View(degrees=90.0 * index)])))
    by_hand = [np.ascontiguousarray(np.rot90(resize(image, 128), i)) for i, image in enumerate(images[:3])]
    expected = features_of(list(extraction.stream(by_hand, [View()])))
    assert torch.allclose(turned, expected, rtol=1e-4, atol=1e-5)


def test_a_damaged_image_is_reported_in_its_place_and_the_rest_goes_on(
    extraction: FeatureExtraction, images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("not an image")
    results = list(extraction.stream([images[0], broken, images[1]], VIEWS))
    assert [type(result) for result in results] == [Sample, Failure, Sample]
    assert results[1].source == str(broken)
    bank = extraction.bank([images[0], broken, images[1]], VIEWS)
    assert bank.features.shape == (2, 3, 512)
    assert [failure.source for failure in bank.failures] == [str(broken)]


def test_an_endless_input_is_consumed_only_as_needed(
    extraction: FeatureExtraction, images: list[NDArray[np.uint8]]
) -> None:
    taken = 0

    def endless() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken
        while True:
            taken += 1
            yield images[0]

    stream = extraction.stream(endless(), VIEWS)
    for _ in range(5):
        next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert taken < 30


def test_the_batched_device_path_gives_the_same_features(
    extraction: FeatureExtraction, images: list[NDArray[np.uint8]]
) -> None:
    """What a GPU runs: resized images and views go to the device and are turned there, here on the CPU."""
    views = [View(), View(degrees=90.0), View(degrees=180.0, mirrored=True)]
    resized = [resize(image, 128) for image in images[:2]]
    on_device = extraction.network.extract_on_device(resized, [views] * 2)
    assert torch.allclose(on_device, extraction.network.extract(resized, [views] * 2), rtol=1e-3, atol=1e-4)


def test_pixel_gradients_flow_through_the_frozen_network(extraction: FeatureExtraction, official_image: Path) -> None:
    pixels = torch.from_numpy(resize(read_image(official_image), 128).copy()).permute(2, 0, 1).unsqueeze(0) / 255
    pixels.requires_grad_(True)
    pool_scales(extraction.extractor, pixels, 2).square().sum().backward()
    assert pixels.grad is not None
    assert pixels.grad.abs().max() > 0
    assert all(parameter.grad is None for parameter in extraction.extractor.parameters())


def test_bfloat16_features_agree_with_float32(images: list[NDArray[np.uint8]]) -> None:
    weights = find_weights("alexnet")
    exact, fast = (
        FeatureExtraction(build_extractor("alexnet", weights), size=128, scales=2, dtype=dtype)
        for dtype in (torch.float32, torch.bfloat16)
    )
    a, b = (features_of(list(extraction.stream(images[:2], [View()]))) for extraction in (exact, fast))
    assert b.dtype == torch.float32
    assert ((a - b).norm(dim=2) / a.norm(dim=2)).max() < 0.01


def test_cells_come_with_the_features_in_one_pass_and_are_the_same() -> None:
    network = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))
    extraction = FeatureExtraction(network, size=128, scales=1, stages=(-3, -2), deviation=True, engine="torch")
    projection = CellProjection(network, 32)
    rng = np.random.default_rng(1)
    sources = [plate(rng, size=size) for size in (96, 128, 200)]
    passes: list[object] = []
    handle = next(network.children()).register_forward_hook(lambda *_: passes.append(None))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        [together] = extraction.stream_groups(sources, [View()], cells=projection, side_by_side=False)
        assert len(passes) == len(sources), "an image passes the network by itself, so that others change nothing"
        [beside] = extraction.stream_groups(sources, [View()], cells=projection)
        assert len(passes) == 2 * len(sources)
    finally:
        torch.set_num_threads(threads)
        handle.remove()
    assert [result.source for result in beside] == [result.source for result in together]
    for result, alone in zip(together, extraction.stream(sources, [View()]), strict=True):
        assert isinstance(result, Sample)
        assert isinstance(alone, Sample)
        assert torch.allclose(result.features, alone.features, rtol=1e-4, atol=1e-5)
        expected = extraction.describe(result.pixels, projection)
        assert isinstance(result.cells, CellGrids)
        assert torch.allclose(result.cells.fine, expected.fine, rtol=1e-4, atol=1e-5)
        assert torch.allclose(result.cells.coarse, expected.coarse, rtol=1e-4, atol=1e-5)


def test_cells_of_turned_images_are_those_of_the_image_as_it_is(extraction: FeatureExtraction) -> None:
    image, projection = plate(np.random.default_rng(2), size=128), CellProjection(extraction.extractor, 32)
    [turned] = extraction.stream([image], VIEWS, cells=projection)
    assert isinstance(turned, Sample)
    assert isinstance(turned.cells, CellGrids)
    expected = extraction.describe(turned.pixels, projection)
    assert torch.allclose(turned.cells.fine, expected.fine, rtol=1e-4, atol=1e-5)


def test_a_large_bank_is_kept_on_disk_with_the_same_features(images: list[NDArray[np.uint8]]) -> None:
    network = build_extractor("alexnet", find_weights("alexnet"))
    small, large = (FeatureExtraction(network, size=64, scales=1, most_bytes=most) for most in (10**9, 1))
    sources = [*images[:2], np.zeros((4, 4), np.uint8), images[2]]
    in_memory, on_disk = small.bank(sources, VIEWS), large.bank(sources, VIEWS)
    assert torch.equal(in_memory.features, on_disk.features)
    assert on_disk.features.shape == (3, 3, 256)
    assert len(on_disk.failures) == 1


def test_side_by_side_images_get_the_same_features(
    extraction: FeatureExtraction, images: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("not an image")
    sources: list[NDArray[np.uint8] | Path] = [*images, broken, *images]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        beside = [image for group in extraction.stream_groups(sources, VIEWS) for image in group]
        threads = torch.get_num_threads()
        in_turn = [image for group in extraction.stream_groups(sources, VIEWS, side_by_side=False) for image in group]
    finally:
        torch.set_num_threads(before)
    assert threads == 2
    assert [type(result) for result in beside] == [type(result) for result in in_turn]
    assert [result.source for result in beside] == [result.source for result in in_turn]
    assert torch.allclose(features_of(beside), features_of(in_turn), rtol=1e-4, atol=1e-5)


def test_views_of_a_smaller_size_are_made_of_the_reduced_image_and_cells_of_the_whole(
    images: list[NDArray[np.uint8]],
) -> None:
    network = build_extractor("efficientnet-lite0", find_weights("efficientnet-lite0"))
    whole, reduced, both = (
        FeatureExtraction(network, size=size, view_size=view, scales=1, stages=(-3,))
        for size, view in ((128, None), (96, None), (128, 96))
    )
    describer = StageDescriber(4)
    for image in images:
        [sample] = both.stream([image], VIEWS, cells=describer)
        [cells] = whole.stream([image], VIEWS, cells=describer)
        [features] = reduced.stream([resize(image, 128)], VIEWS)
        assert isinstance(sample, Sample)
        assert isinstance(cells, Sample)
        assert isinstance(features, Sample)
        assert isinstance(sample.cells, StageCells)
        assert isinstance(cells.cells, StageCells)
        assert torch.allclose(sample.features, features.features, rtol=1e-3, atol=1e-4)
        assert torch.allclose(sample.cells.fine, cells.cells.fine, rtol=1e-3, atol=1e-3)


def test_views_are_never_larger_than_the_image(extraction: FeatureExtraction) -> None:
    small = FeatureExtraction(extraction.extractor, size=96, view_size=256, scales=1)
    assert small.network.view_size == 96
    pixels = np.zeros((96, 96, 3), np.uint8)
    assert small.network.reduce(pixels) is pixels
