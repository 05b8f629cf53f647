"""What a GPU learns from, here on the CPU: the vectors that are drawn afresh, computed in one place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from differnet.extractors import build_extractor, find_weights
from differnet.features import FeatureExtraction
from differnet.images import ImageSource
from differnet.settings import ViewSettings
from differnet.training.device_vectors import DeviceVectors, fits_device
from differnet.training.vectors import FreshVectors
from tests.conftest import plate

VIEWS = ViewSettings(size=128, kind="symmetries", count=8, training_count=3)


@pytest.fixture(scope="module")
def extraction() -> FeatureExtraction:
    return FeatureExtraction(build_extractor("alexnet", find_weights("alexnet")), size=128, scales=2)


@pytest.fixture
def sources(tmp_path: Path) -> list[ImageSource]:
    rng = np.random.default_rng(0)
    images: list[ImageSource] = [plate(rng) for _ in range(6)]
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(b"no image")
    return [*images[:3], damaged, *images[3:]]


def test_they_are_those_drawn_afresh(extraction: FeatureExtraction, sources: list[ImageSource]) -> None:
    fresh, on_device = (
        kind(extraction, sources, VIEWS, batch_images=4, seed=1) for kind in (FreshVectors, DeviceVectors)
    )
    for number in (1, 2):
        expected, found = (list(source.epoch(number)) for source in (fresh, on_device))
        assert [batch.shape for batch in found] == [batch.shape for batch in expected] == [(12, 512), (6, 512)]
        for a, b in zip(expected, found, strict=True):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-4)
    assert not torch.equal(next(on_device.epoch(1)), next(on_device.epoch(2)))
    assert on_device.failures.keys() == fresh.failures.keys() == {str(sources[3])}


def test_images_are_read_once(extraction: FeatureExtraction, tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "part.png"
    Image.fromarray(plate(np.random.default_rng(0))).save(file)
    vectors = DeviceVectors(extraction, [file], VIEWS, batch_images=4, seed=0)
    first = list(vectors.epoch(1))
    file.unlink()
    assert torch.equal(torch.cat(first), torch.cat(list(vectors.epoch(1))))


def test_a_processor_draws_its_views_image_by_image(extraction: FeatureExtraction) -> None:
    assert not fits_device(extraction, 1)
