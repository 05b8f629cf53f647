"""Scoring an archive: here, or streamed through a pool of actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from differnet.compute.memory import keep_freed_memory
from differnet.errors import ClusterError
from differnet.fleet.archive import (
    Archive,
    ArchiveImage,
    ParquetArchive,
    images_of_rows,
    images_of_table,
    is_table_of_images,
    portions,
    read_row_groups,
    table_of,
)
from differnet.fleet.image_scoring import ModelShelf, by_product, drift_of, score_images
from differnet.fleet.models import FleetModels
from differnet.fleet.ray_cluster import Resources, check_resources, streaming, use_threads
from differnet.fleet.results import RESULT_COLUMNS, Done, Results
from differnet.inspection.observations import Observations
from differnet.sinks.tables import arrow_table
from differnet.training.progress import Progress

__all__ = ["ScoringSummary", "score_archive", "score_archive_on_ray"]

_PORTION = 64
_FEW_ROWS, _MOST_ROWS = 4 * _PORTION, 16 * _PORTION
_LEAST_BLOCK_BYTES = 10_000
_IN_FLIGHT = 2
# An image that kills whoever reads it must not be tried for ever, which is what Ray Data would do.
_RETRIES = 5
_ACTORS_PER_READER = 8
# How many rows of a portion were done before is told in a row of its own, so that every image is accounted for.
_ALREADY_DONE = "already_done"
# Likewise what the images of a product looked like: it comes with their rows or not at all, whichever actors die.
_SEEN = "seen"
_ROW_COLUMNS = {"product": str, **RESULT_COLUMNS, _ALREADY_DONE: int, _SEEN: bytes}


@dataclass
class ScoringSummary:
    """What a run did.

    Attributes:
        scored: Images that got a verdict.
        errors: Images that got an error.
        already_done: Images that had a row before.
        earlier_errors: Rows of before, perhaps of images that are no longer there, with an error instead of a score.
        decisions: Number of verdicts by decision.
        drift: What images have unlike the training images, in words, by product.
    """

    scored: int = 0
    errors: int = 0
    already_done: int = 0
    earlier_errors: int = 0
    decisions: dict[str, int] | None = None
    drift: dict[str, str] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Images that have a row."""
        return self.already_done + self.scored + self.errors

    def count(self, row: Mapping[str, Any]) -> None:
        """Count a row."""
        if row.get("error"):
            self.errors += 1
        else:
            self.scored += 1
            self._decided(row["decision"], 1)

    def count_table(self, table: Any) -> Any:  # noqa: ANN401 - pyarrow's table
        """Count the rows of an actor's table; returns those that are images'."""
        import pyarrow.compute as pc  # noqa: PLC0415

        self.already_done += pc.sum(table[_ALREADY_DONE]).as_py() or 0
        rows = table.filter(pc.is_valid(table["path"]))
        errors = pc.sum(pc.is_valid(rows["error"])).as_py() or 0
        self.errors += errors
        self.scored += rows.num_rows - errors
        for counted in pc.value_counts(rows["decision"]).to_pylist():
            self._decided(counted["values"], counted["counts"])
        return rows

    def _decided(self, decision: str | None, count: int) -> None:
        if decision is not None:
            self.decisions = self.decisions or {}
            self.decisions[decision] = self.decisions.get(decision, 0) + count


def score_archive(
    models: FleetModels,
    archive: Archive,
    results: Results,
    *,
    progress: Progress,
    weights_path: str | None = None,
    device: str = "auto",
    all_views: bool = False,
) -> ScoringSummary:
    """Score an archive in this process. What has a row in the results is left out.

    Args:
        models: From `find_models`.
        archive: What to score.
        results: Where the rows go.
        progress: Hears how many images have a row, as the stage ``scores``.
        weights_path: File or folder of pretrained weights; None searches.
        device: Where the networks run.
        all_views: Score by all views.

    Raises:
        OutputError: If the results hold verdicts of other models, or cannot be written.
        WeightsError: If pretrained weights are not found.
    """
    done = results.done(models.model_ids, models.thresholds)
    summary = ScoringSummary(earlier_errors=done.errors)
    shelf = ModelShelf(models.files.get, models.weights(weights_path), device)
    size = archive.rows if isinstance(archive, ParquetArchive) else _PORTION
    remaining = by_product(_remaining(archive, done, models.only, summary), size)
    with results:
        for row in score_images(shelf, remaining, models.only, all_views=all_views):
            results.write_row(row)
            summary.count(row)
            progress.images("scores", summary.rows, archive.total)
    summary.drift = shelf.drift()
    return summary


