"""The same on Ray: products in tasks, images through actors, and workers that die."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from differnet.errors import ClusterError
from differnet.fleet.archive import open_archive
from differnet.fleet.models import find_models
from differnet.fleet.product_training import TrainingRow
from differnet.fleet.products import find_products
from differnet.fleet.ray_cluster import LOCAL, Resources, check_resources, connected
from differnet.fleet.results import Results
from differnet.fleet.scoring import ScoringSummary, score_archive, score_archive_on_ray
from differnet.fleet.training import jobs_of, train_fleet, train_fleet_on_ray
from tests.fleet.conftest import (
    IMAGES,
    PRODUCTS,
    TINY,
    Board,
    Heard,
    names,
    one_thread,
    result_rows,
    tensors_differ,
    write_plates,
)


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """A Ray cluster of this machine's cores."""
    stdout = sys.stdout
    with connected(LOCAL):
        assert sys.stdout is sys.stderr, "what Ray says of dead workers must not stand in the command's output"
        yield
    assert sys.stdout is stdout


# Long enough to be killed in the middle.
LONG = TINY | {"training.epochs": 300, "training.patience": 0}


def train_on_ray(products: Path, models: Path, board: Board) -> dict[str, TrainingRow]:
    models.mkdir()
    jobs = jobs_of(find_products(products), models, "default", LONG, "cpu")
    return {row.product: row for row in train_fleet_on_ray(jobs, models, board, Resources())}


def score_on_ray(
    models: Path, source: Path | str, out: Path, progress: Callable[[int, int], None] = lambda done, total: None
) -> ScoringSummary:
    archive = open_archive(str(source), with_products=True)
    return score_archive_on_ray(
        find_models(models),
        archive,
        Results(out),
        progress=Heard(progress),
        resources=Resources(),
        workers=2,
        device="cpu",
    )


class Killer(Board):
    """Kills the worker of the first product that is running."""

    def __init__(self) -> None:
        super().__init__()
        self.killed = 0

    def running(self, product: str, stage: str, done: int, total: int) -> None:
        if not self.killed:
            self.killed = kill_one("_train_remotely")


def test_products_that_ray_trains_are_those_trained_alone_whatever_dies_and_a_broken_one_has_its_reason(
    fleet_products: Path, tmp_path: Path
) -> None:
    products = Path(shutil.copytree(fleet_products, tmp_path / "products"))
    (products / "broken").mkdir()
    for i in range(IMAGES):
        (products / "broken" / f"{i}.png").write_text("no image")
    killer = Killer()
    rows = train_on_ray(products, tmp_path / "models", killer)
    assert killer.killed
    assert {name: row.status for name, row in rows.items()} == dict.fromkeys(PRODUCTS, "trained") | {"broken": "failed"}
    assert "0.png" in (rows["broken"].reason or "")
    alone = tmp_path / "alone"
    alone.mkdir()
    with one_thread():  # as a task of one core computes
        train_fleet(jobs_of(find_products(fleet_products), alone, "default", LONG, "cpu"), alone, Board())
    for name in PRODUCTS:
        file = f"{name}.safetensors"
        assert tensors_differ(alone / file, tmp_path / "models" / file) == []


def test_ray_scores_as_this_process_does_and_a_killed_worker_costs_no_row_and_doubles_none(
    fleet_models: Path, tmp_path: Path
) -> None:
    source = tmp_path / "archive"
    for name in PRODUCTS:
        write_plates(source / name, 10, 3)
        (source / name / "003.png").write_text("no image")
        for i in range(10, 300):
            (source / name / f"{i:03}.png").symlink_to(f"{i % 10:03}.png")
    (source / PRODUCTS[0] / os.fsdecode(b"caf\xe9.png")).symlink_to("000.png")  # not UTF-8
    here = score_here(fleet_models, source, tmp_path / "here")
    killed: list[int] = []

    def kill(done: int, total: int) -> None:
        if not killed and done >= 100:
            killed.append(kill_one("MapBatches"))

    assert here.drift, "copies of ten pictures differ from those of the training"
    assert score_on_ray(fleet_models, source, tmp_path / "out", kill) == here
    assert len(killed) == 1
    assert killed[0]
    check_same(result_rows(tmp_path / "out"), result_rows(tmp_path / "here"))


def test_ray_goes_on_in_parquet_where_rows_are_missing(fleet_models: Path, archive: Path, tmp_path: Path) -> None:
    files = [f"{name}/{i:03}.png" for i in range(8) for name in PRODUCTS]  # the products take turns
    columns = {
        "path": files,
        "product": [Path(file).parent.name for file in files],
        "bytes": [(archive / file).read_bytes() for file in files],
    }
    pq.write_table(pa.table(columns), tmp_path / "images.parquet", row_group_size=5)
    score_here(fleet_models, tmp_path / "images.parquet", tmp_path / "here")
    shutil.copytree(tmp_path / "here", tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "product=nut")
    summary = score_on_ray(fleet_models, tmp_path / "images.parquet", tmp_path / "out")
    assert (summary.scored, summary.errors, summary.already_done) == (7, 1, 16)
    check_same(result_rows(tmp_path / "out"), result_rows(tmp_path / "here"))


def score_here(models: Path, source: Path, out: Path) -> ScoringSummary:
    archive = open_archive(str(source), with_products=True)
    return score_archive(find_models(models), archive, Results(out), progress=Heard(), device="cpu")


def check_same(rows: Sequence[Mapping[str, Any]], expected: Sequence[Mapping[str, Any]]) -> None:
    assert names(rows) == names(expected)
    for row, same in zip(rows, expected, strict=True):
        assert (row["decision"], bool(row["error"])) == (same["decision"], bool(same["error"]))
        assert row["score"] == (None if same["score"] is None else pytest.approx(same["score"], rel=1e-4))


def kill_one(title: str) -> int:
    """Kill a worker that is busy with something, as the system does where memory runs out; 0 if there is none."""
    for process in psutil.Process().children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                os.kill(process.pid, signal.SIGKILL)
                return process.pid
        except psutil.NoSuchProcess:
            continue
    return 0


def test_more_than_any_node_has_is_refused() -> None:
    with pytest.raises(ClusterError, match=r"No node of the cluster has 1000 cores .* ask for fewer with --cpus"):
        check_resources(Resources(cpus=1000))
    with pytest.raises(ClusterError, match="2 GPUs"):
        check_resources(Resources(gpus=2.0))
