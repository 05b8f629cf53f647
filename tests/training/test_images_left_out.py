"""Damaged images among the good ones are left out and named; too few to learn from are an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from differnet import DifferNet, Settings
from differnet.errors import (
    DatasetError,
    NotFittedError,
)
from differnet.training import split_held_out
from tests.conftest import plate


def test_training_leaves_out_damaged_images_and_says_which(
    product: Path, small_settings: Settings, tmp_path: Path
) -> None:
    for path in sorted((product / "train" / "good").iterdir()):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "zzz.png").write_text("not an image")
    model = DifferNet(small_settings.with_overrides({"training.epochs": 1}), device="cpu").fit(tmp_path)
    assert [failure.source for failure in model.failures] == [str(tmp_path / "zzz.png")]


def test_fresh_views_leave_out_damaged_images_too(product: Path, small_settings: Settings, tmp_path: Path) -> None:
    for path in sorted((product / "train" / "good").iterdir())[:12]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "unreadable.png").write_text("not an image")
    settings = small_settings.with_overrides(
        {"training.views": "fresh", "training.epochs": 2, "training.held_out": 0.0, "training.keep": "last"}
    )
    model = DifferNet(settings, device="cpu").fit(tmp_path)
    assert [failure.source for failure in model.failures] == [str(tmp_path / "unreadable.png")]


def test_a_failed_fit_does_not_leave_a_half_fitted_model(product: Path, small_settings: Settings) -> None:
    model = DifferNet(small_settings, device="cpu")
    with pytest.raises(DatasetError):
        model.fit([product / "train" / "good" / "000.png"])
    with pytest.raises(NotFittedError):
        model.score(product / "test" / "good" / "000.png")


def test_a_damaged_array_is_named_by_its_place_among_all(small_settings: Settings) -> None:
    rng = np.random.default_rng(0)
    images: list[np.ndarray] = [plate(rng) for _ in range(20)]
    images[3] = images[13] = np.zeros((2, 2), np.uint8)
    for views in ("bank", "fresh"):
        settings = small_settings.with_overrides({"training.epochs": 2, "training.views": views})
        model = DifferNet(settings, device="cpu").fit(images)
        assert {failure.source for failure in model.failures} == {"array[3]", "array[13]"}
        assert model.manifest is not None
        assert model.manifest.training.images + model.manifest.training.held_out_images == 18


@pytest.mark.parametrize("bad", ["only-damaged", "only-damaged-fresh", "held-out-damaged", "one-array", "single"])
def test_too_little_to_learn_from_is_an_error(small_settings: Settings, tmp_path: Path, bad: str) -> None:
    model = DifferNet(small_settings, device="cpu")
    with pytest.raises(DatasetError):
        if bad == "held-out-damaged":
            images: list[np.ndarray] = [plate(np.random.default_rng(0)) for _ in range(20)]
            for i in split_held_out(20, small_settings.training, small_settings.seed)[1]:
                images[i] = np.zeros((2, 2), np.uint8)
            model.fit(images)
        elif bad.startswith("only-damaged"):
            if bad.endswith("fresh"):
                fresh = {"training.views": "fresh", "training.held_out": 0.0, "training.keep": "last"}
                model = DifferNet(small_settings.with_overrides(fresh), device="cpu")
            for i in range(20):
                (tmp_path / f"{i}.png").write_text("no image")
            model.fit(tmp_path)
        elif bad == "one-array":
            model.fit(np.zeros((64, 64, 3), np.uint8))
        else:
            model.fit([np.zeros((64, 64, 3), np.uint8)])
