"""Scoring an archive in this process: a row for every image, none twice, from wherever a run was stopped."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from differnet import DifferNet
from differnet.errors import DatasetError, ModelFileError, OutputError, WeightsError
from differnet.fleet.archive import Archive, ArchiveImage, open_archive
from differnet.fleet.models import FleetModels, find_models
from differnet.fleet.results import Results
from differnet.fleet.scoring import ScoringSummary, score_archive
from differnet.model_file.bundle import read_bundle, write_bundle
from tests.fleet.conftest import PRODUCTS, Heard, names, result_rows, write_plates


def score(
    models: FleetModels,
    archive: Archive,
    out: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    all_views: bool = False,
) -> ScoringSummary:
    return score_archive(models, archive, Results(out), progress=Heard(progress), device="cpu", all_views=all_views)


def test_every_image_has_a_row_with_the_fields_of_a_verdict(fleet_models: Path, archive: Path, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    images = open_archive(str(archive), with_products=True)
    summary = score(
        find_models(fleet_models), images, tmp_path / "out", lambda done, total: heard.append((done, total))
    )
    assert heard == [(i, 24) for i in range(1, 25)]
    assert (summary.scored, summary.errors, summary.already_done) == (22, 2, 0)
    assert sum((summary.decisions or {}).values()) == 22
    rows = result_rows(tmp_path / "out")
    assert names(rows) == [(name, f"{name}/{i:03}.png") for name in PRODUCTS for i in range(8)]
    model = DifferNet.load(fleet_models / "bolt.safetensors", device="cpu")
    verdict = model.inspect(archive / "bolt" / "000.png").to_dict()
    for name in verdict.keys() - {"path", "milliseconds", "score", "margin"}:
        assert rows[0][name] == verdict[name], name
    assert [rows[0][name] for name in ("score", "margin")] == pytest.approx(
        [verdict[name] for name in ("score", "margin")], abs=1e-4
    )
    assert [row["path"] for row in rows if row["error"]] == ["nut/003.png", "washer/007.png"]


def test_a_run_that_is_done_is_not_done_again(fleet_models: Path, archive: Path, tmp_path: Path) -> None:
    images = open_archive(str(archive), with_products=True)
    score(find_models(fleet_models), images, tmp_path / "out")
    files = sorted((tmp_path / "out").rglob("*"))
    summary = score(find_models(fleet_models), images, tmp_path / "out")
    assert (summary.scored, summary.errors, summary.already_done) == (0, 0, 24)
    assert summary.earlier_errors == 2
    assert sorted((tmp_path / "out").rglob("*")) == files


@pytest.mark.parametrize("kind", ["folder", "parquet"])
def test_an_interrupted_run_goes_on_without_a_row_lost_or_twice(
    kind: str, fleet_models: Path, archive: Path, tmp_path: Path
) -> None:
    source = archive
    if kind == "parquet":
        files = [f"{name}/{i:03}.png" for i in range(8) for name in PRODUCTS]  # the products take turns
        columns = {
            "path": files,
            "product": [Path(file).parent.name for file in files],
            "bytes": [(archive / file).read_bytes() for file in files],
        }
        source = tmp_path / "images.parquet"
        pq.write_table(pa.table(columns), source)
    images = open_archive(str(source), with_products=True)

    def stop(done: int, total: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(find_models(fleet_models), images, tmp_path / "out", stop)
    before = {(row["product"], row["path"]): row["milliseconds"] for row in result_rows(tmp_path / "out")}
    assert len(before) == 10
    summary = score(find_models(fleet_models), images, tmp_path / "out")
    assert (summary.scored + summary.errors, summary.already_done) == (14, 10)
    rows = result_rows(tmp_path / "out")
    assert names(rows) == [(name, f"{name}/{i:03}.png") for name in PRODUCTS for i in range(8)]
    # Those of the first run are its own.
    assert {key: row["milliseconds"] for key, row in zip(names(rows), rows, strict=True) if key in before} == before


def test_images_that_are_new_in_the_archive_are_added(fleet_models: Path, archive: Path, tmp_path: Path) -> None:
    grown = tmp_path / "archive"
    shutil.copytree(archive / "bolt", grown / "bolt")
    score(find_models(fleet_models), open_archive(str(grown), with_products=True), tmp_path / "out")
    write_plates(grown / "washer", 3, 0)
    summary = score(find_models(fleet_models), open_archive(str(grown), with_products=True), tmp_path / "out")
    assert (summary.scored, summary.already_done) == (3, 8)
    # Rows of images that are no longer there do not count as done.
    shutil.rmtree(grown / "bolt")
    summary = score(find_models(fleet_models), open_archive(str(grown), with_products=True), tmp_path / "out")
    assert (summary.scored, summary.already_done) == (0, 3)


def test_one_model_file_scores_everything_under_its_name(fleet_models: Path, archive: Path, tmp_path: Path) -> None:
    models = find_models(fleet_models / "nut.safetensors")
    summary = score(models, open_archive(str(archive), with_products=False), tmp_path / "out")
    assert summary.scored == 22
    rows = result_rows(tmp_path / "out")
    assert {row["product"] for row in rows} == {"nut"}
    assert [row["path"] for row in rows] == [f"{name}/{i:03}.png" for name in PRODUCTS for i in range(8)]


def test_results_of_a_model_that_was_trained_anew_are_not_mixed(models: Path, archive: Path, tmp_path: Path) -> None:
    images = open_archive(str(archive), with_products=True)
    score(find_models(models), images, tmp_path / "out")
    shutil.copy(models / "bolt.safetensors", models / "nut.safetensors")
    with pytest.raises(OutputError, match="choose another --out, or remove the folder"):
        score(find_models(models), images, tmp_path / "out")


def test_results_by_an_older_threshold_are_not_mixed(models: Path, archive: Path, tmp_path: Path) -> None:
    images = open_archive(str(archive), with_products=True)
    score(find_models(models), images, tmp_path / "out")
    model = DifferNet.load(models / "nut.safetensors", device="cpu")
    model.calibrate(false_reject_rate=0.3)
    model.save(models / "nut.safetensors")
    with pytest.raises(OutputError, match="holds verdicts by the threshold"):
        score(find_models(models), images, tmp_path / "out")


def test_a_product_without_a_model_has_rows_that_say_so(models: Path, archive: Path, tmp_path: Path) -> None:
    (models / "nut.safetensors").unlink()
    summary = score(find_models(models), open_archive(str(archive), with_products=True), tmp_path / "out")
    assert (summary.scored, summary.errors) == (15, 9)
    assert {row["error"] for row in result_rows(tmp_path / "out") if row["product"] == "nut"} == {
        "There is no model of 'nut'; train it."
    }


def test_memory_is_bounded_because_images_are_taken_as_needed(
    fleet_models: Path, archive: Path, tmp_path: Path
) -> None:
    taken: list[int] = []

    class Endless:
        total = 10**9

        def images(self) -> Iterator[ArchiveImage]:
            for i in range(self.total):
                taken.append(i)
                yield ArchiveImage(str(i), "bolt", str(archive / "bolt" / "000.png"))

    def stop(done: int, total: int) -> None:
        if done == 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(find_models(fleet_models), Endless(), tmp_path / "out", stop)
    assert len(taken) < 300
    assert len(result_rows(tmp_path / "out")) == 100


def test_all_views_are_scored_when_asked_for(fleet_models: Path, archive: Path, tmp_path: Path) -> None:
    images = open_archive(str(archive), with_products=True)
    score(find_models(fleet_models), images, tmp_path / "out", all_views=True)
    assert {row["views"] for row in result_rows(tmp_path / "out") if not row["error"]} == {1}


def test_weights_that_a_model_was_not_trained_with_are_told_before_anything_is_scored(
    models: Path, archive: Path, tmp_path: Path
) -> None:
    manifest, tensors = read_bundle(models / "nut.safetensors")
    foreign = manifest.model_copy(update={"extractor_sha256": "0" * 64})
    write_bundle(models / "nut.safetensors", foreign, tensors)
    with pytest.raises(WeightsError, match=r"nut\.safetensors: was trained with other alexnet weights"):
        score(find_models(models), open_archive(str(archive), with_products=True), tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


def test_models_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no model files"):
        find_models(tmp_path)
    with pytest.raises(ModelFileError, match="no such model file"):
        find_models(tmp_path / "absent.safetensors")
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelFileError, match=r"broken\.safetensors"):
        find_models(tmp_path)
