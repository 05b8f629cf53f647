"""Explaining images: heat maps of the image's own size, on a fixed scale where one was learnt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from differnet import DifferNet, Failure, Settings
from differnet.errors import (
    ImageError,
    NotFittedError,
    SettingsError,
)
from differnet.images import read_image, read_test_images
from differnet.inspection.explanation import Explanation
from tests.conftest import plate


def test_a_heat_map_has_the_images_own_size_and_no_negative_values(fitted: DifferNet) -> None:
    rng = np.random.default_rng(0)
    for image in (plate(rng), plate(rng, size=150), plate(rng)[:40], plate(rng)[:, :70], plate(rng)[:, :, 0]):
        heat = fitted.explain(image)
        assert heat.dtype == np.float32
        assert heat.shape == image.shape[:2]
        assert np.isfinite(heat).all()
        assert (heat >= 0).all()


def test_defective_parts_are_hotter_than_good_ones_and_regions_say_where(fitted: DifferNet, product: Path) -> None:
    peaks: dict[str, list[float]] = {}
    for image in read_test_images(product):
        [result] = fitted.explain_stream([image.path])
        assert isinstance(result, Explanation)
        assert result.scale_is_fixed
        assert result.verdict.score == fitted.score(image.path).item()
        peaks.setdefault(image.kind, []).append(float(result.heat.max()))
        for region in result.regions:
            assert result.heat[region.peak_y, region.peak_x] == np.float32(region.peak)
            assert region.peak > 1.0
    assert min(peaks["blot"]) > np.median(peaks["good"])
    assert np.median(peaks["scratch"]) > np.median(peaks["good"])
    assert np.median(peaks["good"]) < 1.0


def test_explaining_goes_on_past_a_bad_image(fitted: DifferNet, product: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("no image")
    good = product / "test" / "good" / "000.png"
    results = list(fitted.explain_stream([good, tmp_path / "broken.png", good]))
    assert [type(result) for result in results] == [Explanation, Failure, Explanation]
    with pytest.raises(ImageError, match=r"broken\.png"):
        fitted.explain(tmp_path / "broken.png")


def test_the_papers_map_is_relative_to_the_image_where_no_scale_was_learnt(fitted: DifferNet, product: Path) -> None:
    [result] = fitted.explain_stream([product / "test" / "blot" / "000.png"], "gradient")
    assert isinstance(result, Explanation)
    assert not result.scale_is_fixed
    assert result.regions == ()
    assert result.heat.max() == pytest.approx(1.0, rel=0.05)
    with pytest.raises(SettingsError, match="neighbours, gradient"):
        fitted.explain(product / "test" / "blot" / "000.png", "saliency")


def test_a_model_that_maps_by_gradient_learns_its_scale_from_calibration_images(
    product: Path, small_settings: Settings
) -> None:
    settings = small_settings.with_overrides({"localization.method": "gradient", "training.epochs": 1})
    model = DifferNet(settings, device="cpu").fit(product)
    image = product / "test" / "blot" / "000.png"
    [before] = model.explain_stream([image])
    model.calibrate(sorted((product / "test" / "good").iterdir()), false_reject_rate=0.2)
    [after] = model.explain_stream([image])
    assert isinstance(before, Explanation)
    assert isinstance(after, Explanation)
    assert (before.scale_is_fixed, after.scale_is_fixed) == (False, True)
    with pytest.raises(NotFittedError, match="neighbours"):
        model.explain(image, "neighbours")


def test_an_imported_official_model_explains_by_gradient(official_state_file: Path, official_image: Path) -> None:
    model = DifferNet.import_official(official_state_file, views=2, device="cpu")
    [result] = model.explain_stream([official_image])
    assert isinstance(result, Explanation)
    assert result.heat.shape == read_image(official_image).shape[:2]
    assert not result.scale_is_fixed
    assert result.verdict.decision is None
    assert "differnet calibrate" in model.uncalibrated_reason
