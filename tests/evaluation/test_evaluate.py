"""Evaluation at the threshold, and of heat maps against ground truth."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from differnet import DifferNet
from differnet.errors import DatasetError
from differnet.evaluation import evaluate
from differnet.images import read_image, read_test_images


@pytest.fixture
def masked(product: Path, tmp_path: Path) -> Path:
    root = tmp_path / "masked"
    shutil.copytree(product / "test" / "good", root / "test" / "good")
    shutil.copytree(product / "test" / "blot", root / "test" / "blot")
    (root / "ground_truth" / "blot").mkdir(parents=True)
    for path in (root / "test" / "blot").iterdir():
        mask = (read_image(path)[:, :, 0] < 20).astype(np.uint8) * 255
        Image.fromarray(mask).save(root / "ground_truth" / "blot" / f"{path.stem}_mask.png")
    return root


def test_threshold_and_maps_are_measured(fitted: DifferNet, masked: Path) -> None:
    result = evaluate(fitted, read_test_images(masked))
    assert result.pixels is not None
    assert result.pixels.pixel_auroc > 0.7
    assert result.rates is not None
    refused = [entry.verdict.decision == "reject" for entry in result.scored if not entry.image.is_defective]
    assert result.rates.false_reject.value == pytest.approx(np.mean(refused))
    document = result.to_dict()
    assert {"pixel_auroc", "aupro", "false_reject_rate", "escape_rate", "good_without_region"} <= document.keys()


def test_without_ground_truth_or_by_request_no_map_is_measured(fitted: DifferNet, masked: Path, product: Path) -> None:
    for result in (evaluate(fitted, read_test_images(masked), maps=False), evaluate(fitted, read_test_images(product))):
        assert result.pixels is None
        assert result.good_without_region is None
        assert "pixel_auroc" not in result.to_dict()


def test_a_mask_of_another_size_is_refused(fitted: DifferNet, masked: Path) -> None:
    mask = next((masked / "ground_truth" / "blot").iterdir())
    Image.new("L", (20, 20), 255).save(mask)
    with pytest.raises(DatasetError, match="20 x 20"):
        evaluate(fitted, read_test_images(masked))


def test_a_damaged_mask_costs_its_image_the_map_alone(fitted: DifferNet, masked: Path) -> None:
    mask = next((masked / "ground_truth" / "blot").iterdir())
    mask.write_bytes(mask.read_bytes()[:40])
    result = evaluate(fitted, read_test_images(masked))
    assert [failure.source for failure in result.failures] == [str(mask)]
    assert result.pixels is not None
    assert len(result.scored) == len(read_test_images(masked))
