"""Scoring images by the models of their products, in order, without ever stopping at one of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from differnet import DifferNet
from differnet.fleet.archive import ArchiveImage, open_archive
from differnet.fleet.image_scoring import ModelShelf, by_product, score_images
from differnet.model_file.bundle import read_manifest
from tests.fleet.conftest import PRODUCTS, names, write_plates


def model_of(models: Path, name: str) -> Path | None:
    file = models / f"{name}.safetensors"
    return file if file.is_file() else None


@pytest.fixture
def shelf(fleet_models: Path) -> ModelShelf:
    return ModelShelf(lambda name: model_of(fleet_models, name), {}, "cpu")


def test_rows_are_those_of_the_model_alone_and_errors_stand_among_them(
    shelf: ModelShelf, fleet_models: Path, archive: Path
) -> None:
    images = list(open_archive(str(archive), with_products=True).images())
    rows = list(score_images(shelf, images))
    assert names(rows) == [(image.product, image.path) for image in images]
    failed = {row["path"]: row["error"] for row in rows if row["error"]}
    assert failed.keys() == {"nut/003.png", "washer/007.png"}
    assert "is not a PNG" in failed["nut/003.png"]
    assert "damaged or truncated" in failed["washer/007.png"]
    for name in PRODUCTS:
        model = DifferNet.load(fleet_models / f"{name}.safetensors", device="cpu")
        good = [row for row in rows if row["product"] == name and not row["error"]]
        expected = model.score([archive / row["path"] for row in good])
        assert [row["score"] for row in good] == pytest.approx(expected.tolist(), rel=1e-4)
        assert {row["model_id"] for row in rows if row["product"] == name} == {
            read_manifest(fleet_models / f"{name}.safetensors").model_id
        }
        assert all(row["decision"] in ("accept", "review", "reject") for row in good)


def test_images_as_bytes_score_as_the_files_do(shelf: ModelShelf, archive: Path) -> None:
    files = sorted((archive / "bolt").iterdir())
    located = [ArchiveImage(file.name, "bolt", str(file)) for file in files]
    held = [ArchiveImage(file.name, "bolt", "nowhere", file.read_bytes()) for file in files]
    held.insert(2, ArchiveImage("broken", "bolt", "nowhere", b"no image"))
    rows = list(score_images(shelf, held))
    assert (rows[2]["path"], rows[2].get("score")) == ("broken", None)
    assert rows[2]["error"]
    del rows[2]
    expected = list(score_images(shelf, located))
    assert names(rows) == names(expected)
    assert [row["score"] for row in rows] == pytest.approx([row["score"] for row in expected])


def test_remote_images_that_cannot_be_fetched_are_rows_in_their_place(shelf: ModelShelf, archive: Path) -> None:
    images = [
        ArchiveImage(
            f"{i}",
            "bolt",
            f"file://{archive}/bolt/absent.png" if i % 3 == 1 else f"file://{archive}/bolt/00{i % 8}.png",
        )
        for i in range(40)
    ]
    rows = list(score_images(shelf, images))
    assert [row["path"] for row in rows] == [str(i) for i in range(40)]
    assert [i for i, row in enumerate(rows) if row["error"]] == list(range(1, 40, 3))
    assert "absent.png: cannot be read (FileNotFoundError" in rows[1]["error"]
    only_absent = [images[1]] * 3
    assert len([row for row in score_images(shelf, only_absent) if row["error"]]) == 3


def test_a_product_without_a_model_or_with_a_broken_one_does_not_stop_the_others(models: Path, archive: Path) -> None:
    (models / "bolt.safetensors").unlink()
    (models / "nut.safetensors").write_bytes(b"broken")
    shelf = ModelShelf(lambda name: model_of(models, name), {}, "cpu")
    images = list(open_archive(str(archive), with_products=True).images())
    rows = list(score_images(shelf, images))
    assert names(rows) == [(image.product, image.path) for image in images]
    reasons = {name: {row["error"] for row in rows if row["product"] == name} for name in PRODUCTS}
    assert reasons["bolt"] == {"There is no model of 'bolt'; train it."}
    assert len(reasons["nut"]) == 1
    assert "damaged or not a model file" in reasons["nut"].pop()
    assert None in reasons["washer"]


def test_the_shelf_loads_a_model_once_and_holds_no_more_than_it_may(fleet_models: Path) -> None:
    loaded: list[str] = []

    def fetch(name: str) -> bytes | None:
        loaded.append(name)
        file = model_of(fleet_models, name)
        return None if file is None else file.read_bytes()

    shelf = ModelShelf(fetch, {}, "cpu", held=2)
    first = shelf.get("bolt")
    assert first is not None
    for name in ("bolt", "nut", "bolt", "washer", "bolt", "nut"):
        assert shelf.get(name) is not None
    assert loaded == ["bolt", "nut", "washer", "nut"], "what was used last stays"
    assert shelf.get("bolt") is first
    assert shelf.get("gear") is None


def test_images_are_taken_as_needed(shelf: ModelShelf, archive: Path) -> None:
    taken = 0

    def endless() -> Iterator[ArchiveImage]:
        nonlocal taken
        while True:
            taken += 1
            yield ArchiveImage(str(taken), "bolt", str(archive / "bolt" / "000.png"))

    rows = score_images(shelf, endless())
    for _ in range(5):
        next(rows)
    rows.close()  # type: ignore[attr-defined]
    assert taken < 50


def test_products_that_alternate_are_put_together_within_a_portion(tmp_path: Path) -> None:
    images = [ArchiveImage(str(i), "ab"[i % 2], "") for i in range(8)]
    assert [image.path for image in by_product(images, 4)] == ["0", "2", "1", "3", "4", "6", "5", "7"]
    assert list(by_product(images, 1)) == images
    assert list(by_product([], 0)) == []


def test_one_model_scores_everything(shelf: ModelShelf, tmp_path: Path) -> None:
    files = write_plates(tmp_path, 2, 5)
    rows = list(score_images(shelf, [ArchiveImage(file.name, None, str(file)) for file in files], "nut"))
    assert names(rows) == [("nut", "000.png"), ("nut", "001.png")]
    assert all(row["score"] is not None for row in rows)
