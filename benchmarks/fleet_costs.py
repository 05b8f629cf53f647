"""What the fleet costs beside the work itself: rates of workers, overheads, and a run that checks a model of them."""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.fleet_steps import SCORERS, archive_of, fresh, start_scoring, stopwatch, table, trained_models
from differnet.fleet.archive import FileArchive, open_archive
from differnet.fleet.models import FleetModels, find_models
from differnet.fleet.product_training import TrainingRow
from differnet.fleet.products import Product
from differnet.fleet.ray_cluster import LOCAL, Resources, connected
from differnet.fleet.results import Results
from differnet.fleet.scoring import score_archive, score_archive_on_ray
from differnet.fleet.training import jobs_of, train_fleet, train_fleet_on_ray
from differnet.training.progress import Listener

__all__ = ["check", "keep", "overhead", "predict", "scaling"]

_BATCH = 64
_WORKERS = 2
_PRODUCTS, _NODES, _CORES = 1000, 100, 16


def scaling(work: Path, images: int) -> None:
    """Rates of one worker and of two, three times in turn."""
    models, archive = find_models(trained_models(work)), archive_of(work, images)
    rates: dict[int, list[float]] = {1: [], 2: []}
    per_core: dict[int, list[float]] = {1: [], 2: []}
    lines = []
    with connected(LOCAL):
        for repetition in range(3):
            for workers, found in rates.items():
                rate, cores, driver = _steady(models, archive, fresh(work / "scaling"), workers)
                found.append(rate)
                lines.append((repetition, workers, rate, cores, driver, rate / (cores * workers)))
                per_core[workers].append(rate / (cores * workers))
    table(
        ("repetition", "workers", "images/s", "cores of a worker", "cores of the driver", "images a core second"), lines
    )
    one, two = (statistics.median(rates[workers]) for workers in (1, 2))
    sys.stdout.write(f"medians: {one:.2f} and {two:.2f} images/s, {two / one:.2f} times the rate\n")
    # Where other work takes the cores, what a worker makes of the time that it gets says more than the clock.
    one_core, two_cores = (statistics.median(found) for found in per_core.values())
    sys.stdout.write(
        f"of a core second: {one_core:.2f} and {two_cores:.2f} images, {2 * two_cores / one_core:.2f} times the rate "
        f"where each worker has a core\n"
    )
    files = [file.stat().st_size for file in archive.rglob("*.png")]
    written = sum(file.stat().st_size for file in (work / "scaling").rglob("part-*"))
    sizes = [file.stat().st_size for file in models.files.values()]
    keep(
        work,
        seconds_per_image=1 / one,
        seconds_per_image_of_two=2 / two,
        core_seconds_per_image=1 / one_core,
        file_bytes=statistics.mean(files),
        row_bytes=written / images,
        model_bytes=statistics.mean(sizes),
    )


def _steady(models: FleetModels, archive: Path, out: Path, workers: int) -> tuple[float, float, float]:
    """Images per second from the first rows on, cores that a worker used, and that the driver used."""
    times: list[tuple[float, int]] = []
    used: dict[str, float] = {}
    driver = psutil.Process()

    class Note(Listener):
        def images(self, stage: str, done: int, total: int) -> None:
            times.append((time.perf_counter(), done))
            processes = [each for each in driver.children(recursive=True) if SCORERS in " ".join(each.cmdline())]
            seconds = sum(sum(each.cpu_times()[:2]) for each in processes)
            used.setdefault("workers", seconds)
            used.setdefault("driver", sum(driver.cpu_times()[:2]))
            used["workers at the end"] = max(seconds, used.get("workers at the end", 0.0))

    score_archive_on_ray(
        models,
        open_archive(str(archive), with_products=True),
        Results(out),
        progress=Note(),
        resources=Resources(),
        workers=workers,
    )
    span = times[-1][0] - times[0][0]
    return (
        (times[-1][1] - times[0][1]) / span,
        (used["workers at the end"] - used["workers"]) / span / workers,
        (sum(driver.cpu_times()[:2]) - used["driver"]) / span,
    )


def overhead(work: Path, images: int) -> None:
    """What Ray adds: to tasks of products that fail at once, and to batches of images that do not exist."""
    names = [f"product-{i}" for i in range(200)]
    jobs = jobs_of([Product(name, work / "nowhere" / name) for name in names], work / "none", "default", {}, "cpu")
    models = find_models(trained_models(work))
    silent: Any = _Silent()
    figures: dict[str, float] = {}
    with stopwatch() as seconds:
        train_fleet(jobs, work / "none", silent)
        tasks_here = seconds()
    here = _slope(work, models, images, workers=None)[0]
    with stopwatch() as seconds, connected(LOCAL):
        figures["start"] = seconds()
        with stopwatch() as again:
            train_fleet_on_ray(jobs[:2], work / "none", silent, Resources())
            figures["first_task"] = again()
        with stopwatch() as again:
            train_fleet_on_ray(jobs, work / "none", silent, Resources())
            figures["task"] = (again() - tasks_here) / len(jobs)
        on_ray, figures["driver_row"], figures["actors"] = _slope(work, models, images, workers=1)
    figures["batch"] = (on_ray - here) * _BATCH
    lines: list[tuple[str, float, str]] = [
        ("starting a local cluster", figures["start"], "s, once"),
        ("first tasks: workers start and import torch", figures["first_task"], "s, once per worker"),
        ("a task", figures["task"] * 1e3, "ms per product"),
        ("actors start, load models, first batch", figures["actors"], "s, once"),
        ("a batch of 64 images that do not exist, by an actor", on_ray * _BATCH * 1e3, "ms"),
        ("the same in this process", here * _BATCH * 1e3, "ms"),
        ("a row: handed out, collected, written", figures["driver_row"] * 1e6, "us of the driver's cores"),
    ]
    table(("what", "figure", "unit"), lines)
    keep(work, **figures)


