"""``calibrate``, ``explain`` and ``train --region`` as users run them."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from differnet.cli.calibration_images import remarks_on_scores, warn_of_learnt_images
from differnet.inspection.verdict import Verdict
from tests.cli.test_commands import SETTINGS, run
from tests.conftest import plate


def test_calibrate_writes_the_same_or_another_file(model_file: Path, product: Path, tmp_path: Path) -> None:
    own, other = tmp_path / "own.safetensors", tmp_path / "other.safetensors"
    shutil.copy(model_file, own)
    before = own.read_bytes()
    done = json.loads(run("calibrate", own, "--false-reject-rate", 0.2, "-o", other, "--json").stdout)
    assert own.read_bytes() == before
    assert done["source"] == "held-out"
    assert done["rate_interval95"][0] < 0.2 < done["rate_interval95"][1]
    again = run("calibrate", own, product, "--review-rate", 0.3)
    assert "24 good images given for it" in again.stderr
    row = next(csv.DictReader(io.StringIO(run("score", own, product / "test" / "good", "--csv", "-").stdout)))
    assert tuple(row) == Verdict.columns()
    assert row["decision"] in ("accept", "review", "reject")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--false-reject-rate", 0), "between 0 and 1"),
        (("--false-reject-rate", 1), "between 0 and 1"),
        (("--false-reject-rate", 0.01), "99"),
        (("--false-reject-rate", 0.2, "--review-rate", 0.1), "must exceed"),
        (("--tail", "normal"), "generalized-pareto"),
    ],
)
def test_wrong_rates_are_told_and_the_file_is_left(
    model_file: Path, options: tuple[object, ...], words: str, tmp_path: Path
) -> None:
    own = tmp_path / "own.safetensors"
    shutil.copy(model_file, own)
    failed = run("calibrate", own, *options, code=1)
    assert words in failed.stderr
    assert own.read_bytes() == model_file.read_bytes()


def test_a_threshold_by_hand_is_recorded_as_such_and_the_file_as_it_was_is_kept(
    model_file: Path, product: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.safetensors"
    shutil.copy(model_file, own)
    done = json.loads(run("calibrate", own, "--threshold", 1.25, "--json").stdout)
    assert (done["source"], done["scores_source"], done["threshold"]) == ("by-hand", "held-out", 1.25)
    assert (done["rate_interval95"], done["backup"]) == (None, f"{own}.bak")
    assert Path(done["backup"]).read_bytes() == model_file.read_bytes()
    row = next(csv.DictReader(io.StringIO(run("score", own, product / "test" / "good", "--csv", "-").stdout)))
    assert float(row["threshold"]) == 1.25
    assert (float(row["score"]) > 1.25) == (row["decision"] == "reject")
    by_hand = own.read_bytes()
    again = run("calibrate", own, "--false-reject-rate", 0.2)
    assert "held out of training" in again.stderr
    assert Path(f"{own}.bak2").read_bytes() == by_hand
    assert "give one of them" in run("calibrate", own, "--threshold", 1, "--false-reject-rate", 0.1, code=2).stderr


def test_calibrate_adds_to_the_scores_that_the_model_has(model_file: Path, product: Path, tmp_path: Path) -> None:
    to = tmp_path / "m.safetensors"
    first = json.loads(run("calibrate", model_file, "--false-reject-rate", 0.2, "-o", to, "--json").stdout)
    assert first["backup"] is None
    more = json.loads(
        run("calibrate", to, product / "test" / "good", "--add", "--false-reject-rate", 0.1, "-o", to, "--json").stdout
    )
    assert (first["images"], more["images"], more["source"]) == (10, 16, "held-out")
    assert "name them" in run("calibrate", to, "--add", code=2).stderr


@pytest.mark.parametrize(
    ("option", "figure", "other"),
    [
        (("--good", "test/good"), "false_reject_rate", "escape_rate"),
        (("--defective", "test/scratch"), "escape_rate", "false_reject_rate"),
    ],
)
def test_good_or_defective_images_alone_show_one_rate(
    model_file: Path, product: Path, option: tuple[str, str], figure: str, other: str
) -> None:
    found = json.loads(run("evaluate", model_file, product, *option, "--json").stdout)
    low, high = found[f"{figure}_ci95"]
    assert 0 <= low <= found[figure] <= high <= 1
    assert not {other, "image_auroc", "average_precision"} & found.keys()
    text = run("evaluate", model_file, product, *option).stdout
    assert "alone, which show no AUROC" in text
    assert figure.partition("_")[0] in text


def test_defects_among_the_calibration_images_are_told_of(model_file: Path, product: Path, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    for place in range(4):
        for kind in ("scratch", "blot"):
            for number in range(3):
                name = f"{kind}{place}{number}.png"
                shutil.copy(product / "test" / kind / f"{place:03}.png", tmp_path / "good" / name)
    done = run("calibrate", model_file, tmp_path / "good", "-o", tmp_path / "m.safetensors", "--json")
    assert "score above the threshold that the model had, where 0.1 was stated" in done.stderr
    assert json.loads(done.stdout)["warning"]
    fine = json.loads(
        run("calibrate", model_file, "--false-reject-rate", 0.2, "-o", tmp_path / "m.safetensors", "--json").stdout
    )
    assert fine["warning"] is None


def test_copies_of_calibration_images_count_once(model_file: Path, product: Path, tmp_path: Path) -> None:
    images = sorted((product / "train" / "good").iterdir())[:12]
    for place, image in enumerate(images):
        for copy in range(2):
            (tmp_path / "good").mkdir(exist_ok=True)
            shutil.copy(image, tmp_path / "good" / f"{place}-{copy}.png")
    to = tmp_path / "m.safetensors"
    done = json.loads(
        run("calibrate", model_file, tmp_path / "good", "--false-reject-rate", 0.1, "-o", to, "--json").stdout
    )
    assert done["images"] == 12
    assert "12 of 24 images are exact copies of others" in done["warning"]
    too_few = run("calibrate", model_file, tmp_path / "good", "-o", to)
    assert "there are 12 different ones, and a rate of 0.05 takes 19, so it cannot be promised" in too_few.stderr


def test_images_that_were_learnt_from_or_added_before_are_told_of(
    model_file: Path, product: Path, tmp_path: Path
) -> None:
    unseen, to = tmp_path / "unseen", tmp_path / "m.safetensors"
    unseen.mkdir()
    rng = np.random.default_rng(9)
    for place in range(24):
        Image.fromarray(plate(rng)).save(unseen / f"{place}.png")
    first = json.loads(run("calibrate", model_file, unseen, "--false-reject-rate", 0.1, "-o", to, "--json").stdout)
    assert "learnt from" not in str(first["warning"])
    again = run("calibrate", to, unseen, "--add", "--false-reject-rate", 0.1)
    assert "holds the scores of 24 of these 24 images already" in again.stderr


def test_scores_far_below_those_of_unseen_images_are_told_of() -> None:
    rng = np.random.default_rng(0)
    unseen, lower, same = (rng.normal(at, 1, 40).astype(np.float32) for at in (0, -3, 0))
    said = remarks_on_scores(None, unseen, lower, added=False)
    assert len(said) == 1
    assert "may be among those that it learnt from" in said[0]
    assert not remarks_on_scores(None, unseen, same, added=False)
    assert not remarks_on_scores(None, unseen[:5], lower, added=False)


def test_good_images_that_seem_learnt_are_told_of_where_they_are_tested_with(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rng = np.random.default_rng(0)
    unseen = torch.tensor(rng.normal(0, 1, 40), dtype=torch.float32)
    detector = SimpleNamespace(held_out_scores=unseen)
    for at, said in ((-4.0, True), (0.0, False), (4.0, False)):
        scored = [
            SimpleNamespace(image=SimpleNamespace(is_defective=place >= 20), verdict=SimpleNamespace(score=score))
            for place, score in enumerate(rng.normal(at, 1, 25))
        ]
        warn_of_learnt_images(detector, SimpleNamespace(scored=scored))  # type: ignore[arg-type]
        assert (
            "the 20 good images score far below the 40 good ones that set the threshold" in capsys.readouterr().err
        ) is said


def test_calibration_images_unlike_the_training_images_are_told_of(
    model_file: Path, product: Path, tmp_path: Path
) -> None:
    for image in (product / "train" / "good").iterdir():
        Image.open(image).resize((300, 200)).save(tmp_path / image.name)
    done = run("calibrate", model_file, tmp_path, "--false-reject-rate", 0.1, "-o", tmp_path / "m.safetensors")
    assert "24 of 24 image(s) are unlike the training images: another aspect and size" in done.stderr


def test_a_grossly_defective_calibration_image_is_named(model_file: Path, product: Path, tmp_path: Path) -> None:
    shutil.copytree(product / "train" / "good", tmp_path / "good")
    noise = np.random.default_rng(0).integers(0, 255, (96, 96, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "good" / "broken.png")
    done = run("calibrate", model_file, tmp_path / "good", "-o", tmp_path / "m.safetensors")
    assert "broken.png: scores far above" in done.stderr


def test_explain_writes_a_picture_per_image_under_names_of_their_own(
    model_file: Path, product: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    images = [product / "test" / "good" / "000.png", product / "test" / "blot" / "000.png", broken]
    done = run("explain", model_file, *images, "-o", tmp_path / "maps", "--json", code=1)
    document = json.loads(done.stdout)
    assert [Path(row["picture"]).name for row in document["images"]] == ["000.png", "blot_000.png"]
    assert document["images"][1]["regions"]
    assert [Path(row["path"]).name for row in document["skipped"]] == ["broken.png"]
    for row in document["images"]:
        with Image.open(row["picture"]) as picture:
            assert picture.format == "PNG"
    run("explain", model_file, images[0], "-o", broken, code=1)


def test_evaluate_tells_both_errors_at_the_threshold(model_file: Path, product: Path) -> None:
    document = json.loads(run("evaluate", model_file, product, "--json").stdout)
    for name in ("false_reject_rate", "escape_rate"):
        low, high = document[f"{name}_ci95"]
        assert 0 <= low <= document[name] <= high <= 1


def test_a_wrong_region_of_interest_is_told_before_training(product: Path, tmp_path: Path) -> None:
    Image.new("L", (50, 50), 255).save(tmp_path / "small.png")
    Image.new("L", (96, 96), 0).save(tmp_path / "empty.png")
    for region, words in (
        (tmp_path / "small.png", "50 x 50"),
        (tmp_path / "empty.png", "no pixel"),
        ("0,0,200,200", "outside"),
        ("1,2,3", "four whole numbers"),
        (tmp_path / "missing.png", "no such mask"),
    ):
        failed = run("train", product, "-o", tmp_path / "m.safetensors", "--region", region, *SETTINGS, code=1)
        assert words in failed.stderr
    assert not (tmp_path / "m.safetensors").exists()
