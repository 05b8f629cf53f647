"""Verdicts, calibration, heat maps and regions of interest through the public face."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from differnet import DifferNet, Explanation, RegionOfInterest, Settings, Verdict
from differnet.errors import CalibrationError, ImageError, ModelFileError, NotFittedError, SettingsError
from differnet.images import read_image


def test_a_verdict_says_all(fitted: DifferNet, product: Path) -> None:
    path = product / "test" / "good" / "000.png"
    verdict = fitted.inspect(path)
    assert fitted.calibration is not None
    assert fitted.manifest is not None
    assert verdict.score == fitted.score(path).item()
    assert (verdict.source, verdict.width, verdict.height) == (str(path), 96, 96)
    assert verdict.decision == fitted.calibration.decide(verdict.score)
    assert verdict.p_value == fitted.calibration.p_value(verdict.score)
    assert verdict.margin == verdict.score - fitted.calibration.threshold
    assert verdict.model_id == fitted.manifest.model_id
    assert verdict.milliseconds > 0
    assert tuple(verdict.to_dict()) == Verdict.columns()
    assert Verdict.columns()[0] == "path"


def test_a_model_without_threshold_gives_scores_all_the_same(product: Path, small_settings: Settings) -> None:
    chosen = {"calibration.method": "none", "training.epochs": 1}
    model = DifferNet(small_settings.with_overrides(chosen), device="cpu").fit(product)
    verdict = model.inspect(product / "test" / "good" / "000.png")
    assert (verdict.threshold, verdict.margin, verdict.p_value, verdict.decision) == (None, None, None, None)
    assert "calibrate" in model.uncalibrated_reason


def test_calibrating_again_is_kept_in_the_file(model_file: Path, product: Path, tmp_path: Path) -> None:
    model = DifferNet.load(model_file, device="cpu")
    images = sorted((product / "train" / "good").iterdir())
    calibration = model.calibrate(images, false_reject_rate=0.05, review_rate=0.2)
    assert len(calibration.scores) == 24
    model.save(tmp_path / "again.safetensors")
    program = "import sys; from differnet import DifferNet; m = DifferNet.load(sys.argv[1], device='cpu')\n"
    program += "print(m.calibration.threshold.hex(), m.calibration.review_rate, m.manifest.calibration.source)"
    arguments = [sys.executable, "-c", program, str(tmp_path / "again.safetensors")]
    output = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.split()
    assert output == [calibration.threshold.hex(), "0.2", "images"]


def test_calibrating_can_add_to_the_scores_at_hand(model_file: Path, product: Path, tmp_path: Path) -> None:
    model = DifferNet.load(model_file, device="cpu")
    before = model.held_out_scores.tolist()
    images = sorted((product / "test" / "good").glob("*.png"))
    calibration = model.calibrate(images, false_reject_rate=0.1, keep_scores=True)
    assert len(calibration.scores) == len(before) + len(images)
    assert model.held_out_scores.tolist()[: len(before)] == before
    model.save(tmp_path / "model.safetensors")
    again = DifferNet.load(tmp_path / "model.safetensors", device="cpu")
    assert again.calibration is not None
    assert again.calibration.threshold == calibration.threshold
    assert again.manifest is not None
    assert again.manifest.calibration is not None
    assert again.manifest.calibration.source == "held-out"


def test_a_refused_calibration_leaves_the_old_one(model_file: Path, product: Path) -> None:
    model = DifferNet.load(model_file, device="cpu")
    before = model.calibration
    with pytest.raises(CalibrationError, match="99"):
        model.calibrate(product, false_reject_rate=0.01)
    for rate in (0.0, 1.0):
        with pytest.raises(SettingsError, match="rate"):
            model.calibrate(false_reject_rate=rate)
    assert model.calibration is before
    with pytest.raises(NotFittedError):
        DifferNet("default", device="cpu").calibrate()


@pytest.mark.parametrize("name", ["calibration.scores", "local.fine.cells", "region.mask"])
def test_a_tampered_file_is_refused(model_file: Path, tmp_path: Path, name: str) -> None:
    with safe_open(model_file, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
        metadata = file.metadata()
    if name == "calibration.scores":
        tensors[name] = tensors[name] + 1
    elif name == "region.mask":
        tensors[name] = torch.zeros(5, 5, dtype=torch.uint8)
    else:
        del tensors[name]
    save_file(tensors, tmp_path / "t.safetensors", metadata)
    with pytest.raises(ModelFileError, match=r"t\.safetensors"):
        DifferNet.load(tmp_path / "t.safetensors", device="cpu")


def test_a_heat_map_has_the_images_own_size_and_is_hotter_on_defects(fitted: DifferNet, product: Path) -> None:
    peaks: dict[str, list[float]] = {"good": [], "blot": []}
    for kind, found in peaks.items():
        for result in fitted.explain_stream(sorted((product / "test" / kind).iterdir())):
            assert isinstance(result, Explanation)
            assert result.scale_is_fixed
            found.append(float(result.heat.max()))
    assert min(peaks["blot"]) > np.median(peaks["good"])
    wide = np.zeros((50, 120, 3), np.uint8)
    heat = fitted.explain(wide)
    assert heat.shape == (50, 120)
    assert heat.dtype == np.float32
    assert (heat >= 0).all()


def test_the_papers_map_is_had_by_name_on_a_relative_scale(fitted: DifferNet, product: Path) -> None:
    (result,) = fitted.explain_stream([product / "test" / "blot" / "000.png"], "gradient")
    assert isinstance(result, Explanation)
    assert not result.scale_is_fixed
    assert result.regions == ()
    assert result.heat.max() == pytest.approx(1, abs=0.05)
    with pytest.raises(SettingsError, match="gradient"):
        fitted.explain(product / "test" / "blot" / "000.png", "nothing")


def test_nothing_outside_the_region_of_interest_counts(product: Path, small_settings: Settings, tmp_path: Path) -> None:
    region = RegionOfInterest.from_box((10, 20, 60, 50), (96, 96))
    settings = small_settings.with_overrides({"training.epochs": 1})
    model = DifferNet(settings, region=region, device="cpu").fit(product)
    model.save(tmp_path / "r.safetensors")
    loaded = DifferNet.load(tmp_path / "r.safetensors", device="cpu")
    image = read_image(product / "test" / "good" / "000.png").copy()
    score = loaded.score([image]).item()
    image[:20] = 255
    assert loaded.score([image]).item() == score == model.score([image]).item()
    heat = loaded.explain(image)
    assert heat.shape == (96, 96)
    assert (heat[20:70, 10:70] > 0).all()
    assert heat[:20].max() == heat[:, :10].max() == heat[70:].max() == 0
    with pytest.raises(ImageError, match="96 x 96"):
        loaded.score([image[:90]])


def test_an_imported_model_explains_by_gradient(official_state_file: Path, official_image: Path) -> None:
    model = DifferNet.import_official(official_state_file, views=2, device="cpu")
    assert "calibrate" in model.uncalibrated_reason
    heat = model.explain(official_image)
    with Image.open(official_image) as image:
        assert heat.shape == image.size[::-1]
