"""The feature cache: the same features without the network, never those of something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from differnet import DifferNet, Settings
from differnet.errors import OutputError
from differnet.extractors import build_extractor, find_weights
from differnet.features import FeatureExtraction, Sample
from differnet.features.cache import CachedImage, FeatureCache
from differnet.localization.neighbours.cells import CellGrids, CellProjection
from differnet.views import View
from tests.conftest import plate


def extraction(cache: Path | None, size: int = 64) -> FeatureExtraction:
    network = build_extractor("alexnet", find_weights("alexnet"))
    kept = None if cache is None else FeatureCache(cache)
    return FeatureExtraction(network, size=size, scales=1, cache=kept, fingerprint="of the weights")


def passes(of: FeatureExtraction, images: list[np.ndarray], **options: object) -> tuple[int, list[Sample]]:
    """How many images went through the network, and the results."""
    count = 0

    def hook(_module: object, arguments: tuple[torch.Tensor, ...], _result: object) -> None:
        nonlocal count
        count += len(arguments[0])

    convolution = next(layer for layer in of.extractor.modules() if isinstance(layer, torch.nn.Conv2d))
    handle = convolution.register_forward_hook(hook)
    views = options.pop("views", [View()])
    results = [result for result in of.stream(images, views, **options) if isinstance(result, Sample)]  # type: ignore[arg-type]
    handle.remove()
    return count, results


@pytest.fixture
def images() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [plate(rng) for _ in range(3)]


def test_what_was_seen_before_does_not_pass_the_network_again(images: list[np.ndarray], tmp_path: Path) -> None:
    first_count, first = passes(extraction(tmp_path), images[:2])
    again_count, again = passes(extraction(tmp_path), [images[1], images[2], images[0]])
    assert (first_count, again_count) == (2, 1)
    assert torch.equal(again[0].features, first[1].features)
    assert torch.equal(again[2].features, first[0].features)
    assert [result.index for result in again] == [0, 1, 2]
    [alone] = extraction(None).stream([images[2]], [View()])
    assert isinstance(alone, Sample)
    assert torch.allclose(again[1].features, alone.features, atol=1e-5)


def test_other_views_sizes_and_cells_are_kept_apart(images: list[np.ndarray], tmp_path: Path) -> None:
    assert passes(extraction(tmp_path), images[:1])[0] == 1
    assert passes(extraction(tmp_path), images[:1], views=[View(degrees=90.0)])[0] == 1
    assert passes(extraction(tmp_path, size=96), images[:1])[0] == 1
    for expected in (1, 0):
        of = extraction(tmp_path)
        count, [result] = passes(of, images[:1], cells=CellProjection(of.extractor, 16))
        assert count == expected
        assert result.cells is not None
    of = extraction(tmp_path)
    assert passes(of, images[:1], cells=CellProjection(of.extractor, 24))[0] == 1


def test_a_damaged_file_is_computed_again(images: list[np.ndarray], tmp_path: Path) -> None:
    _, [before] = passes(extraction(tmp_path), images[:1])
    [file] = tmp_path.glob("*/*.safetensors")
    file.write_bytes(file.read_bytes()[:40])
    count, [after] = passes(extraction(tmp_path), images[:1])
    assert count == 1
    assert torch.equal(before.features, after.features)
    assert passes(extraction(tmp_path), images[:1])[0] == 0
    assert not [*tmp_path.glob("*/*.part")]


def test_features_and_cells_come_back_as_they_were(tmp_path: Path) -> None:
    cache, cells = FeatureCache(tmp_path), CellGrids(torch.randn(4, 4, 8), torch.randn(2, 2, 8))
    key = cache.key(np.zeros((2, 2, 3), np.uint8), "all else")
    assert cache.get(key) is None
    cache.put(key, CachedImage(torch.randn(2, 5), cells))
    found = cache.get(key, CellGrids)
    assert found is not None
    assert isinstance(found.cells, CellGrids)
    assert torch.equal(found.cells.fine, cells.fine)
    assert torch.equal(found.cells.coarse, cells.coarse)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="another folder"):
        FeatureCache(tmp_path / "file" / "cache")


def test_a_model_learnt_from_the_cache_is_the_same(product: Path, small_settings: Settings, tmp_path: Path) -> None:
    settings = small_settings.with_overrides({"training.epochs": 2})
    scores = [
        DifferNet(settings, device="cpu", cache=cache).fit(product).held_out_scores
        for cache in (None, tmp_path, tmp_path)
    ]
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[1], scores[2])


def test_damaged_features_are_computed_anew(images: list[np.ndarray], tmp_path: Path) -> None:
    _, first = passes(extraction(tmp_path), images[:1])
    [file] = tmp_path.rglob("*.safetensors")
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    count, [again] = passes(extraction(tmp_path), images[:1])
    assert count == 1
    assert torch.equal(again.features, first[0].features)
