"""What benchmarks.fleet stands on: products and archives of solar cells, commands in other processes, samples."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from differnet.images.solar_cells import find_dataset

__all__ = [
    "SCORERS",
    "TRAINERS",
    "Command",
    "Counted",
    "Sample",
    "archive_of",
    "count_rows",
    "fresh",
    "parquet_of",
    "start_scoring",
    "stopwatch",
    "table",
    "trained_models",
    "write_products",
]

CELLS_OF_A_PRODUCT = 60
PRODUCTS_OF_A_KIND = {"mono": 6, "poly": 5}
BROKEN = "broken"
# How Ray names the processes that score, and those that train.
SCORERS, TRAINERS = "MapBatches", "_train_remotely"


def cells(kind: str) -> list[Path]:
    """Functional cells of a kind."""
    dataset = find_dataset()
    rows = (line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines())
    return [dataset / name for name, probability, found in rows if found == kind and float(probability) == 0.0]


def write_products(root: Path) -> Path:
    """Eleven products of 60 good cells each, and one whose images are damaged."""
    if root.is_dir():
        return root
    for kind, count in PRODUCTS_OF_A_KIND.items():
        good = cells(kind)
        for i in range(count):
            folder = root / f"{kind}-{i}"
            folder.mkdir(parents=True)
            for file in good[i * CELLS_OF_A_PRODUCT : (i + 1) * CELLS_OF_A_PRODUCT]:
                (folder / file.name).symlink_to(file)
    (root / BROKEN).mkdir()
    for file in cells("mono")[:CELLS_OF_A_PRODUCT]:
        (root / BROKEN / file.name).write_bytes(file.read_bytes()[:1000])
    return root


def write_archive(root: Path, images: int, products: Sequence[str]) -> Path:
    """So many images, links to the cells again and again, shared out evenly."""
    if root.is_dir():
        return root
    every = [*cells("mono"), *cells("poly")]
    for i in range(images):
        folder = root / products[i % len(products)]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:06}.png").symlink_to(every[i % len(every)])
    return root


@dataclass(frozen=True)
class Counted:
    """What lies in a folder of results.

    Attributes:
        rows: All rows.
        images: Different images among them.
        errors: Rows with an error.
        files: Files that they lie in.
    """

    rows: int
    images: int
    errors: int
    files: int


def count_rows(results: Path) -> Counted:
    """Count what lies in a folder of results."""
    files = list(results.glob("product=*/part-*.parquet"))
    if not files:
        return Counted(0, 0, 0, 0)
    found = pads.dataset(results, partitioning="hive").to_table(columns=["product", "path", "error"])
    images = found.group_by(["product", "path"]).aggregate([]).num_rows
    return Counted(found.num_rows, images, pc.sum(pc.is_valid(found["error"])).as_py(), len(files))


@dataclass
class Sample:
    """Memory at a moment.

    Attributes:
        seconds: Since the command was started.
        rows: Rows that were written by then.
        driver: Megabytes of the command's own process.
        workers: Megabytes of each process that scores, without what they share.
        shared: Megabytes of Ray's object store.
    """

    seconds: float
    rows: int
    driver: float
    workers: list[float] = field(default_factory=list)
    shared: float = 0.0


class Command:
    """``differnet`` in a process of its own, whose workers can be seen, killed and measured."""

    def __init__(self, *words: object, environment: dict[str, str] | None = None) -> None:
        self.started = time.monotonic()
        self._ended: float | None = None
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            [sys.executable, "-m", "differnet", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | (environment or {}),
        )
        self._seen = psutil.Process(self._process.pid)

    @property
    def seconds(self) -> float:
        """Since it was started, or how long it took."""
        return (self._ended or time.monotonic()) - self.started

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def workers(self, title: str = SCORERS) -> list[psutil.Process]:
        """The processes of Ray that do something."""
        return list(_named(self._seen, title))

    def wait_for(self, condition: Callable[[], bool]) -> bool:
        """Wait until something holds; False if the command ended before."""
        while self.is_running:
            if condition():
                return True
            time.sleep(0.2)
        return False

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the command, not to its workers."""
        self._process.send_signal(number)

    def end(self) -> tuple[int, str, str]:
        """Wait for the end; exit code, stdout and stderr."""
        stdout, stderr = self._process.communicate()
        self._ended = time.monotonic()
        return self._process.returncode, stdout, stderr

    def sample(self, results: Path) -> Sample | None:
        """Its memory now; None if it has ended."""
        try:
            own = self._seen.memory_full_info().uss / 1e6
            workers, shared = [], 0.0
            for process in self.workers():
                memory = process.memory_full_info()
                workers.append(memory.uss / 1e6)
            for process in _named(self._seen, "raylet"):
                shared = max(shared, process.memory_info().shared / 1e6)
            return Sample(self.seconds, count_rows(results).rows, own, workers, shared)
        except psutil.NoSuchProcess:
            return None


def _named(parent: psutil.Process, title: str) -> Iterator[psutil.Process]:
    for process in parent.children(recursive=True):
        try:
            if title in " ".join(process.cmdline()):
                yield process
        except psutil.NoSuchProcess:
            continue


def trained_models(work: Path, *, quick: bool = False) -> Path:
    """The models of the eleven products, trained if they are not there; quick ones see images at 128 pixels."""
    models = work / ("models-quick" if quick else "models")
    if not list(models.glob("*.safetensors")):
        changes = ["--set", "views.size=128"] if quick else []
        Command("fleet", "train", write_products(work / "products"), "-o", models, "--ray", "local", *changes).end()
    return models


def archive_of(work: Path, images: int, products: int = 11) -> Path:
    """An archive of so many images of these products."""
    names = [f"{kind}-{i}" for kind, count in PRODUCTS_OF_A_KIND.items() for i in range(count)]
    return write_archive(work / f"archive-{images}-{products}", images, names[:products])


def parquet_of(work: Path, images: int) -> Path:
    """A Parquet file that names the images of eight products, which take turns: a worker holds eight models."""
    folder = archive_of(work, images, 8)
    files = sorted(folder.rglob("*.png"), key=lambda file: file.name)
    table = pa.table({"path": [str(file) for file in files], "product": [file.parent.name for file in files]})
    pq.write_table(table, work / f"archive-{images}.parquet")
    return work / f"archive-{images}.parquet"


def start_scoring(work: Path, archive: Path, out: Path, *, quick: bool = False) -> Command:
    """Start to score an archive on a local cluster."""
    models = trained_models(work, quick=quick)
    return Command("fleet", "score", models, archive, "--out", out, "--ray", "local", "--json")


def fresh(folder: Path) -> Path:
    """A folder that is not there."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


@contextmanager
def stopwatch() -> Iterator[Callable[[], float]]:
    """Seconds since the beginning."""
    started = time.perf_counter()
    yield lambda: time.perf_counter() - started


def table(heading: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table of text."""
    cells_of = [[_cell(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(len(row[i]) for row in cells_of) for i in range(len(heading))]
    for row in cells_of:
        sys.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    sys.stdout.flush()


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
