"""Training a fleet in this process: what fails is reported, what is unchanged is left."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from differnet import DifferNet
from differnet.errors import OutputError
from differnet.fleet.product_training import TRAINING_COLUMNS, TrainingRow
from differnet.fleet.products import find_products
from differnet.fleet.training import jobs_of, train_fleet
from differnet.model_file.bundle import read_manifest
from differnet.settings import preset
from differnet.settings.recipe import recipe_template
from tests.fleet.conftest import IMAGES, PRODUCTS, TINY, Board, tensors_differ, write_plates


def train(
    products: Path, models: Path, board: Board | None = None, changes: Mapping[str, object] | None = None
) -> dict[str, TrainingRow]:
    models.mkdir(exist_ok=True)
    jobs = jobs_of(find_products(products), models, "default", TINY | dict(changes or {}), "cpu")
    return {row.product: row for row in train_fleet(jobs, models, board or Board())}


def test_every_product_gets_the_model_that_it_would_get_alone(fleet_products: Path, fleet_models: Path) -> None:
    assert sorted(file.name for file in fleet_models.iterdir()) == [f"{name}.safetensors" for name in PRODUCTS]
    alone = DifferNet(preset("default").with_overrides(TINY), device="cpu").fit(fleet_products / "nut")
    fleets = DifferNet.load(fleet_models / "nut.safetensors", device="cpu")
    assert alone.manifest is not None
    assert fleets.manifest is not None
    assert fleets.manifest.model_id == alone.manifest.model_id
    image = fleet_products / "bolt" / "000.png"
    assert fleets.score(image) == alone.score(image)


def test_a_broken_product_is_reported_with_its_reason_and_the_others_go_on(tmp_path: Path) -> None:
    write_plates(tmp_path / "p" / "good", IMAGES, 0)
    write_plates(tmp_path / "p" / "few", 1, 0)
    (tmp_path / "p" / "empty").mkdir()
    (tmp_path / "p" / "broken").mkdir()
    for i in range(IMAGES):
        (tmp_path / "p" / "broken" / f"{i}.png").write_text("no image")
    (tmp_path / "p" / "wrong.yaml").write_text("images: good\ncalibration:\n  false_reject_rat: 0.1\n")
    (tmp_path / "p" / "odd").mkdir()
    write_plates(tmp_path / "p" / "odd", IMAGES, 0)
    (tmp_path / "p" / "odd" / "003.png").write_text("no image")
    board = Board()
    rows = train(tmp_path / "p", tmp_path / "models", board)
    assert board.finished_products == sorted(rows)
    assert {name: row.status for name, row in rows.items()} == {
        "broken": "failed",
        "empty": "failed",
        "few": "failed",
        "good": "trained",
        "odd": "trained",
        "wrong": "failed",
    }
    reasons = {name: row.reason or "" for name, row in rows.items()}
    assert "0.png" in reasons["broken"]
    assert "no images found" in reasons["empty"]
    assert "line 3, calibration.false_reject_rat" in reasons["wrong"]
    assert "image" in reasons["few"]
    assert "1 image(s) skipped: " in reasons["odd"]
    assert "003.png" in reasons["odd"]
    assert rows["odd"].skipped_images == 1
    assert reasons["good"] == ""
    assert sorted(file.stem for file in (tmp_path / "models").iterdir()) == ["good", "odd"]


def test_a_row_tells_what_it_took_and_has_a_column_for_each_field(fleet_products: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "nut").symlink_to(fleet_products / "nut")
    board = Board()
    row = train(tmp_path / "p", tmp_path / "models", board)["nut"]
    manifest = read_manifest(tmp_path / "models" / "nut.safetensors")
    assert (row.model_id, row.epochs, row.images) == (manifest.model_id, 2, manifest.training.images)
    assert manifest.calibration is not None
    assert (row.threshold, row.false_reject_rate) == (manifest.calibration.threshold, 0.1)
    assert row.seconds is not None
    assert row.seconds > 0
    assert row.peak_mb is not None
    assert 100 < row.peak_mb < 10_000
    assert [TRAINING_COLUMNS[name] for name in ("status", "reason", "images", "seconds")] == [str, str, int, float]
    assert {product for product, _ in board.stages} == {"nut"}
    assert ("nut", "training") in board.stages


def test_what_is_finished_and_unchanged_is_left_and_what_changed_is_trained_anew(tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b", "c", "d")):
        write_plates(tmp_path / "p" / name, IMAGES, seed)
    recipe = tmp_path / "p" / "c.yaml"
    recipe.write_text(recipe_template("c"))
    models = tmp_path / "models"
    train(tmp_path / "p", models)
    before = {file.name: file.read_bytes() for file in models.iterdir()}
    again = train(tmp_path / "p", models)
    assert {row.status for row in again.values()} == {"unchanged"}
    assert {file.name: file.read_bytes() for file in models.iterdir()} == before
    assert again["a"].threshold is not None

    write_plates(tmp_path / "p" / "a", IMAGES + 1, 0)  # another image
    recipe.write_text(recipe.read_text() + "region: 0,0,48,48\n")
    (models / "d.safetensors").write_bytes(b"broken")
    changed = train(tmp_path / "p", models)
    assert {name: row.status for name, row in changed.items()} == {
        "a": "trained",
        "b": "unchanged",
        "c": "trained",
        "d": "trained",
    }
    assert {row.status for row in train(tmp_path / "p", models, changes={"seed": 7}).values()} == {"trained"}
    assert {row.status for row in train(tmp_path / "p", models, changes={"seed": 7}).values()} == {"unchanged"}


def test_images_under_other_names_and_in_another_place_are_the_same_images(
    fleet_products: Path, models: Path, tmp_path: Path
) -> None:
    shutil.copytree(fleet_products / "nut", tmp_path / "p" / "nut")
    for file in list((tmp_path / "p" / "nut").iterdir()):
        file.rename(file.with_stem(file.stem[::-1] + "x"))
    assert train(tmp_path / "p", models)["nut"].status == "unchanged"


def test_what_training_chose_does_not_count_as_changed(tmp_path: Path) -> None:
    write_plates(tmp_path / "p" / "a", IMAGES, 0)
    auto = {"views.kind": "auto", "views.enlarge": False, "views.size": 448}
    auto |= {"scoring.join": "sum-of-logarithms", "scoring.local": True}
    assert train(tmp_path / "p", tmp_path / "models", changes=auto)["a"].status == "trained"
    assert train(tmp_path / "p", tmp_path / "models", changes=auto)["a"].status == "unchanged"
    scoring = read_manifest(tmp_path / "models" / "a.safetensors").settings.scoring
    assert (scoring.flow_weight, scoring.reduced_weight) == (0.1, 0.5)


def test_recipes_and_their_changes_are_kept_in_the_model(tmp_path: Path) -> None:
    write_plates(tmp_path / "images", IMAGES, 0)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "plate.yaml").write_text("images: ../images\nseed: 5\n")
    assert train(tmp_path / "p", tmp_path / "models")["plate"].status == "trained"
    manifest = read_manifest(tmp_path / "models" / "plate.safetensors")
    assert manifest.settings.seed == 5
    assert manifest.settings.flow.hidden == TINY["flow.hidden"]
    assert manifest.recipe is not None
    assert manifest.recipe.startswith("images: ../images\nseed: 5\n# Changed on the command line: --set ")


def test_weights_that_are_missing_fail_only_the_products_that_need_them(tmp_path: Path, fleet_products: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "nut").symlink_to(fleet_products / "nut")
    (tmp_path / "p" / "other.yaml").write_text("images: nut\nextractor: {name: vgg16}\n")
    changes = {name: value for name, value in TINY.items() if name != "extractor.name"}
    (tmp_path / "w").mkdir()
    from differnet.extractors import find_weights

    (tmp_path / "w" / "efficientnet-lite0.safetensors").symlink_to(find_weights("efficientnet-lite0").origin)
    (tmp_path / "models").mkdir()
    jobs = jobs_of(find_products(tmp_path / "p"), tmp_path / "models", "default", changes, "cpu")
    rows = {row.product: row for row in train_fleet(jobs, tmp_path / "models", Board(), str(tmp_path / "w"))}
    assert rows["nut"].status == "trained"
    assert rows["other"].status == "failed"
    assert "vgg16" in (rows["other"].reason or "")


def test_models_that_cannot_be_written_end_the_run(fleet_products: Path, tmp_path: Path) -> None:
    jobs = jobs_of(find_products(fleet_products), tmp_path / "absent", "default", TINY, "cpu")
    with pytest.raises(OutputError, match=r"bolt\.safetensors: cannot be written"):
        train_fleet(jobs, tmp_path / "absent", Board())


def test_a_stopped_fleet_keeps_what_is_finished_and_goes_on(tmp_path: Path) -> None:
    for seed, name in enumerate(("a", "b")):
        write_plates(tmp_path / "p" / name, IMAGES, seed)

    class Impatient(Board):
        def running(self, product: str, stage: str, done: int, total: int) -> None:
            if product == "b" and stage == "training":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "p", tmp_path / "models", Impatient())
    assert [file.name for file in (tmp_path / "models").iterdir()] == ["a.safetensors"]
    rows = train(tmp_path / "p", tmp_path / "models")
    assert [rows[name].status for name in ("a", "b")] == ["unchanged", "trained"]


def test_the_same_seed_gives_the_same_tensors(fleet_products: Path, fleet_models: Path, tmp_path: Path) -> None:
    train(fleet_products, tmp_path / "models")
    for name in PRODUCTS:
        assert tensors_differ(fleet_models / f"{name}.safetensors", tmp_path / "models" / f"{name}.safetensors") == []
