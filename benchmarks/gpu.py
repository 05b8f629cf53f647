"""What a GPU makes of it, in at most 8 minutes: ``python -m benchmarks.gpu [--data FOLDER] [--quick] [-o FILE]``.

Prints a table: the paper's preset in full on a product, training and scoring by default, what share of the card's
limits they reach, how well it agrees with the processor, and how often the processor waited inside a batch. The limits
are those of a float32 matrix product and of a copy, measured in the same run. Without ``--data``, a folder in the MVTec
layout, made-up photographs are taken.

``--paper-only`` trains the paper's preset alone, on one product or on several and with several seeds, and measures its
gradient maps too: ``python -m benchmarks.gpu --paper-only --data BOTTLE --data SCREW --seeds 0,1,2 -o paper.json``. The
file is written anew after each run, and holds the test AUROC over the epochs, by which nothing is chosen.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_table import Row, Share, table
from benchmarks.paper_run import Paper, device_name, peak_gigabytes
from differnet import DifferNet
from differnet.bench.ceilings import measure_ceilings, synchronize
from differnet.bench.photographs import make_product
from differnet.compute.devices import choose_device
from differnet.errors import DifferNetError
from differnet.evaluation.image_metrics import image_auroc
from differnet.features.pooling import pool_scales
from differnet.files import replacing
from differnet.flow import build_density_model
from differnet.images import ImageSource, load_image, read_good_images, read_test_images
from differnet.inspection.verdict import Verdict
from differnet.settings import preset
from differnet.training import EpochReport, train_flow
from differnet.training.vectors import VectorSource
from differnet.views import apply_views, fixed_views, resize

_MINUTES = 8.0
# The paper's run gets this share of the time; the rest takes two minutes at most.
_PAPER_SHARE = 0.7
_SCORED_IMAGES = 1000
# Each takes the processor 64 views.
_COMPARED_BY_PAPER = 8
# Read weights and write outputs forwards, read weights and write their gradients backwards, and Adam's seven.
_BYTES_PER_PARAMETER = 4 * (1 + 1 + 1 + 7)

# Everything is done, of little.
_QUICK_PAPER: Mapping[str, object] = {
    "views.size": 128,
    "extractor.scales": 2,
    "views.count": 4,
    "views.training_count": 2,
    "flow.hidden": 32,
    "flow.blocks": 2,
    "training.epochs": 2,
    "training.batch_images": 6,
}
_QUICK_DEFAULT: Mapping[str, object] = {
    "views.size": 128,
    "training.epochs": 2,
    "localization.cells": 50,
    "localization.dimensions": 16,
    "calibration.folds": 2,
    "calibration.false_reject_rate": 0.2,
}


class _Batches:
    """Vectors that are at hand already."""

    def __init__(self, batches: list[Tensor]) -> None:
        self.batches = batches

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Yield the batches, the same in every epoch."""
        yield from self.batches