def score_archive_on_ray(
    models: FleetModels,
    archive: Archive,
    results: Results,
    *,
    progress: Progress,
    resources: Resources,
    workers: int | None = None,
    weights_path: str | None = None,
    device: str = "auto",
    all_views: bool = False,
) -> ScoringSummary:
    """Score an archive by a pool of actors of the connected Ray cluster.

    Ray Data streams the images: no more of them are on the way than the actors can take. Models and weights lie once
    in the object store of each node, and each actor loads a model once. Rows come back here and are written here. An
    actor that dies is started again, and what it had not handed back is computed again.

    Args:
        models: As for `score_archive`, as are all that are not named here.
        archive: What to score.
        results: Where the rows go.
        progress: Hears of the progress.
        resources: What each actor needs.
        workers: Number of actors; None for as many as the cluster has room for.
        weights_path: File or folder of pretrained weights.
        device: Where the networks run.
        all_views: Score by all views.

    Raises:
        ClusterError: If no node has what an actor needs.
        OutputError: If the results hold verdicts of other models, or cannot be written.
        WeightsError: If pretrained weights are not found.
    """
    import ray  # noqa: PLC0415
    from ray.data import ActorPoolStrategy  # noqa: PLC0415

    check_resources(resources)
    done = results.done(models.model_ids, models.thresholds)
    summary = ScoringSummary(earlier_errors=done.errors)
    if workers is None:
        workers = max(1, int(ray.cluster_resources().get("CPU", 1) // resources.cpus))
    seen: dict[str, Observations] = {}
    with streaming():
        dataset, blocks = _dataset(archive, done, models.only, workers, summary)
        if dataset is None:
            return summary
        rows = dataset.map_batches(
            _Scorer,
            fn_constructor_kwargs={
                "models": {name: ray.put(file.read_bytes()) for name, file in models.files.items()},
                "weights": ray.put(models.weights(weights_path)),
                "done": ray.put(done.hashes),
                "base": archive.base if isinstance(archive, ParquetArchive) else "",
                "only": models.only,
                "device": device,
                "all_views": all_views,
                "threads": resources.cpus,
            },
            batch_size=min(_PORTION, archive.rows) if isinstance(archive, ParquetArchive) else _PORTION,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=min(workers, blocks), max_tasks_in_flight_per_actor=_IN_FLIGHT),
            num_cpus=resources.cpus,
            num_gpus=resources.gpus,
            max_restarts=-1,
            max_task_retries=_RETRIES,
        )
        with results:
            for block in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1):
                results.add_table(summary.count_table(block))
                _take_observations(block, seen)
                progress.images("scores", summary.rows, archive.total)
    if summary.rows != archive.total:
        remedy = "run the same command again" if summary.rows < archive.total else "remove the results and score again"
        raise ClusterError(f"Ray gave back {summary.rows} rows for {archive.total} images; {remedy}.")
    summary.drift = drift_of(seen, models.known)
    return summary


def _take_observations(table: Any, seen: dict[str, Observations]) -> None:  # noqa: ANN401 - pyarrow's table
    import pyarrow.compute as pc  # noqa: PLC0415

    told = table.filter(pc.is_valid(table[_SEEN])).select(["product", _SEEN])
    for row in told.to_pylist():
        seen.setdefault(row["product"], Observations()).merge(Observations.from_bytes(row[_SEEN]))


