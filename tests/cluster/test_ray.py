"""The same on a Ray cluster that was started elsewhere: products in tasks, images through actors, workers that die."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.cluster.conftest import (
    DIFFERNET,
    IMAGES,
    PRODUCTS,
    TINY_WORDS,
    Cluster,
    names,
    result_rows,
    run,
    tensors_differ,
    write_plates,
)

# A worker of the cluster computes with one thread; to the last bit the same is what one thread computes here.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    found = Cluster(tmp_path_factory.mktemp("cluster"), cores=2)
    yield found
    found.stop()


def test_products_that_ray_trains_are_those_trained_alone_and_a_broken_one_has_its_reason(
    cluster: Cluster, fleet_products: Path, tmp_path: Path
) -> None:
    products = Path(shutil.copytree(fleet_products, tmp_path / "products"))
    for i in range(IMAGES):
        (products / "broken").mkdir(exist_ok=True)
        (products / "broken" / f"{i}.png").write_text("no image")
    words = ["products", "-o", "models", *TINY_WORDS, "--json"]
    done = run("fleet", "train", *words, "--ray", cluster.address, code=1, cwd=tmp_path)
    rows = {row["product"]: row for row in json.loads(done.stdout)["products"]}
    assert {name: row["status"] for name, row in rows.items()} == {"broken": "failed"} | dict.fromkeys(
        PRODUCTS, "trained"
    )
    assert "0.png" in rows["broken"]["reason"]
    assert done.stderr.count("warning:") == 1
    for name in PRODUCTS:
        alone = tmp_path / f"{name}.safetensors"
        run("train", products / name, "-o", alone, *TINY_WORDS, env=ONE_THREAD)
        assert tensors_differ(alone, tmp_path / "models" / f"{name}.safetensors") == []
    again = run("fleet", "train", *words, "--ray", cluster.address, code=1, cwd=tmp_path)
    statuses = {row["product"]: row["status"] for row in json.loads(again.stdout)["products"]}
    assert statuses == {"broken": "failed"} | dict.fromkeys(PRODUCTS, "unchanged")


def test_ray_scores_an_archive_as_this_process_does_whatever_it_is(
    cluster: Cluster, fleet_models: Path, archive: Path, tmp_path: Path
) -> None:
    run("fleet", "score", fleet_models, archive, "--out", tmp_path / "here", code=1)
    expected = result_rows(tmp_path / "here")
    files = [f"{name}/{i:03}.png" for i in range(8) for name in PRODUCTS]
    columns = {
        "path": files,
        "product": [Path(file).parent.name for file in files],
        "bytes": [(archive / file).read_bytes() for file in files],
    }
    pq.write_table(pa.table(columns), tmp_path / "images.parquet", row_group_size=5)
    for kind, source in (("folder", archive), ("parquet", "images.parquet"), ("remote", f"file://{archive}")):
        words = ["fleet", "score", fleet_models, source, "--out", kind, "--ray", cluster.address, "--json"]
        done = run(*words, code=1, cwd=tmp_path)
        summary = json.loads(done.stdout)
        assert (summary["scored"], summary["errors"], summary["already_done"]) == (22, 2, 0), kind
        rows = result_rows(tmp_path / kind)
        assert names(rows) == names(expected)
        assert [row["score"] for row in rows] == pytest.approx([row["score"] for row in expected], rel=1e-4)
        assert [row["decision"] for row in rows] == [row["decision"] for row in expected]
        assert [bool(row["error"]) for row in rows] == [bool(row["error"]) for row in expected]
    # Some rows are lost: only they are done, in Parquet as well.
    for kind, source in (("folder", archive), ("parquet", "images.parquet")):
        shutil.rmtree(tmp_path / kind / "product=nut")
        words = ["fleet", "score", fleet_models, source, "--out", kind, "--ray", cluster.address, "--json"]
        summary = json.loads(run(*words, code=1, cwd=tmp_path).stdout)
        assert (summary["scored"], summary["errors"], summary["already_done"]) == (7, 1, 16), kind
        assert names(result_rows(tmp_path / kind)) == names(expected)


def workers(parent: int) -> list[psutil.Process]:
    """Actors that score."""
    found = []
    for process in psutil.Process(parent).children(recursive=True):
        try:
            if "MapBatches" in " ".join(process.cmdline()):
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def test_a_worker_that_is_killed_costs_no_row_and_doubles_none(
    cluster: Cluster, fleet_models: Path, tmp_path: Path
) -> None:
    for name in PRODUCTS:
        write_plates(tmp_path / "archive" / name, 10, 3)
        for i in range(10, 500):
            (tmp_path / "archive" / name / f"{i:03}.png").symlink_to(f"{i % 10:03}.png")
    words = ["fleet", "score", fleet_models, "archive", "--out", "out", "--ray", cluster.address, "--json"]
    with subprocess.Popen(
        [*DIFFERNET, *map(str, words)], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        killed = None
        deadline = time.monotonic() + 60
        while killed is None and time.monotonic() < deadline and process.poll() is None:
            for worker in workers(cluster.process_id):
                if worker.cpu_times().user > 0.0 and busy(worker):
                    killed = worker.pid
                    os.kill(killed, signal.SIGKILL)
                    break
            time.sleep(0.02)
        stdout, stderr = process.communicate(timeout=120)
    assert killed is not None
    assert process.returncode == 0, stderr
    assert "Traceback" not in stderr
    assert json.loads(stdout)["scored"] == 1500
    assert names(result_rows(tmp_path / "out")) == [
        (name, f"{name}/{i:03}.png") for name in PRODUCTS for i in range(500)
    ]


def busy(worker: psutil.Process) -> bool:
    """Whether an actor is scoring, by its title."""
    return "map_batches" in " ".join(worker.cmdline()).lower()