class _Watched:
    """Notes where the processor waits for the card between the first batch of an epoch and its last step."""

    def __init__(self, source: VectorSource, device: torch.device) -> None:
        self.source, self.device = source, device
        self.waits: list[str] = []

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Yield the batches of the source."""
        with _waits(self.device, self.waits):
            yield from self.source.epoch(number)


@contextmanager
def _waits(device: torch.device, found: list[str]) -> Iterator[None]:
    """Have torch tell of every operation that waits for the card."""
    if device.type != "cuda":
        yield
        return
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found += [
        f"{Path(each.filename).name}:{each.lineno}" for each in caught if "called a synchronizing" in str(each.message)
    ]


class GpuBenchmark:
    """Measures on one device, section by section.

    Args:
        folder: The product.
        device: What is measured.
        quick: Whether little of everything will do.
        minutes: After which no more is begun.
        changes: Of the paper's settings.
        output: File that the figures are written to after each section.
    """

    def __init__(
        self,
        folder: Path,
        device: torch.device,
        *,
        quick: bool,
        minutes: float,
        changes: Mapping[str, object],
        output: Path | None,
    ) -> None:
        self.output = output
        self.folder, self.device, self.quick = folder, device, quick
        self.started = time.monotonic()
        self.deadline = self.started + 60 * minutes
        paper = preset("paper").with_overrides(_QUICK_PAPER if quick else {})
        self.paper_settings = paper.with_overrides(changes)
        self.default_settings = preset("default").with_overrides(_QUICK_DEFAULT if quick else {})
        self.rows: list[Row] = []
        self.failures: list[str] = []
        self.figures: dict[str, Any] = {"device": device_name(device), "torch": torch.__version__}

    def run(self) -> None:
        """Measure everything."""
        ceilings = measure_ceilings(self.device, budget_seconds=0.05 if self.quick else 4.0, repetitions=10)
        self.share = Share(1e9 * ceilings.float32.gflops, 1e9 * ceilings.copy_gbytes)
        self.figures["ceilings"] = asdict(ceilings)
        self.row("float32 product", f"{ceilings.float32.gflops / 1e3:.3g} TFLOP/s")
        self.row("copy, read and written", f"{ceilings.copy_gbytes / 1e3:.3g} TB/s")
        for section in (self.paper, self.default):
            begun = time.monotonic()
            if reason := attempt(section, strict=self.quick):
                self.failures.append(f"{section.__name__}: {reason}")
                self.row(f"{section.__name__} FAILED", reason)
            self.figures[f"{section.__name__} seconds"] = time.monotonic() - begun
            write(self.output, self.figures)

    def row(self, what: str, measured: str, share: str = "") -> None:
        """Add a row to the table, and tell it at once, in case the run is cut off."""
        self.rows.append(Row(what, measured, share))
        sys.stderr.write(f"{what}: {measured} {share}\n")
        sys.stderr.flush()

    def paper(self) -> None:
        """The paper's preset: what an epoch is made of, the whole training, agreement with the processor."""
        deadline = self.started + _PAPER_SHARE * (self.deadline - self.started)
        paper = Paper(self.paper_settings, self.folder, self.folder.name, self.device, deadline)
        paper.read()  # which is not to be a part of the first epoch
        self._epoch(paper)
        paper.train()
        found = paper.result
        self.figures["paper"] = asdict(found)
        if found.image_auroc is None or found.best_look_auroc is None:
            raise RuntimeError("the paper's preset has no result")
        whole = "in full" if found.epochs == found.wanted_epochs else f"cut off by {found.wanted_epochs}"
        self.row(f"paper preset, {found.epochs} epochs {whole}, {found.images} images", f"{found.seconds:.1f} s")
        self.row("an epoch, median", f"{found.epoch_seconds:.3f} s")
        views = found.images * self.paper_settings.views.training_count
        self.row("views learnt from", f"{views / found.epoch_seconds:.0f} a second")
        self.row("image AUROC, last epoch", f"{found.image_auroc:.4f} (best look {found.best_look_auroc:.4f})")
        if found.peak_gigabytes is not None:
            self.row("peak memory, paper training", f"{found.peak_gigabytes:.2f} GB")
        self._agree_on_features(paper)
        model = paper.model()
        images = [image.path for image in paper.test][:: max(1, len(paper.test) // _COMPARED_BY_PAPER)]
        self._agree("paper", model, images[:_COMPARED_BY_PAPER])

    def _epoch(self, paper: Paper) -> None:
        """What an epoch's parts cost, and whether anything waits inside."""
        settings = paper.detector.settings.training
        started = time.perf_counter()
        batches = paper.read()
        seconds = time.perf_counter() - started
        operations = self._operations(lambda: [*paper.vectors.epoch(2)])
        self._part("of it views and features alone", seconds, operations)
        flow = build_density_model(paper.detector.extraction.features, paper.detector.settings.flow).to(self.device)
        clock = [time.perf_counter()]

        def report(_: EpochReport) -> None:
            synchronize(self.device)
            clock.append(time.perf_counter())

        few = settings.model_copy(update={"epochs": 3})
        train_flow(flow, _Batches(batches), None, few, report)
        one = settings.model_copy(update={"epochs": 1})
        operations = self._operations(lambda: train_flow(flow, _Batches(batches), None, one))
        parameters = sum(each.numel() for each in flow.parameters())
        traffic = _BYTES_PER_PARAMETER * parameters * len(batches)
        self._part("of it the flow alone", clock[-1] - clock[-2], operations, traffic)
        watched = _Watched(paper.vectors, self.device)
        train_flow(flow, watched, None, one)
        self._waited("an epoch of the paper's training", watched.waits)

    def _operations(self, work: Callable[[], object]) -> float:
        with FlopCounterMode(display=False) as counter:
            work()
        return float(counter.get_total_flops())

    def _part(self, what: str, seconds: float, operations: float, traffic: float = 0.0) -> None:
        self.figures[what] = {"seconds": seconds, "operations": operations, "bytes": traffic}
        self.row(what, f"{seconds:.3f} s", self.share.of(operations / seconds, traffic / seconds))

    def _waited(self, where: str, waits: list[str]) -> None:
        places = ", ".join(f"{place} ({waits.count(place)})" for place in dict.fromkeys(waits))
        self.figures[f"waits in {where}"] = places
        measured = f"{len(waits)}: {places}" if waits else "0"
        self.row(f"waits inside the batches of {where}", measured if self.device.type == "cuda" else "no card")

    def _agree_on_features(self, paper: Paper) -> None:
        """Features of the same pixels, here and on the processor, and with TF32 as torch would have it."""
        extraction = paper.detector.extraction
        pixels = resize(load_image(paper.test[0].path), extraction.size)
        views = fixed_views(paper.detector.settings.views)[:4]
        turned = torch.from_numpy(apply_views(pixels, views)).permute(0, 3, 1, 2).float() / 255
        on_cpu = DifferNet(paper.detector.settings, device="cpu").extraction.network
        with torch.no_grad():
            expected = on_cpu.pool(on_cpu.extractor, turned)
            here = extraction.network.pool(extraction.extractor, turned.to(self.device)).cpu()
            loose = pool_scales(extraction.extractor, turned.to(self.device), extraction.scales).cpu()

        def apart(found: Tensor) -> float:
            return ((found - expected).norm(dim=1) / expected.norm(dim=1)).max().item()

        self.figures["features apart"] = {"full": apart(here), "tf32": apart(loose)}
        self.row("features beside the processor's, relative", f"{apart(here):.1e} (with TF32 {apart(loose):.1e})")

    def _agree(self, name: str, model: DifferNet, images: list[Path]) -> None:
        """Scores and decisions of the same model on the processor."""
        other = model.with_model(model.fitted, "cpu")
        here, there = ([*each.inspect_stream(images, all_views=True)] for each in (model, other))
        pairs = [(a, b) for a, b in zip(here, there, strict=True) if isinstance(a, Verdict) and isinstance(b, Verdict)]
        apart = max(abs(a.score - b.score) / max(abs(b.score), 1e-9) for a, b in pairs)
        same = sum(a.decision == b.decision for a, b in pairs)
        self.figures[f"{name} apart"] = {"scores": apart, "decisions": same, "images": len(pairs)}
        decided = f", {same} of {len(pairs)} decisions the same" if model.calibration is not None else ""
        self.row(f"{name}: scores of {len(pairs)} images beside the processor's, relative", f"{apart:.1e}{decided}")

    def default(self) -> None:
        """The default preset: training, scoring, agreement with the processor."""
        sources, test = list(read_good_images(self.folder).paths), read_test_images(self.folder)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        model = DifferNet(self.default_settings, device=str(self.device))
        for which in ("first", "again"):
            started = time.perf_counter()
            model.fit(sources)
            seconds = time.perf_counter() - started
            self.figures[f"default training, {which}"] = seconds
            self.row(f"default training, {which}", f"{seconds:.1f} s, {len(sources) / seconds:.1f} images a second")
        paths: list[ImageSource] = [image.path for image in test]
        good = [image.kind == "good" for image in test]
        scores = model.score(paths)
        auroc = image_auroc(
            [score for score, known in zip(scores, good, strict=True) if known],
            [score for score, known in zip(scores, good, strict=True) if not known],
        ).value
        self.figures["default auroc"] = auroc
        self.row("default, image AUROC", f"{auroc:.4f}")
        times = 1 if self.quick else -(-_SCORED_IMAGES // len(paths))
        arrays: list[ImageSource] = [load_image(path) for path in paths]
        for what, images in (("files", times * paths), ("arrays", times * arrays)):
            model.score(images[: len(paths)])
            synchronize(self.device)
            started = time.perf_counter()
            model.score(images)
            seconds = time.perf_counter() - started
            self.figures[f"default scoring of {what}"] = len(images) / seconds
            self.row(f"default scoring of {len(images)} {what}", f"{len(images) / seconds:.0f} images a second")
        waits: list[str] = []
        with _waits(self.device, waits):
            model.score(arrays)
        self._waited(f"scoring {len(arrays)} images by default", waits)
        peak = peak_gigabytes(self.device)
        if peak is not None:
            self.row("peak memory, default", f"{peak:.2f} GB")
            self.figures["default peak_gigabytes"] = peak
        self._agree("default", model, [image.path for image in test])


def run_paper_only(
    arguments: argparse.Namespace, folders: list[Path], device: torch.device
) -> tuple[list[dict[str, Any]], list[str]]:
    """Train on every product with every seed, then make the maps; what there is is written after each.

    Returns:
        How the runs went, and what failed.
    """
    deadline = time.monotonic() + 60 * arguments.minutes
    base = preset("paper").with_overrides(_QUICK_PAPER if arguments.quick else {})
    runs: list[Paper] = []
    failures: list[str] = []

    def written() -> list[dict[str, Any]]:
        results = [asdict(run.result) for run in runs]
        write(arguments.output, results)
        return results

    def train(folder: Path, seed: int) -> None:
        settings = base.with_overrides({"seed": seed, **arguments.changes})
        run = Paper(settings, folder, folder.name, device, deadline)
        run.read()
        run.train()
        run.forget_images()
        runs.append(run)

    for seed in arguments.seeds:
        for folder in folders:
            if time.monotonic() > deadline:
                sys.stderr.write(f"{folder.name}, seed {seed}: no time left\n")
                continue
            failures.append(attempt(functools.partial(train, folder, seed), strict=arguments.quick))
            written()
    for run in runs if arguments.maps else []:
        if time.monotonic() < deadline:
            failures.append(attempt(functools.partial(run.measure_maps, arguments.workers), strict=arguments.quick))
            written()
    return written(), [failure for failure in failures if failure]


def attempt(work: Callable[[], object], *, strict: bool) -> str:
    """Do a part of the whole; a failure is told, and the other parts are measured all the same.

    Args:
        work: The part.
        strict: Whether a failure ends everything.

    Returns:
        Why it failed; empty if it did not.
    """
    try:
        work()
    except Exception as error:
        if strict:
            raise
        traceback.print_exc()
        return " ".join(f"{type(error).__name__}: {error}".split())[:200]
    return ""


def write(file: Path | None, document: object) -> None:
    """Write figures as JSON, whole or not at all."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as part:
            part.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, action="append", default=[], metavar="FOLDER", help="a product")
    parser.add_argument("--device", default="auto", help="cuda or cpu")
    parser.add_argument("--quick", action="store_true", help="little of everything, in seconds")
    parser.add_argument("--minutes", type=float, default=_MINUTES, help="after which nothing more is begun")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change the paper's settings")
    parser.add_argument("--paper-only", action="store_true", help="train the paper's preset alone")
    parser.add_argument("--seeds", default="0", help="of --paper-only, such as 0,1,2")
    parser.add_argument("--maps", action=argparse.BooleanOptionalAction, default=True, help="gradient maps too")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="threads that turn maps back")
    parser.add_argument("-o", "--output", type=Path, help="JSON file of the figures")
    arguments = parser.parse_args(words)
    arguments.changes = dict(word.split("=", 1) for word in arguments.set)
    arguments.seeds = [int(word) for word in arguments.seeds.split(",")]
    return arguments


def main(words: list[str] | None = None) -> None:
    """Measure, and print the table."""
    arguments = parse(words)
    try:
        device = choose_device(arguments.device)
        with tempfile.TemporaryDirectory(prefix="differnet-product-") as temporary:
            folders = arguments.data
            if not folders:
                folders = [Path(temporary) / "photographs"]
                side, training, testing = (160, 12, 3) if arguments.quick else (448, 200, 40)
                make_product(folders[0], width=side, height=side, training=training, testing=testing)
            if arguments.paper_only:
                results, failures = run_paper_only(arguments, folders, device)
                sys.stdout.write(json.dumps(results if arguments.quick else _short(results), indent=2) + "\n")
                _end(failures)
                return
            benchmark = GpuBenchmark(
                folders[0],
                device,
                quick=arguments.quick,
                minutes=arguments.minutes,
                changes=arguments.changes,
                output=arguments.output,
            )
            benchmark.run()
            sys.stdout.write(f"{benchmark.figures['device']}, torch {torch.__version__}\n\n{table(benchmark.rows)}\n")
            _end(benchmark.failures)
    except DifferNetError as error:
        sys.exit(f"error: {error}")


def _end(failures: list[str]) -> None:
    if failures:
        sys.exit(f"error: {'; '.join(failures)}")


def _short(results: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in each.items() if name not in {"losses", "curve"}} for each in results]


if __name__ == "__main__":
    main()