def _slope(work: Path, models: FleetModels, images: int, workers: int | None) -> tuple[float, float, float]:
    """Seconds and the driver's seconds per image that does not exist, from two numbers of them, and those of a few."""
    product = min(models.files)
    found = []
    for count in (_BATCH, images // 4, images):
        missing = FileArchive([(f"{product}/{i}.png", f"/nowhere/{i}.png") for i in range(count)], with_products=True)
        results = Results(fresh(work / "overhead"))
        used = sum(psutil.Process().cpu_times()[:2])
        with stopwatch() as seconds:
            if workers is None:
                score_archive(models, missing, results, progress=Listener())
            else:
                score_archive_on_ray(
                    models, missing, results, progress=Listener(), resources=Resources(), workers=workers
                )
            found.append((seconds(), sum(psutil.Process().cpu_times()[:2]) - used))
    span = images - images // 4
    return (found[2][0] - found[1][0]) / span, (found[2][1] - found[1][1]) / span, found[0][0]


def check(work: Path, images: int) -> None:
    """A run by the command, of another number of images, and what the constants say of it."""
    known = json.loads((work / "figures.json").read_text(encoding="utf-8"))
    out = fresh(work / "check")
    command = start_scoring(work, archive_of(work, images), out)
    used: list[tuple[float, float]] = []

    def look() -> bool:
        workers = command.workers()
        if len(workers) == _WORKERS:
            used.append((command.seconds, sum(sum(worker.cpu_times()[:2]) for worker in workers)))
        return False

    command.wait_for(look)
    code, _, stderr = command.end()
    if code:
        sys.exit(stderr)
    cores = (used[-1][1] - used[0][1]) / (used[-1][0] - used[0][0])
    once = known["start"] + known["actors"]
    lines: list[tuple[str, float, str]] = []
    for what, seconds in (
        ("by the clock of two workers", images * known["seconds_per_image_of_two"] / _WORKERS),
        (
            f"by core seconds, of the {cores:.2f} cores that the workers got",
            images * known["core_seconds_per_image"] / cores,
        ),
    ):
        lines.append((what, once + seconds, f"{(once + seconds) / command.seconds - 1:+.1%}"))
    table((f"{images} images, {_WORKERS} workers", "predicted s", "off by"), lines)
    sys.stdout.write(f"measured: {command.seconds:.1f} s\n")


def predict(work: Path, images: int) -> None:
    """What the constants say of 1000 products and so many images on 100 nodes of 16 such cores."""
    known = json.loads((work / "figures.json").read_text(encoding="utf-8"))
    file_bytes, model_bytes, row_bytes = (known[name] for name in ("file_bytes", "model_bytes", "row_bytes"))
    cores = _NODES * _CORES
    work_seconds = images * known["core_seconds_per_image"]
    wall = known["actors"] + work_seconds / cores
    # A block's cost is that of its scheduling; of 256 rows where it was measured, of 1024 in an archive of this size.
    driver = images / 1024 * known["driver_row"] * 256
    models = _PRODUCTS * model_bytes
    fitting = _PRODUCTS * known["product_seconds"]
    lines: list[tuple[str, float, str]] = [
        ("scoring: work", work_seconds / 3600, "core hours"),
        ("scoring: the clock", wall / 3600, "hours"),
        ("scoring: nodes", wall * _NODES / 3600, "node hours"),
        ("images", images / wall, "a second"),
        ("the driver's cores while scoring", driver / wall, "of one core"),
        ("images from storage", images * file_bytes / wall / 1e9, "GB/s over all nodes"),
        ("models to all nodes", models * _NODES / wall / 1e9, "GB/s, from the driver's node at worst"),
        ("models in a node's object store", models / 1e9, "GB"),
        ("results", images * row_bytes / 1e9, "GB"),
        ("training: work", fitting / 3600, "core hours"),
        ("training: the clock", (known["first_task"] + fitting / min(cores, _PRODUCTS)) / 60, "minutes"),
        ("training: the driver's time for tasks", _PRODUCTS * known["task"], "s"),
    ]
    table(("what", "figure", "unit"), lines)


class _Silent:
    def product(self, name: str) -> Listener:
        return Listener()

    def finished(self, row: TrainingRow) -> None:
        pass


def keep(work: Path, **figures: float) -> None:
    """Keep figures for `check` and `predict`."""
    file = work / "figures.json"
    before = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    file.write_text(json.dumps(before | figures, indent=2) + "\n", encoding="utf-8")
