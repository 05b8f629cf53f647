"""Features are averaged over turns where good images differ mostly by their angle, and only there."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from differnet import DifferNet, Settings
from differnet.extractors import build_extractor, find_weights
from differnet.features import FeatureExtraction
from differnet.images import load_image
from differnet.settings import preset
from differnet.training.view_choice import choose_views, share_kept

AUTO = preset("default").with_overrides({"views.size": 64, "views.kind": "auto"})


@pytest.fixture(scope="module")
def extraction() -> FeatureExtraction:
    return FeatureExtraction(build_extractor("alexnet", find_weights("alexnet")), size=64, scales=1)


def letter(rng: np.random.Generator) -> np.ndarray:
    """A bright F on grey, never quite in the same place, with shading from above."""
    image = np.full((64, 64), 90.0) + np.linspace(0, 40, 64)[:, None]
    x, y = (int(value) for value in rng.integers(14, 22, 2))
    for corner, other in (((0, 0), (6, 34)), ((0, 0), (26, 6)), ((0, 14), (18, 20))):
        cv2.rectangle(image, (x + corner[0], y + corner[1]), (x + other[0], y + other[1]), 220.0, -1)
    return as_image(image, rng)


def ring(rng: np.random.Generator) -> np.ndarray:
    """A soft ring on black, of any size: the same from every side."""
    rows, columns = np.mgrid[:64, :64] - 31.5
    values = 200.0 / (1 + np.exp(np.abs(np.hypot(rows, columns) - rng.uniform(8, 26)) - rng.uniform(2, 6)))
    return np.repeat(values.astype(np.uint8)[:, :, None], 3, axis=2)


def as_image(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = np.clip(values + rng.normal(0, 4, values.shape), 0, 255).astype(np.uint8)
    return np.repeat(noisy[:, :, None], 3, axis=2)


def turned(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.ascontiguousarray(np.rot90(image, int(rng.integers(4))))


def test_features_are_averaged_over_turns_where_good_parts_lie_at_any_angle(extraction: FeatureExtraction) -> None:
    rng = np.random.default_rng(0)
    decision = choose_views(extraction, [turned(letter(rng), rng) for _ in range(60)], AUTO)
    views = decision.settings.views
    assert decision.share_kept < 0.5
    assert (views.kind, views.count, decision.settings.scoring.aggregation) == ("right-angles", 4, "features")


def test_parts_that_differ_by_more_than_their_angle_are_taken_as_they_are(extraction: FeatureExtraction) -> None:
    rng = np.random.default_rng(1)
    decision = choose_views(extraction, [ring(rng) for _ in range(40)], AUTO)
    assert decision.share_kept > 0.9
    assert (decision.settings.views.kind, decision.settings.views.count) == ("none", 1)


def test_the_share_is_that_of_the_variance() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(4000, 1, 6, generator=generator)
    view = torch.randn(4000, 4, 6, generator=generator)
    # The mean of four has a quarter of what differs from view to view, and all of what does not.
    assert share_kept(image + 0 * view) == pytest.approx(1.0, abs=1e-3)
    assert share_kept(view) == pytest.approx(0.25, abs=0.02)
    assert share_kept(image + view) == pytest.approx(0.625, abs=0.02)


def test_with_too_few_images_each_is_taken_as_it_is(extraction: FeatureExtraction) -> None:
    rng = np.random.default_rng(2)
    decision = choose_views(extraction, [letter(rng) for _ in range(4)], AUTO)
    assert decision.settings.views.kind == "none"


def test_a_turned_image_scores_the_same_where_features_are_averaged(
    product: Path, small_settings: Settings, tmp_path: Path
) -> None:
    named = {"views.kind": "right-angles", "views.count": 4, "scoring.aggregation": "features", "scoring.local": False}
    model = DifferNet(small_settings.with_overrides(named), device="cpu").fit(product)
    image = load_image(next(product.glob("test/scratch/*.png")))
    side = min(image.shape[:2])
    square = np.ascontiguousarray(image[:side, :side])
    scores = model.score([np.ascontiguousarray(np.rot90(square, turns)) for turns in range(4)])
    np.testing.assert_allclose(scores, scores[0], rtol=1e-3)
    model.save(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(DifferNet.load(tmp_path / "model.safetensors").score([square]), scores[:1])


def test_training_chooses_and_the_model_file_says_what(product: Path, small_settings: Settings, tmp_path: Path) -> None:
    model = DifferNet(small_settings.with_overrides({"views.kind": "auto"}), device="cpu").fit(product)
    assert model.view_decision is not None
    assert model.settings.views == model.view_decision.settings.views
    assert model.settings.views.kind != "auto"
    model.save(tmp_path / "model.safetensors")
    assert DifferNet.load(tmp_path / "model.safetensors").settings.views == model.settings.views