def _remaining(archive: Archive, done: Done, only: str | None, summary: ScoringSummary) -> Iterator[ArchiveImage]:
    """The images without a row; the others are counted."""
    for image in archive.images():
        if _key(image, only) in done:
            summary.already_done += 1
        else:
            yield image


def _key(image: ArchiveImage, only: str | None) -> tuple[str, str]:
    return only or image.product or "", image.path


def _dataset(archive: Archive, done: Done, only: str | None, workers: int, summary: ScoringSummary) -> tuple[Any, int]:
    """The images as a Ray dataset in so many blocks; None if none remain. Actors leave out rows of Parquet files."""
    import ray  # noqa: PLC0415

    if isinstance(archive, ParquetArchive):
        return _parquet_dataset(archive, workers)
    remaining = _remaining(archive, done, only, summary)
    tables = [table_of(portion) for portion in portions(remaining, _block_rows(archive.total, workers))]
    return ray.data.from_arrow(tables) if tables else None, len(tables)


def _block_rows(total: int, workers: int) -> int:
    """Images of a block, which are handed to an actor, and its rows back, together.

    Enough blocks for all actors to end at about the same time; few images, so that progress is seen; but not many more
    than twenty thousand blocks, each of which takes the driver some milliseconds.
    """
    return max(8, min(_MOST_ROWS, max(_FEW_ROWS, total // 20_000), total // (8 * workers)))


def _parquet_dataset(archive: ParquetArchive, workers: int) -> tuple[Any, int]:
    """The rows of Parquet files. Not by `ray.data.read_parquet`, whose tasks would wait for cores that actors hold."""
    import pyarrow as pa  # noqa: PLC0415
    import ray  # noqa: PLC0415

    rows = _block_rows(archive.total, workers)
    # Of bytes, blocks of a size, of names, of a number: a few portions, so that all actors have some.
    size = archive.row_bytes * (archive.rows if archive.has_bytes else rows)
    ray.data.DataContext.get_current().target_max_block_size = max(size, _LEAST_BLOCK_BYTES)
    pieces = [pa.table({"file": [file], "group": [group]}) for file, group in archive.row_groups()]
    source: Any = ray.data.from_arrow(pieces)
    read = source.map_batches(
        read_row_groups,
        fn_kwargs={"filesystem": archive.filesystem, "columns": archive.columns, "rows": archive.rows},
        batch_size=1,
        batch_format="pyarrow",
        compute=ray.data.TaskPoolStrategy(size=max(1, workers // _ACTORS_PER_READER)),
        num_cpus=0,  # the actors may have all cores; readers wait for disks
    )
    return read, max(1, archive.total // archive.rows)


class _Scorer:
    """An actor that scores portions of an archive."""

    def __init__(
        self,
        *,
        models: Mapping[str, Any],
        weights: Any,  # noqa: ANN401 - a reference
        done: Any,  # noqa: ANN401 - a reference
        base: str,
        only: str | None,
        device: str,
        all_views: bool,
        threads: int,
    ) -> None:
        import ray  # noqa: PLC0415

        use_threads(threads)
        keep_freed_memory()

        def fetch(product: str) -> bytes | None:
            return ray.get(models[product]) if product in models else None

        self._shelf = ModelShelf(fetch, ray.get(weights), device)
        self._done = Done(ray.get(done))
        self._base = base
        self._only = only
        self._all_views = all_views

    def __call__(self, batch: Any) -> Any:  # noqa: ANN401 - pyarrow's tables
        rows = batch.to_pylist()
        if is_table_of_images(batch):
            images = images_of_table(batch)
        else:
            images = [image for image in images_of_rows(rows, self._base) if _key(image, self._only) not in self._done]
        grouped = by_product(images, len(images))
        scored = list(score_images(self._shelf, grouped, self._only, all_views=self._all_views))
        if len(images) < len(rows):
            scored.append({_ALREADY_DONE: len(rows) - len(images)})
        seen = self._shelf.take_observations()
        scored += [{"product": product, _SEEN: each.to_bytes()} for product, each in seen.items()]
        return arrow_table(_ROW_COLUMNS, scored)
