"""What the fleet must show: ``python -m benchmarks.fleet [--work DIR] WHAT``.

    products  12 products by a local Ray cluster, one of them broken; models compared with those trained alone
    kill      a worker killed with SIGKILL while an archive is scored
    restart   a run stopped by Ctrl-C, another by SIGKILL, and the rest done by a third
    memory    memory of driver and workers over a long run through a Parquet file
    scaling   rate of one worker and of two, each with one core
    overhead  what a task and a batch cost beside the work in them
    check     a run that the constants were not taken from, beside what they say of it
    predict   what the constants say of 1000 products and 10^8 images on 100 nodes

Products are 60 good solar cells each, archives links to all of them. kill, restart and memory score by models that see
images at 128 pixels, which is quicker; all others have the default settings. What is made in ``--work`` is used again.
Each prints a table; products, scaling and overhead keep
their figures there for check and predict.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.fleet_costs import check, keep, overhead, predict, scaling
from benchmarks.fleet_steps import (
    TRAINERS,
    Command,
    Sample,
    archive_of,
    count_rows,
    fresh,
    parquet_of,
    start_scoring,
    stopwatch,
    table,
    write_products,
)
from differnet.model_file.bundle import read_bundle

# As a Ray task of one core computes.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=list(_MEASURES))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "differnet-fleet")
    parser.add_argument("--images", type=int, help="images of the archive, instead of what is asked for")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    load = os.getloadavg()[0]
    measure, images = _MEASURES[arguments.what]
    measure(arguments.work, arguments.images or images)
    sys.stdout.write(f"load before: {load:.1f} on {os.cpu_count()} cores\n")


def products(work: Path, _: int) -> None:
    """12 products, one broken, by Ray; then each alone."""
    folder, models = write_products(work / "products"), work / "models"
    shutil.rmtree(models, ignore_errors=True)
    command = Command("fleet", "train", folder, "-o", models, "--ray", "local", "--json", environment=ONE_THREAD)
    most = 0

    def count() -> bool:
        nonlocal most
        most = max(most, len(command.workers(TRAINERS)))
        return False

    command.wait_for(count)
    code, stdout, stderr = command.end()
    whole = command.seconds
    if not stdout:
        sys.exit(stderr)
    rows = json.loads(stdout)["products"]
    alone_folder = work / "alone"
    alone_folder.mkdir(exist_ok=True)
    lines, alone_seconds = [], 0.0
    for row in rows:
        name, equal = row["product"], None
        if row["status"] == "trained":
            alone = alone_folder / f"{name}.safetensors"
            with stopwatch() as seconds:
                Command("train", folder / name, "-o", alone, environment=ONE_THREAD).end()
                alone_seconds += seconds()
            equal = _equal(alone, models / f"{name}.safetensors")
        lines.append((name, row["status"], row["images"], row["seconds"], row["peak_mb"], equal, row["reason"] or ""))
    table(("product", "status", "images", "seconds", "peak MB", "same as alone", "reason"), lines)
    keep(work, product_seconds=statistics.mean(row["seconds"] for row in rows if row["status"] == "trained"))
    sys.stdout.write(
        f"exit code {code}; {whole:.0f} s in all, up to {most} at a time; one after the other as commands of their "
        f"own {alone_seconds:.0f} s\n"
    )


def _equal(first: Path, second: Path) -> str:
    left, right = read_bundle(first)[1], read_bundle(second)[1]
    same = sum(name in right and left[name].equal(right[name]) for name in left)
    return f"{same} of {len(left.keys() | right.keys())} tensors"


def kill(work: Path, images: int) -> None:
    """SIGKILL of a worker in the middle."""
    out = fresh(work / "kill")
    command = start_scoring(work, archive_of(work, images), out, quick=True)
    command.wait_for(lambda: count_rows(out).rows > images // 10)
    before, killed = count_rows(out).rows, command.workers()
    for worker in killed[:1]:
        worker.kill()
    at = command.seconds
    code, stdout, stderr = command.end()
    if not stdout:
        sys.exit(stderr)
    found = count_rows(out)
    table(
        ("images", "rows when killed", "at s", "exit code", "rows", "different images", "errors", "seconds"),
        [(images, before, at, code, found.rows, found.images, found.errors, command.seconds)],
    )
    sys.stdout.write(f"killed one of {len(killed)} workers; the command counts {json.loads(stdout)['scored']} scored\n")


def restart(work: Path, images: int) -> None:
    """Ctrl-C, then SIGKILL of the command, then the rest."""
    out = fresh(work / "restart")
    lines = []
    for name, number in (("Ctrl-C", signal.SIGINT), ("SIGKILL", signal.SIGKILL), ("to the end", None)):
        before, files = count_rows(out).rows, count_rows(out).files
        command = start_scoring(work, archive_of(work, images), out, quick=True)
        if number is not None:
            command.wait_for(partial(_has_more_files, out, files))
            command.signal(number)
        code, stdout, _ = command.end()
        found = count_rows(out)
        done = json.loads(stdout)["scored"] if stdout else None
        lines.append((name, before, code, done, found.rows, found.images, command.seconds))
    table(("run", "rows before", "exit code", "scored", "rows after", "different images", "seconds"), lines)


def _has_more_files(out: Path, files: int) -> bool:
    return count_rows(out).files > files


def memory(work: Path, images: int) -> None:
    """Memory over time."""
    out = fresh(work / "memory")
    command = start_scoring(work, parquet_of(work, images), out, quick=True)
    samples: list[Sample] = []
    last = 0.0

    def look() -> bool:
        nonlocal last
        if command.seconds - last >= 5.0:
            last = command.seconds
            sample = command.sample(out)
            if sample is not None and sample.workers:
                samples.append(sample)
        return False

    command.wait_for(look)
    code, stdout, stderr = command.end()
    sys.stdout.write(f"exit code {code}\n{stdout}{stderr if code else ''}")
    places = sorted({round(i * (len(samples) - 1) / 11) for i in range(12)})
    table(
        ("seconds", "rows written", "driver MB", "workers MB", "object store MB"),
        [
            (
                round(samples[i].seconds),
                samples[i].rows,
                round(samples[i].driver),
                " ".join(f"{worker:.0f}" for worker in samples[i].workers),
                round(samples[i].shared),
            )
            for i in places
        ],
    )
    settled = [sample for sample in samples if sample.seconds > command.seconds / 4]
    for name, values in (
        ("driver", [sample.driver for sample in settled]),
        ("workers", [statistics.mean(sample.workers) for sample in settled]),
    ):
        slope = statistics.linear_regression([sample.seconds for sample in settled], values).slope
        grown = slope * (settled[-1].seconds - settled[0].seconds)
        sys.stdout.write(
            f"{name}: from a quarter on, a line through it grows {grown:+.0f} MB; least {min(values):.0f}, most "
            f"{max(values):.0f} MB\n"
        )


_MEASURES = {
    "products": (products, 0),
    "kill": (kill, 5000),
    "restart": (restart, 12_000),
    "memory": (memory, 20_000),
    "scaling": (scaling, 600),
    "overhead": (overhead, 100_000),
    "check": (check, 1500),
    "predict": (predict, 100_000_000),
}

if __name__ == "__main__":
    main()
