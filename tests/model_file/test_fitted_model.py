"""What was learnt is one object: whole at any time, the same wherever it is sent, and never half replaced."""

from __future__ import annotations

import copy
import dataclasses
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet import DifferNet, Settings
from differnet.errors import DatasetError, DivergenceError, NotFittedError
from differnet.images import RegionOfInterest, load_image
from differnet.model_file.fitted_model import FittedModel


@pytest.fixture(scope="module")
def fitted(product: Path, small_settings: Settings) -> DifferNet:
    return DifferNet(small_settings, device="cpu").fit(product)


@pytest.fixture(scope="module")
def images(product: Path) -> list[str]:
    return [str(path) for path in sorted(product.glob("test/*/*.png"))[:6]]


def by_file(model: FittedModel, folder: Path) -> FittedModel:
    model.save(folder / "model.safetensors")
    return FittedModel.load(folder / "model.safetensors")


def pickled(model: FittedModel, _folder: Path) -> FittedModel:
    return pickle.loads(pickle.dumps(model))


def deep_copied(model: FittedModel, _folder: Path) -> FittedModel:
    return copy.deepcopy(model)


@pytest.mark.parametrize("copied", [by_file, pickled, deep_copied])
@pytest.mark.parametrize("scored_before", [False, True])
def test_a_copy_is_the_same_model(
    fitted: DifferNet,
    images: list[str],
    tmp_path: Path,
    copied: Callable[[FittedModel, Path], FittedModel],
    scored_before: bool,
) -> None:
    if scored_before:  # the members of an ensemble share their memory from then on
        fitted.score(images[:1])
    twin = copied(fitted.fitted, tmp_path)
    assert twin.manifest == fitted.manifest
    assert twin.source == fitted.fitted.source
    for name, tensor in fitted.fitted.tensors().items():
        assert torch.equal(twin.tensors()[name], tensor), name
    np.testing.assert_array_equal(fitted.with_model(twin, "cpu").score(images), fitted.score(images))


def test_a_pickle_is_about_as_large_as_the_file(fitted: DifferNet, images: list[str], tmp_path: Path) -> None:
    fitted.score(images[:1])
    fitted.save(tmp_path / "model.safetensors")
    assert len(pickle.dumps(fitted.fitted)) < 1.2 * (tmp_path / "model.safetensors").stat().st_size


def score_elsewhere(model: DifferNet, images: list[str]) -> NDArray[np.float32]:
    return model.score(images)


def test_a_model_in_use_is_sent_to_another_process(fitted: DifferNet, images: list[str]) -> None:
    before = fitted.score(images)
    fitted.explain(images[0])
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        np.testing.assert_array_equal(pool.submit(score_elsewhere, fitted, images).result(), before)
    np.testing.assert_array_equal(copy.deepcopy(fitted).score(images), before)


def test_it_does_not_change(fitted: DifferNet) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        fitted.fitted.scores = torch.zeros(1)  # type: ignore[misc]


def test_another_threshold_makes_another_model_and_leaves_the_rest(fitted: DifferNet) -> None:
    model = DifferNet(fitted.settings, device="cpu").with_model(fitted.fitted, "cpu")
    before = model.fitted
    model.calibrate(false_reject_rate=0.3)
    assert before.calibration is fitted.calibration
    assert model.fitted is not before
    assert model.fitted.manifest.model_id == before.manifest.model_id
    assert model.calibration is not None
    assert model.calibration.false_reject_rate == 0.3
    assert model.fitted.flow is before.flow


def test_a_fit_that_fails_leaves_the_model_as_it_was(
    fitted: DifferNet, images: list[str], product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted.with_model(fitted.fitted, "cpu")
    before, scores = model.fitted, model.score(images)
    with pytest.raises(DatasetError):
        model.fit(images[:2])
    (tmp_path / "text.png").write_text("not an image")
    with pytest.raises(DatasetError):
        model.fit([tmp_path / "text.png"] * 8)
    good = sorted(product.glob("train/good/*.png"))

    def diverge(*_: object, **__: object) -> None:
        raise DivergenceError("The loss is not finite.")

    with monkeypatch.context() as patch, pytest.raises(DivergenceError):
        patch.setattr("differnet.training.fit_model.FittedModel.describe", diverge)
        model.fit(good)
    assert model.fitted is before
    np.testing.assert_array_equal(model.score(images), scores)


def test_a_region_travels_with_it(product: Path, small_settings: Settings) -> None:
    path = next(product.glob("train/good/*.png"))

    height, width = load_image(path).shape[:2]
    mask = np.zeros((height, width), bool)
    mask[: height // 2] = True
    model = DifferNet(small_settings, region=RegionOfInterest(mask), device="cpu").fit(product)
    twin = pickle.loads(pickle.dumps(model.fitted))
    assert twin.region is not None
    np.testing.assert_array_equal(twin.region.mask, mask)


def test_a_model_that_has_learnt_nothing_says_so() -> None:
    model = DifferNet(device="cpu")
    assert model.manifest is None
    assert model.calibration is None
    assert len(model.held_out_scores) == 0
    with pytest.raises(NotFittedError):
        _ = model.fitted
    assert copy.deepcopy(model).settings == model.settings
