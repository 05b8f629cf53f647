"""A small fleet: three products of striped plates, and models of them that were trained in a second."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as pads
import pytest
import torch
from PIL import Image

from differnet.fleet.product_training import TrainingRow
from differnet.training import EpochReport
from differnet.training.progress import Listener
from tests.conftest import SMALL, plate

# Even less than SMALL: a fleet is many models.
TINY = SMALL | {
    "views.size": 64,
    "extractor.scales": 1,
    "views.kind": "none",
    "views.count": 1,
    "views.training_count": 1,
    "flow.hidden": 8,
    "flow.blocks": 2,
    "training.epochs": 2,
    "localization.cells": 50,
    "localization.dimensions": 16,
}
TINY_WORDS = [word for name, value in TINY.items() for word in ("--set", f"{name}={json.dumps(value)}")]
PRODUCTS = ("bolt", "nut", "washer")
IMAGES = 20


def write_plates(folder: Path, count: int, seed: int, size: int = 64) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    files = [folder / f"{i:03}.png" for i in range(count)]
    for file in files:
        Image.fromarray(plate(rng, size=size)).save(file)
    return files


@pytest.fixture(scope="session")
def fleet_products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three products in plain folders."""
    root = tmp_path_factory.mktemp("products")
    for seed, name in enumerate(PRODUCTS):
        write_plates(root / name, IMAGES, seed)
    return root


@pytest.fixture(scope="session")
def fleet_models(fleet_products: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Their models, trained in this process. Not to be changed; see `models` for a copy."""
    from differnet.fleet.products import find_products
    from differnet.fleet.training import jobs_of, train_fleet

    folder = tmp_path_factory.mktemp("fleet-models")
    jobs = jobs_of(find_products(fleet_products), folder, "default", TINY, "cpu")
    rows = train_fleet(jobs, folder, Board())
    assert [row.status for row in rows] == ["trained"] * len(PRODUCTS), rows
    return folder


@pytest.fixture
def models(fleet_models: Path, tmp_path: Path) -> Path:
    """A copy of the models that a test may change."""
    return Path(shutil.copytree(fleet_models, tmp_path / "models"))


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images to score, a folder for each product; one of them is not an image, one is cut off."""
    root = tmp_path_factory.mktemp("archive")
    for seed, name in enumerate(PRODUCTS):
        write_plates(root / name, 8, 100 + seed)
    (root / "nut" / "003.png").write_text("no image")
    whole = (root / "washer" / "007.png").read_bytes()
    (root / "washer" / "007.png").write_bytes(whole[: len(whole) // 2])
    return root


class Board:
    """Notes what a fleet tells."""

    def __init__(self) -> None:
        self.stages: list[tuple[str, str]] = []
        self.finished_products: list[str] = []

    def product(self, name: str) -> Listener:
        board = self

        class OfProduct(Listener):
            def images(self, stage: str, done: int, total: int) -> None:
                board.running(name, stage, done, total)

            def epoch(self, report: EpochReport) -> None:
                board.running(name, "training", report.epoch, report.epochs)

        return OfProduct()

    def running(self, product: str, stage: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        self.stages.append((product, stage))

    def finished(self, row: TrainingRow) -> None:
        self.finished_products.append(row.product)


class Heard(Listener):
    """Calls a function with how many images of all have a row."""

    def __init__(self, hear: Callable[[int, int], None] = lambda done, total: None) -> None:
        self._hear = hear

    def images(self, stage: str, done: int, total: int) -> None:
        assert stage == "scores"
        self._hear(done, total)


def result_rows(folder: Path) -> list[dict[str, Any]]:
    """All rows of results, as any reader of partitioned Parquet sees them."""
    table = pads.dataset(folder, partitioning="hive").to_table()
    return sorted(table.to_pylist(), key=lambda row: (row["product"], row["path"]))


def names(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    return [(row["product"], row["path"]) for row in rows]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tensors_differ(first: Path, second: Path) -> list[str]:
    """Names of the tensors of two model files that are not the same to the last bit."""
    from differnet.model_file.bundle import read_bundle

    left, right = read_bundle(first)[1], read_bundle(second)[1]
    assert left.keys() == right.keys()
    return [name for name in left if not torch.equal(left[name], right[name])]


class Cluster:
    """A Ray cluster in processes of its own; it ends with its head."""

    def __init__(self, folder: Path, cores: int) -> None:
        # Those who know the token may use the cluster; nobody else can while the tests run.
        self.environment = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(16)}
        program = (
            "import ray, sys\n"
            "found = ray.init('local', num_cpus=int(sys.argv[1]), include_dashboard=False, log_to_driver=False,\n"
            "                 object_store_memory=200_000_000)\n"
            "print(found.address_info['gcs_address'], flush=True)\n"
            "sys.stdin.read()\n"
        )
        self._head = subprocess.Popen(
            [sys.executable, "-c", program, str(cores)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"} | self.environment,
        )
        assert self._head.stdout is not None
        lines = iter(self._head.stdout.readline, "")
        self.address = next(line.strip() for line in lines if ":" in line)

    @property
    def process_id(self) -> int:
        """The head's process, which all others descend from."""
        return self._head.pid

    def stop(self) -> None:
        self._head.communicate(timeout=60)
