"""The whole benchmark: ceilings, commands, stages, scaling, promises."""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import safetensors
from pydantic import TypeAdapter

from differnet.bench.bars import compare
from differnet.bench.cases import Case, listed, measure_cases, scoring_name, setting_options
from differnet.bench.photographs import link_images, make_product
from differnet.bench.plan import FULL, Plan
from differnet.bench.processes import run_process
from differnet.bench.results import IMAGES, Benchmark, CaseResult, Ceilings, Machine, Point, Scaling, StageReport
from differnet.compute.threads import count_cores
from differnet.images import load_image, read_good_images, read_test_images
from differnet.model_file.bundle import read_manifest
from differnet.settings import Settings
from differnet.training.progress import Listener, Progress

__all__ = ["PlannedRun", "run_benchmark"]

_PROBE = (sys.executable, "-m", "differnet.bench.probe")
_SCALED = ("image size", "extractor size", "views")
_DEFAULT_SIDE = 448
_REGION = "region.mask"

_Found = TypeVar("_Found")


def run_benchmark(
    model: Path | None,
    *,
    product: Path | None = None,
    plan: Plan = FULL,
    device: str = "auto",
    weights: str | None = None,
    progress: Progress | None = None,
) -> Benchmark:
    """Measure a model on this machine.

    Args:
        model: The model file; None measures the one that the case ``train`` leaves, of the default settings.
        product: Folder with train/good, test/good and test/<kind of defect>; None makes photographs up, of the size
            that the model sees.
        plan: How much is measured.
        device: As for `DifferNet`.
        weights: As for `DifferNet`.
        progress: Hears of the runs done, as the stage ``runs``.

    Raises:
        ModelFileError: If the model cannot be read.
        DatasetError: If the product has not the images that it takes.
        MeasurementError: If a command fails.
    """
    settings = Settings() if model is None else read_manifest(model).settings
    with tempfile.TemporaryDirectory(prefix="differnet-bench-") as folder:
        return PlannedRun(
            Path(folder), model, settings, product=product, plan=plan, device=device, weights=weights, progress=progress
        ).run()


