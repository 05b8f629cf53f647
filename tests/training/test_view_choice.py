"""Views chosen from good images alone: as many as their looks allow, and no more."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from differnet import DifferNet, Settings
from differnet.errors import DatasetError
from differnet.extractors import build_extractor, find_weights
from differnet.features import FeatureExtraction
from differnet.settings import ViewSettings
from differnet.training.view_choice import choose_views

AUTO = ViewSettings(size=64, kind="auto")


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


def disc(rng: np.random.Generator) -> np.ndarray:
    """A soft ring on black with dents anywhere: the same from every side."""
    rows, columns = np.mgrid[:64, :64] - 31.5
    radius = np.hypot(rows, columns)
    values = 200.0 / (1 + np.exp(np.abs(radius - rng.uniform(14, 20)) - rng.uniform(4, 8)))
    for angle in rng.uniform(0, 2 * np.pi, 3):
        values *= 1 - np.exp(-((rows - 16 * np.sin(angle)) ** 2 + (columns - 16 * np.cos(angle)) ** 2) / 20)
    return np.repeat(values.astype(np.uint8)[:, :, None], 3, axis=2)


def as_image(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = np.clip(values + rng.normal(0, 4, values.shape), 0, 255).astype(np.uint8)
    return np.repeat(noisy[:, :, None], 3, axis=2)


def turned(image: np.ndarray, rng: np.random.Generator, kind: str) -> np.ndarray:
    flipped = image[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])]
    result = {
        "as it is": image,
        "flipped": flipped,
        "turned": np.rot90(image, int(rng.integers(4))),
        "both": np.rot90(flipped, int(rng.integers(2))),
    }[kind]
    return np.ascontiguousarray(result)


@pytest.mark.parametrize(
    ("how", "expected", "training"),
    [("as it is", "none", 1), ("flipped", "flips", 4), ("turned", "right-angles", 4), ("both", "symmetries", 8)],
)
def test_what_varies_among_good_images_is_what_is_chosen(
    extraction: FeatureExtraction, how: str, expected: str, training: int
) -> None:
    rng = np.random.default_rng(0)
    images = [turned(letter(rng), rng, how) for _ in range(60)]
    decision = choose_views(extraction, images, AUTO, seed=0)
    assert (decision.views.kind, decision.views.training_count) == (expected, training)
    assert decision.views.count == 1


def test_round_parts_may_be_turned_and_flipped(extraction: FeatureExtraction) -> None:
    rng = np.random.default_rng(1)
    decision = choose_views(extraction, [disc(rng) for _ in range(40)], AUTO, seed=0)
    assert decision.views.kind == "symmetries"
    assert max(decision.told_apart.values()) <= 0.65


def test_too_few_images_are_an_error(extraction: FeatureExtraction) -> None:
    rng = np.random.default_rng(2)
    with pytest.raises(DatasetError, match=r"views\.kind"):
        choose_views(extraction, [disc(rng) for _ in range(5)], AUTO, seed=0)


def test_training_chooses_and_the_model_file_says_what(product: Path, small_settings: Settings, tmp_path: Path) -> None:
    settings = small_settings.with_overrides({"views.kind": "auto", "views.count": 1, "training.epochs": 1})
    model = DifferNet(settings, device="cpu").fit(product)
    assert model.view_decision is not None
    assert model.settings.views == model.view_decision.views
    assert model.settings.views.kind != "auto"
    model.save(tmp_path / "model.safetensors")
    assert DifferNet.load(tmp_path / "model.safetensors").settings.views == model.settings.views
