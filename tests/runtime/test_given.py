"""A threshold and a region of interest that are given with the images, to files of before too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from differnet import DifferNet
from differnet.export.seal import sealed
from differnet_runtime import ImageError, Inspector, ModelFileError, SettingsError
from differnet_runtime.cli import main
from tests.export.files import HEIGHT, WIDTH, Exported, disc, exported, inspected, tall


@pytest.fixture(scope="module")
def own_region(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, "region")


@pytest.fixture(scope="module")
def reviewing(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, "local")


def in_frame(image: np.ndarray) -> np.ndarray:
    """A larger image that holds one at x 30, y 20."""
    frame = np.full((image.shape[0] + 50, image.shape[1] + 70, 3), 90, np.uint8)
    frame[20 : 20 + image.shape[0], 30 : 30 + image.shape[1]] = image
    return frame


def test_a_threshold_by_hand_is_that_of_calibrate(reviewing: Exported) -> None:
    image = inspected()[0]
    stated = Inspector(reviewing.onnx).inspect(image)
    model = DifferNet.load(reviewing.model, device="cpu")
    for threshold in (stated.score - 0.5, stated.score + 0.5):
        model.calibrate(threshold=threshold)
        inspector = Inspector(reviewing.onnx, threshold=threshold)
        expected, verdict = model.inspect(image), inspector.inspect(image)
        assert (verdict.score, verdict.p_value) == (stated.score, stated.p_value)
        assert verdict.margin == stated.score - threshold
        assert (verdict.threshold, verdict.decision) == (threshold, expected.decision)
        record, written = inspector.manifest["calibration"], model.fitted.manifest.calibration
        assert written is not None
        assert (record["source"], record["scores_source"]) == (written.source, written.scores_source)
    with pytest.raises(SettingsError, match="finite"):
        Inspector(reviewing.onnx, threshold=float("nan"))


def test_a_region_is_the_part_of_the_image_that_is_judged(reviewing: Exported, tmp_path: Path) -> None:
    image = inspected()[-1]
    frame, whole = in_frame(image), Inspector(reviewing.onnx)
    height, width = image.shape[:2]
    mask = np.zeros(frame.shape[:2], np.uint8)
    mask[20 : 20 + height, 30 : 30 + width] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    heat = whole.explain(image)
    for region in ((30, 20, width, height), f"30,20,{width},{height}", mask > 0, tmp_path / "mask.png"):
        inspector = Inspector(reviewing.onnx, region=region)
        verdict = inspector.inspect(frame)
        assert verdict.score == whole.inspect(image).score
        assert (verdict.width, verdict.height, verdict.unlike) == (frame.shape[1], frame.shape[0], None)
        placed = inspector.explain(frame)
        assert placed.shape == frame.shape[:2]
        assert np.array_equal(placed[20 : 20 + height, 30 : 30 + width], heat)
        assert placed.sum() == pytest.approx(heat.sum(), rel=1e-5)


def test_a_region_stands_for_the_models_own(own_region: Exported) -> None:
    image, inspector = tall(inspected()[-1]), Inspector(own_region.onnx)
    x, y, width, height = inspector.about["region_box"]
    moved = Inspector(own_region.onnx, region=(x + 30, y + 20, width, height))
    frame = in_frame(image)
    assert frame.shape[:2] != (HEIGHT, WIDTH)
    assert moved.inspect(frame).score == inspector.inspect(image).score
    heat, placed = inspector.explain(image), moved.explain(frame)
    assert np.array_equal(placed[20 : 20 + HEIGHT, 30 : 30 + WIDTH], heat)
    assert not placed[20 : 20 + HEIGHT, 30 : 30 + WIDTH][~disc()].any()
    with pytest.raises(SettingsError, match=f"own, which it stands for, {width} x {height}"):
        Inspector(own_region.onnx, region=(0, 0, width + 1, height))


def test_of_files_of_before_the_threshold_can_be_given_and_no_second_region(
    own_region: Exported, tmp_path: Path
) -> None:
    model = onnx.load(own_region.onnx)
    for entry in model.metadata_props:
        if entry.key == "export":
            about = json.loads(entry.value)
            del about["region_box"]
            entry.value = json.dumps(about)
    (tmp_path / "old.onnx").write_bytes(sealed(model.SerializeToString()))
    assert Inspector(tmp_path / "old.onnx", threshold=-1e9).inspect(tall(inspected()[0])).decision == "reject"
    with pytest.raises(ModelFileError, match="before another could be given"):
        Inspector(tmp_path / "old.onnx", region=(0, 0, 20, 20))


def test_regions_that_are_none_are_refused(reviewing: Exported, tmp_path: Path) -> None:
    for region, error, match in (
        ("none.png", ImageError, "no such mask image"),
        ("1,2,3", SettingsError, "not four whole numbers"),
        ((0, 0, 5, 5), SettingsError, "at least 16"),
    ):
        with pytest.raises(error, match=match):
            Inspector(reviewing.onnx, region=region)
    outside = Inspector(reviewing.onnx, region=(80, 0, 96, 96))
    with pytest.raises(ImageError, match="outside the images of 96 x 96"):
        outside.inspect(inspected()[0])
    mask = Inspector(reviewing.onnx, region=np.ones((50, 50), np.bool_))
    with pytest.raises(ImageError, match="was made for 50 x 50"):
        mask.inspect(inspected()[0])


def test_the_command_has_both(reviewing: Exported, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(in_frame(inspected()[0])).save(tmp_path / "frame.png")
    expected = Inspector(reviewing.onnx).inspect(inspected()[0]).score
    arguments = ["--threshold", str(expected - 1), "--region", "30,20,96,96", "--json"]
    assert main([str(reviewing.onnx), str(tmp_path / "frame.png"), *arguments]) == 0
    row = json.loads(capsys.readouterr().out)["images"][0]
    assert (row["score"], row["threshold"], row["decision"]) == (expected, expected - 1, "reject")