class PlannedRun:
    """One benchmark and its temporary files; the arguments are those of `run_benchmark`, and the model's settings.

    Attributes:
        image_size: Width and height of the first image.
    """

    def __init__(
        self,
        folder: Path,
        model: Path | None,
        settings: Settings,
        *,
        product: Path | None,
        plan: Plan,
        device: str,
        weights: str | None,
        progress: Progress | None,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._plan = plan
        self._device = device
        self._weights = weights
        self._progress = progress or Listener()
        self._done = 0
        self._total = 0
        self._given_product = product
        self._trained = folder / "trained.safetensors"
        self._model = self._trained if model is None else model
        self._is_given = model is not None
        if product is None:
            width, height = _image_size(model, settings)
            product = folder / "product"
            make_product(product, width=width, height=height, training=plan.training_images, testing=plan.test_images)
        self._product = product
        self._training_images = len(read_good_images(product).paths) if plan.train or model is None else 0
        self._images = [image.path for image in read_test_images(product)]
        first = load_image(self._images[0])
        self.image_size = (first.shape[1], first.shape[0])

    def run(self) -> Benchmark:
        """Measure everything."""
        first, others = self.training_cases(), self.cases()
        probes, warming = 2 + len(_SCALED), 1
        self._total = probes + warming + sum(case.repetitions for case in (*first, *others))
        ceilings = self._probe("ceilings", Ceilings, budget_seconds=self._plan.budget_seconds)
        cases = measure_cases(first, self._ran)
        # What is read from the disk the first time is in memory afterwards.
        next(case for case in others if case.name == scoring_name(1)).run()
        self._ran()
        cases += measure_cases(others, self._ran)
        measured = listed(path.resolve() for path in self._images[: self._plan.measured])
        shared = {"images": measured, "repetitions": self._plan.inner_repetitions, "quick": self._plan.quick}
        stages = self._probe("stages", StageReport, ceilings=asdict(ceilings), **shared)
        scaling = [_by_images(cases)]
        for name in _SCALED:
            place = self._folder / name.replace(" ", "-")
            place.mkdir()
            found = self._probe(name, Scaling | None, folder=str(place), **shared)  # type: ignore[arg-type]
            scaling += [] if found is None else [found]
        return Benchmark(
            model=str(self._model) if self._is_given else "",
            product="" if self._given_product is None else str(self._given_product),
            image_size=self.image_size,
            quick=self._plan.quick,
            machine=_machine(),
            ceilings=ceilings,
            cases=cases,
            stages=stages,
            scaling=tuple(scaling),
            bars=compare(cases, scaling, self._model.stat().st_size, self.image_size),
        )

    def training_cases(self) -> list[Case]:
        """The command that trains, if that is measured."""
        if self._is_given and not self._plan.train:
            return []
        # As the authors do it, training takes hours: an epoch tells enough.
        fresh = self._settings.training.views == "fresh"
        words = setting_options(self._settings, {"training.epochs": 1} if fresh else {})
        name = "train, 1 epoch" if fresh else "train"
        words = ["train", str(self._product), "-o", str(self._trained), *words, *self._options()]
        return [Case(name, tuple(words), 1, self._training_images)]

    def cases(self) -> list[Case]:
        """All other commands."""
        plan, model = self._plan, str(self._model)
        explained = self._images[: plan.explained]
        cases = [
            Case("--help", ("--help",), plan.repetitions),
            Case("info", ("info", model), plan.repetitions),
        ]
        for count in sorted({1, *plan.counts}):
            images = link_images(self._images, self._folder / f"images-{count}", count)
            cases.append(
                Case(
                    scoring_name(count),
                    ("score", model, str(images), *self._options()),
                    plan.scoring_repetitions(count),
                    count,
                )
            )
        few = min(plan.repetitions, 3)
        cases += [
            Case("evaluate", ("evaluate", model, str(self._product), *self._options()), few, len(self._images)),
            Case(
                "explain",
                ("explain", model, *listed(explained), "-o", str(self._folder / "maps"), *self._options()),
                few,
                len(explained),
            ),
        ]
        return cases

    def _options(self) -> tuple[str, ...]:
        weights = () if self._weights is None else ("--weights", self._weights)
        return ("--device", self._device, *weights)

    def _probe(self, name: str, kind: type[_Found], **options: Any) -> _Found:  # noqa: ANN401 - any JSON
        shared = {"model": str(self._model), "device": self._device, "weights": self._weights}
        run = run_process([*_PROBE, name, json.dumps(shared | options)])
        self._ran()
        return TypeAdapter(kind).validate_json(run.stdout)

    def _ran(self) -> None:
        self._done += 1
        self._progress.images("runs", self._done, self._total)


def _image_size(model: Path | None, settings: Settings) -> tuple[int, int]:
    """Width and height of images that a model takes: those of its region of interest, else what it resizes to."""
    if model is not None:
        with safetensors.safe_open(model, "numpy") as file:
            if _REGION in file.keys():  # noqa: SIM118 - not a dict
                height, width = file.get_slice(_REGION).get_shape()
                return width, height
        return settings.views.size, settings.views.size
    return _DEFAULT_SIDE, _DEFAULT_SIDE


def _by_images(cases: tuple[CaseResult, ...]) -> Scaling:
    scored = [case for case in cases if case.name == scoring_name(case.images)]
    points = [Point(case.images, case.seconds.median, int(case.peak_bytes.median)) for case in scored]
    return Scaling.of(IMAGES, "images", points)


def _machine() -> Machine:
    return Machine(
        processor=_processor(),
        cores=count_cores(),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        differnet=version("differnet"),
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown")
