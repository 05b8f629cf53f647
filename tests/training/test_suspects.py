"""Defects among the good images are named, and left out where that is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from differnet import DifferNet, Settings
from differnet.training.suspects import counted_as_good
from tests.conftest import plate
from tests.training.test_belonging_together import CROSS

CULPRITS = ["007.png", "019.png", "031.png"]


@pytest.fixture(scope="module")
def settings(small_settings: Settings) -> Settings:
    return small_settings.with_overrides(
        {**CROSS, "scoring.local": True, "calibration.folds": 5, "calibration.false_reject_rate": 0.05}
    )


@pytest.fixture(scope="module")
def contaminated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contaminated")
    rng = np.random.default_rng(0)
    for place in range(40):
        name = f"{place:03}.png"
        Image.fromarray(plate(rng, "blot" if name in CULPRITS else None)).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def kept(settings: Settings, contaminated: Path) -> DifferNet:
    return DifferNet(settings.with_overrides({"training.outliers": "kept"}), device="cpu").fit(contaminated)


@pytest.fixture(scope="module")
def cleaned(settings: Settings, contaminated: Path) -> DifferNet:
    return DifferNet(settings.with_overrides({"training.outliers": "left-out"}), device="cpu").fit(contaminated)


def test_the_culprits_are_the_most_suspicious(kept: DifferNet, contaminated: Path) -> None:
    record = kept.fitted.manifest.training
    first = record.suspects[: len(CULPRITS)]
    assert {suspect.name for suspect in first} == {str(contaminated / name) for name in CULPRITS}
    assert all(suspect.far_off and not suspect.left_out for suspect in first)
    assert [suspect.deviations for suspect in record.suspects] == sorted(
        (suspect.deviations for suspect in record.suspects), reverse=True
    )
    told = " ".join(record.remarks)
    assert "score far above the others" in told
    assert all(name in told for name in CULPRITS)
    assert "The threshold is the score of" in told
    assert record.images == 40


def test_a_restored_model_still_names_them(kept: DifferNet, tmp_path: Path) -> None:
    kept.save(tmp_path / "m.safetensors")
    assert DifferNet.load(tmp_path / "m.safetensors").fitted.manifest.training == kept.fitted.manifest.training


def test_they_are_left_out_where_that_is_asked_for(
    kept: DifferNet, cleaned: DifferNet, contaminated: Path, product: Path
) -> None:
    record = cleaned.fitted.manifest.training
    out = [suspect for suspect in record.suspects if suspect.left_out]
    assert {str(contaminated / name) for name in CULPRITS} <= {suspect.name for suspect in out}
    assert record.images == 40 - len(out)
    assert record.data_sha256 == kept.fitted.manifest.training.data_sha256
    assert any("were left out: " in remark for remark in record.remarks)
    assert cleaned.calibration is not None
    assert kept.calibration is not None
    blots = sorted((product / "test" / "blot").iterdir())
    assert (cleaned.score(blots) > cleaned.calibration.threshold).all()
    assert not (kept.score(blots) > kept.calibration.threshold).all()


@pytest.mark.parametrize("outliers", ["auto", "uncounted"])
def test_what_is_far_off_is_learnt_without_setting_the_threshold(
    settings: Settings, kept: DifferNet, contaminated: Path, tmp_path: Path, outliers: str
) -> None:
    model = DifferNet(settings.with_overrides({"training.outliers": outliers}), device="cpu").fit(contaminated)
    record = model.fitted.manifest.training
    aside = [suspect for suspect in record.suspects if suspect.uncounted]
    assert {suspect.name for suspect in aside} >= {str(contaminated / name) for name in CULPRITS}
    assert not any(suspect.left_out for suspect in record.suspects)
    assert record.images == 40
    images = sorted(contaminated.iterdir())
    np.testing.assert_array_equal(model.score(images), kept.score(images))  # as much is learnt
    assert model.calibration is not None
    assert kept.calibration is not None
    assert len(model.calibration.scores) == len(kept.calibration.scores) - len(aside)
    assert model.calibration.threshold < min(suspect.score for suspect in aside) <= kept.calibration.threshold
    assert any("learnt from, but do not count for the threshold" in remark for remark in record.remarks)
    assert not any("The threshold is the score of" in remark for remark in record.remarks)
    model.save(tmp_path / "m.safetensors")
    again = DifferNet.load(tmp_path / "m.safetensors").calibrate(false_reject_rate=0.05)
    assert again.threshold == model.calibration.threshold


def test_by_default_all_count_where_the_threshold_is_that_of_a_usual_one(
    settings: Settings, contaminated: Path
) -> None:
    changes = {"calibration.false_reject_rate": 0.2}
    model = DifferNet(settings.with_overrides(changes), device="cpu").fit(contaminated)
    record = model.fitted.manifest.training
    assert not any(suspect.uncounted for suspect in record.suspects)
    assert model.calibration is not None
    assert len(model.calibration.scores) == 40
    assert sum(suspect.far_off for suspect in record.suspects) >= len(CULPRITS)
    assert any("score far above the others" in remark for remark in record.remarks)


def test_the_strangest_do_not_count_as_long_as_enough_are_left(settings: Settings, contaminated: Path) -> None:
    images = sorted(contaminated.iterdir())[:20]  # two of them are culprits; 5 % takes 19 images
    model = DifferNet(settings, device="cpu").fit(images)
    record = model.fitted.manifest.training
    first, second = record.suspects[:2]
    assert {first.name, second.name} == {str(contaminated / name) for name in CULPRITS[:2]}
    assert (first.uncounted, second.uncounted) == (True, False)
    assert model.calibration is not None
    assert model.calibration.threshold == second.score
    told = " ".join(record.remarks)
    assert f"do not count for the threshold: {Path(first.name).name}" in told
    assert f"The threshold is the score of {Path(second.name).name}" in told


def test_all_count_where_none_can_be_spared(settings: Settings, contaminated: Path) -> None:
    model = DifferNet(settings, device="cpu").fit(sorted(contaminated.iterdir())[1:20])
    record = model.fitted.manifest.training
    assert not any(suspect.uncounted for suspect in record.suspects)
    assert model.calibration is not None
    assert model.calibration.threshold == record.suspects[0].score
    assert any("The threshold is the score of" in remark for remark in record.remarks)


def test_arrays_keep_their_place_among_all(settings: Settings, contaminated: Path) -> None:
    images: list[NDArray[np.uint8]] = [np.asarray(Image.open(path)) for path in sorted(contaminated.iterdir())]
    images[3] = np.zeros((2, 2), np.uint8)
    changes = {"training.outliers": "left-out"}
    model = DifferNet(settings.with_overrides(changes), device="cpu").fit(images)
    record = model.fitted.manifest.training
    assert {"array[7]", "array[19]", "array[31]"} <= {each.name for each in record.suspects if each.left_out}
    assert [failure.source for failure in model.failures] == ["array[3]"]


def test_as_many_of_those_left_out_set_the_threshold_as_clean_images_have() -> None:
    assert [counted_as_good(images) for images in (5, 49, 50, 100, 300)] == [0, 0, 1, 2, 6]


def test_so_few_images_have_no_suspects(small_settings: Settings, product: Path) -> None:
    images = sorted((product / "train" / "good").iterdir())[:8]
    model = DifferNet(small_settings.with_overrides(CROSS), device="cpu").fit(images)
    assert not model.fitted.manifest.training.suspects
