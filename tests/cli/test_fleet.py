"""``differnet fleet`` as users run it: in this process, stopped and started again, without Ray, and on a cluster."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.cli.test_commands import Terminal, run
from tests.fleet.conftest import PRODUCTS, TINY_WORDS, Cluster, names, result_rows, write_plates

HEADINGS = "product status images held-out loss calibrated on threshold seconds peak MB"
# Hides packages from the interpreter, as if their extra were not installed.
HIDE = """
import importlib.machinery, os, sys
HIDDEN = set(os.environ["HIDDEN"].split())
class Hider(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in HIDDEN else super().find_spec(name, path, target)
sys.meta_path[:] = [Hider if finder is importlib.machinery.PathFinder else finder for finder in sys.meta_path]
"""


@pytest.fixture
def without_extra(tmp_path: Path) -> dict[str, str]:
    """An environment in which Ray, pyarrow and fsspec are not installed."""
    folder = tmp_path / "hide"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HIDE)
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "HIDDEN": "ray pyarrow fsspec pandas"}


def test_train_reports_each_product_and_writes_a_table(fleet_products: Path, tmp_path: Path) -> None:
    products = Path(shutil.copytree(fleet_products, tmp_path / "products"))
    (products / "empty").mkdir()
    models = products / "models"  # a folder of models among the products is no product
    done = run("fleet", "train", products, "-o", models, *TINY_WORDS, code=1)
    assert "Working in this process" in done.stderr
    assert "[1/4] bolt trained" in done.stderr
    assert "warning: empty: " in done.stderr
    assert "3 trained, 0 unchanged, 1 failed" in done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == HEADINGS.split()
    assert [line.split()[:2] for line in lines[1:]] == [
        ["bolt", "trained"],
        ["empty", "failed"],
        ["nut", "trained"],
        ["washer", "trained"],
    ]
    document = json.loads(run("fleet", "train", products, "-o", models, *TINY_WORDS, "--json", code=1).stdout)
    assert [row["status"] for row in document["products"]] == ["unchanged", "failed", "unchanged", "unchanged"]
    assert document["table"] == str(models / "fleet.parquet")
    table = pq.read_table(models / "fleet.parquet").to_pylist()
    assert table == document["products"]
    assert table[0]["threshold"] is not None
    assert table[1]["reason"]


def test_a_wrong_setting_is_one_error_before_anything_is_trained(fleet_products: Path, tmp_path: Path) -> None:
    done = run("fleet", "train", fleet_products, "-o", tmp_path / "m", "--set", "flow.hiden=3", code=1)
    assert done.stderr.count("error:") == 1
    assert "flow.hiden" in done.stderr
    assert not (tmp_path / "m").exists()


def test_score_writes_a_row_per_image_and_tells_of_errors(fleet_models: Path, archive: Path, tmp_path: Path) -> None:
    done = run("fleet", "score", fleet_models, archive, "--out", tmp_path / "out", "--json", code=1)
    document = json.loads(done.stdout)
    assert (document["images"], document["scored"], document["errors"], document["already_done"]) == (24, 22, 2, 0)
    assert sum(document["decisions"].values()) == 22
    assert "2 image(s) have an error instead of a score" in done.stderr
    assert len(result_rows(tmp_path / "out")) == 24
    again = run("fleet", "score", fleet_models, archive, "--out", tmp_path / "out", code=1)
    assert "2 row(s) of before have an error instead of a score" in again.stderr
    wrong = run("fleet", "score", fleet_models, archive, "--out", tmp_path / "out", "--views", "some", code=2)
    assert "neither 'sequential' nor 'all'" in wrong.stderr


def test_ctrl_c_keeps_what_is_scored_and_the_same_command_does_the_rest(fleet_models: Path, tmp_path: Path) -> None:
    for name in PRODUCTS:
        write_plates(tmp_path / "archive" / name, 10, 3)
        for i in range(10, 600):
            (tmp_path / "archive" / name / f"{i:03}.png").symlink_to(f"{i % 10:03}.png")
    words = ["fleet", "score", fleet_models, tmp_path / "archive", "--out", tmp_path / "out"]
    terminal = Terminal(*words)
    terminal.read_until("scores")
    assert terminal.interrupt() == 130, terminal.text
    assert "the same command goes on from what is in" in terminal.text
    assert "Traceback" not in terminal.text
    before = names(result_rows(tmp_path / "out"))
    assert 0 < len(before) < 1800
    document = json.loads(run(*words, "--json").stdout)
    assert (document["scored"], document["already_done"]) == (1800 - len(before), len(before))
    assert names(result_rows(tmp_path / "out")) == [
        (name, f"{name}/{i:03}.png") for name in PRODUCTS for i in range(600)
    ]


def test_ctrl_c_while_a_fleet_trains_leaves_whole_models_only(fleet_products: Path, tmp_path: Path) -> None:
    endless = ["--set", "training.epochs=100000", "--set", "training.patience=0"]
    terminal = Terminal("fleet", "train", fleet_products, "-o", tmp_path / "m", *TINY_WORDS, *endless)
    terminal.read_until("training")
    assert terminal.interrupt() == 130, terminal.text
    assert "the same command goes on with the others" in terminal.text
    assert "Traceback" not in terminal.text
    assert list((tmp_path / "m").iterdir()) == []


def test_without_the_extra_all_is_done_in_this_process_and_ray_says_which_extra(
    fleet_products: Path, archive: Path, tmp_path: Path, without_extra: dict[str, str]
) -> None:
    models, out = tmp_path / "models", tmp_path / "out"
    train = ["fleet", "train", fleet_products, "-o", models, *TINY_WORDS]
    score = ["fleet", "score", models, archive, "--out", out]
    refused = run(*train, "--ray", "local", code=1, env=without_extra)
    assert "error: --ray needs Ray. Run: " in refused.stderr
    assert "pip install 'differnet[cluster]'" in refused.stderr
    run(*train, env=without_extra)
    rows = list(csv.DictReader((models / "fleet.csv").open(newline="")))
    assert [(row["product"], row["status"]) for row in rows] == [(name, "trained") for name in PRODUCTS]

    done = run(*score, code=1, env=without_extra)
    assert "Results are written as CSV" in done.stderr
    files = sorted(out.rglob("part-*"))
    assert [file.parent.name for file in files] == [f"product={name}" for name in PRODUCTS]
    assert sum(len(list(csv.DictReader(file.open(newline="")))) for file in files) == 24
    # With the extra, the same run goes on from CSV.
    assert "24 were done before" in run(*score, code=1).stderr
    for source, package in ((tmp_path / "a.parquet", "pyarrow"), ("s3://bucket/images", "fsspec")):
        told = run("fleet", "score", models, source, "--out", out, code=1, env=without_extra).stderr
        assert package in told
        assert "differnet[cluster]" in told


def test_an_address_without_a_cluster_is_told(fleet_products: Path, tmp_path: Path) -> None:
    done = run("fleet", "train", fleet_products, "-o", tmp_path, "--ray", "nowhere", *TINY_WORDS, code=1)
    assert "There is no Ray cluster at 'nowhere'" in done.stderr
    assert "ray start --head" in done.stderr


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    found = Cluster(folder, cores=1)
    yield found
    found.stop()


def test_a_cluster_that_was_started_elsewhere_trains_and_scores(
    cluster: Cluster, fleet_products: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, source in (("products", fleet_products), ("archive", archive)):
        shutil.copytree(source / PRODUCTS[0], tmp_path / folder / PRODUCTS[0])
    (tmp_path / "products" / "broken").mkdir()
    (tmp_path / "archive" / PRODUCTS[0] / "broken.png").write_text("no image")
    monkeypatch.chdir(tmp_path)
    on = ["--ray", cluster.address, "--json"]
    trained = run("fleet", "train", "products", "-o", "models", *TINY_WORDS, *on, code=1, env=cluster.environment)
    statuses = {row["product"]: row["status"] for row in json.loads(trained.stdout)["products"]}
    assert statuses == {PRODUCTS[0]: "trained", "broken": "failed"}
    assert len(trained.stderr.splitlines()) == 4, "nothing but our own lines"
    assert "Working in this process" not in trained.stderr

    scored = run("fleet", "score", "models", "archive", "--out", "out", *on, code=1, env=cluster.environment)
    document = json.loads(scored.stdout)
    assert (document["scored"], document["errors"]) == (8, 1)
    # Ray's core warns of how Ray Data starts its actors, and cannot be told not to.
    lines = [line for line in scored.stderr.splitlines() if "core_worker.cc" not in line]
    assert len([line for line in lines if not line.startswith("scores: ")]) == 2, scored.stderr
    expected = [*(f"{i:03}.png" for i in range(8)), "broken.png"]
    assert names(result_rows(tmp_path / "out")) == [(PRODUCTS[0], f"{PRODUCTS[0]}/{name}") for name in expected]
