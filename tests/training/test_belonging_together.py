"""Images that show the same part are learnt from together or not at all, count once, and are spoken of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from differnet import DifferNet, Settings
from differnet.cli.describe import calibration_sentence, calibration_summary
from differnet.errors import DatasetError
from tests.training.test_near_copies import compressed, parts

CROSS = {
    "calibration.method": "cross-fitted",
    "calibration.folds": 3,
    "training.epochs": 1,
    "views.kind": "none",
    "views.count": 1,
    "views.training_count": 1,
}


@pytest.fixture(scope="module")
def distinct() -> list[NDArray[np.uint8]]:
    return parts(24, size=128)


def fitted(settings: Settings, images: list[NDArray[np.uint8]], **overrides: object) -> DifferNet:
    return DifferNet(settings.with_overrides({**CROSS, **overrides}), device="cpu").fit(images)


def test_near_copies_count_once_and_are_named(small_settings: Settings, distinct: list[NDArray[np.uint8]]) -> None:
    model = fitted(small_settings, [*distinct, *map(compressed, distinct)])
    record = model.fitted.manifest.training
    assert (record.images, record.groups, len(model.held_out_scores)) == (48, 24, 24)
    (remark,) = record.remarks
    assert remark.startswith("48 of 48 good images are near-copies of others, in 24 group(s): array[")
    assert model.calibration is not None
    assert model.calibration.groups is None
    assert calibration_sentence(model).endswith("on average.")
    ignoring = fitted(small_settings, [*distinct, *map(compressed, distinct)], **{"training.near_copies": "ignored"})
    assert (ignoring.fitted.manifest.training.groups, len(ignoring.held_out_scores)) == (None, 48)
    assert not ignoring.fitted.manifest.training.remarks


def test_clean_images_are_learnt_from_as_if_nobody_had_looked(
    small_settings: Settings, distinct: list[NDArray[np.uint8]]
) -> None:
    looked, blind = (
        fitted(small_settings, distinct, **{"training.near_copies": how}) for how in ("together", "ignored")
    )
    assert not looked.fitted.manifest.training.remarks
    assert looked.held_out_scores.tolist() == blind.held_out_scores.tolist()
    assert looked.score(distinct[:3]).tolist() == blind.score(distinct[:3]).tolist()


@pytest.mark.parametrize("method", ["cross-fitted", "held-out"])
def test_too_few_groups_set_a_threshold_without_a_promise(
    small_settings: Settings, distinct: list[NDArray[np.uint8]], method: str, tmp_path: Path
) -> None:
    settings = small_settings.with_overrides({**CROSS, "calibration.method": method})
    model = DifferNet(settings, device="cpu").fit(distinct, groups=[place // 6 for place in range(24)])
    calibration = model.calibration
    if method == "held-out":  # 6 of a group of 24 are held out, fewer than the 9 that 10 % take
        assert calibration is None
        return
    assert calibration is not None
    assert (calibration.groups, len(calibration.scores)) == (4, 24)
    interval = calibration.rate_interval()
    assert interval is not None
    assert interval[0] < 0.01
    assert interval[1] > 0.3
    assert "4 independent group(s)" in model.fitted.manifest.training.remarks[0]
    assert "4 independent group(s)" in calibration_sentence(model)
    assert (calibration_summary(model) or {})["rate_interval95"] == list(interval)
    model.save(tmp_path / "m.safetensors")
    restored = DifferNet.load(tmp_path / "m.safetensors", device="cpu")
    assert restored.calibration is not None
    assert restored.calibration.groups == 4
    assert restored.fitted.manifest.training == model.fitted.manifest.training


def test_groups_by_name_come_from_the_settings(
    small_settings: Settings, distinct: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    for place, image in enumerate(distinct):
        Image.fromarray(image).save(tmp_path / f"part{place // 2}_{place % 2}.png")
    settings = small_settings.with_overrides({**CROSS, "training.group_by": r"part(\d+)"})
    model = DifferNet(settings, device="cpu").fit(tmp_path)
    assert (model.fitted.manifest.training.groups, len(model.held_out_scores)) == (12, 12)


def test_as_many_groups_as_images_are_needed(small_settings: Settings, distinct: list[NDArray[np.uint8]]) -> None:
    with pytest.raises(DatasetError, match="2 groups for 24 images"):
        DifferNet(small_settings, device="cpu").fit(distinct, groups=["a", "b"])


def test_copies_of_a_single_part_can_be_learnt_from_all_the_same(small_settings: Settings) -> None:
    model = fitted(small_settings, [parts(1, size=128)[0]] * 12)
    assert model.fitted.manifest.training.groups == 1
    assert model.calibration is not None
    assert model.calibration.groups == 1
