"""Training all products of a fleet, one after the other here or as tasks of a Ray cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from differnet.compute.memory import keep_freed_memory
from differnet.errors import DifferNetError, ModelFileError
from differnet.extractors import Weights, find_weights
from differnet.files import written_whole
from differnet.fleet.product_training import TrainingJob, TrainingRow, train_product
from differnet.fleet.products import Product
from differnet.fleet.ray_cluster import Resources, check_resources, use_threads
from differnet.model_file.bundle import read_manifest
from differnet.model_file.manifest import Manifest
from differnet.training import EpochReport
from differnet.training.progress import Listener, Progress

__all__ = ["Board", "jobs_of", "model_file", "train_fleet", "train_fleet_on_ray"]

_SECONDS_BETWEEN_REPORTS = 0.5
_RETRIES = 3


class Board(Protocol):
    """Hears how a fleet comes along."""

    def product(self, name: str) -> Progress:
        """Who hears how the training of a product goes; of Ray tasks, all by `Progress.images`."""
        ...

    def finished(self, row: TrainingRow) -> None:
        """A product is done."""
        ...


def jobs_of(
    products: Sequence[Product], models: Path, preset: str, changes: Mapping[str, Any], device: str
) -> list[TrainingJob]:
    """What is to be trained, with what the models of an earlier run say of themselves."""
    return [
        TrainingJob(product, preset, changes, _existing(model_file(models, product.name)), device)
        for product in products
    ]


def model_file(models: Path, product: str) -> Path:
    """Where the model of a product lies."""
    return models / f"{product}.safetensors"


def train_fleet(
    jobs: Sequence[TrainingJob], models: Path, board: Board, weights_path: str | None = None
) -> list[TrainingRow]:
    """Train products one after the other in this process.

    Args:
        jobs: What is to be trained, see `jobs_of`.
        models: Folder that the model files go to.
        board: Hears of the progress.
        weights_path: File or folder of pretrained weights; None searches.

    Returns:
        A row per job, in their order.

    Raises:
        OutputError: If a model cannot be written.
        KeyboardInterrupt: If the user stopped it; finished models stay.
    """
    weights = _weights(jobs, weights_path)
    rows = []
    for job in jobs:
        row, content = train_product(job, weights, board.product(job.product.name))
        _keep(models, row, content)
        board.finished(row)
        rows.append(row)
    return rows


def train_fleet_on_ray(
    jobs: Sequence[TrainingJob],
    models: Path,
    board: Board,
    resources: Resources,
    weights_path: str | None = None,
) -> list[TrainingRow]:
    """Train products as tasks of the connected Ray cluster.

    Weights travel once to each node, into its object store. A task whose worker dies is run again, three times at
    most. Models come back as bytes and are written here, so that the nodes need to share the images only.

    Args:
        jobs: As for `train_fleet`.
        models: As for `train_fleet`.
        board: As for `train_fleet`.
        resources: What each task needs.
        weights_path: As for `train_fleet`.

    Raises:
        ClusterError: If no node has what a task needs.
        OutputError: If a model cannot be written.
        KeyboardInterrupt: If the user stopped it; finished models stay.
    """
    import ray  # noqa: PLC0415

    check_resources(resources)
    weights = ray.put(_weights(jobs, weights_path))
    reports: Any = ray.remote(num_cpus=0)(_Reports).remote()
    task: Any = ray.remote(_train_remotely).options(
        num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=_RETRIES
    )
    pending = {task.remote(job, weights, reports, resources.cpus): job for job in jobs}
    rows: dict[str, TrainingRow] = {}
    try:
        while pending:
            done, _ = ray.wait(list(pending), timeout=1.0)
            for reference in done:
                name = pending.pop(reference).product.name
                try:
                    row, content = ray.get(reference)
                except ray.exceptions.RayError as error:
                    reason = " ".join(str(error).split())[:500]
                    row, content = TrainingRow(name, "failed", f"its Ray task was lost: {reason}"), None
                _keep(models, row, content)
                board.finished(row)
                rows[name] = row
            # A busy actor answers later; what it says is only progress.
            with suppress(ray.exceptions.RayError):
                for name, (stage, count, total) in ray.get(reports.take.remote(), timeout=1.0).items():
                    if name not in rows:
                        board.product(name).images(stage, count, total)
    except KeyboardInterrupt:
        for reference in pending:
            ray.cancel(reference, force=True)
        raise
    return [rows[job.product.name] for job in jobs]


class _Remote(Listener):
    """Hears of one product in its task, and tells the actor `_Reports` now and then."""

    def __init__(self, product: str, reports: Any) -> None:  # noqa: ANN401 - handle of an actor
        self._product = product
        self._reports = reports
        self._last = 0.0

    def images(self, stage: str, done: int, total: int) -> None:
        self._report(stage, done, total)

    def epoch(self, report: EpochReport) -> None:
        self._report("training", report.epoch, report.epochs)

    def _report(self, stage: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _SECONDS_BETWEEN_REPORTS:
            self._last = now
            self._reports.tell.remote(self._product, stage, done, total)


class _Reports:
    """What running tasks said last; an actor of its own, since a task cannot speak to the driver."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str, int, int]] = {}

    def tell(self, product: str, stage: str, done: int, total: int) -> None:
        self._latest[product] = (stage, done, total)

    def take(self) -> dict[str, tuple[str, int, int]]:
        latest, self._latest = self._latest, {}
        return latest


def _train_remotely(
    job: TrainingJob,
    weights: Mapping[str, Weights | str],
    reports: Any,  # noqa: ANN401 - handle of an actor
    threads: int,
) -> tuple[TrainingRow, bytes | None]:
    use_threads(threads)
    keep_freed_memory()
    return train_product(job, weights, _Remote(job.product.name, reports))


def _existing(file: Path) -> Manifest | None:
    try:
        return read_manifest(file)
    except ModelFileError:
        return None  # there is none, or none that could be used: it is trained anew


def _weights(jobs: Sequence[TrainingJob], path: str | None) -> dict[str, Weights | str]:
    """The pretrained weights of all extractors, or why they are not found."""
    found: dict[str, Weights | str] = {}
    for job in jobs:
        try:
            name = job.settings(job.recipe()).extractor.name
        except DifferNetError:
            continue  # told when the product's turn comes
        if name not in found:
            try:
                found[name] = find_weights(name, path=path)
            except DifferNetError as error:
                found[name] = str(error)
    return found


def _keep(models: Path, row: TrainingRow, content: bytes | None) -> None:
    if content is not None:
        with written_whole(model_file(models, row.product), "choose a writable --output.") as part:
            part.write_bytes(content)
