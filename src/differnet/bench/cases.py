"""The commands that a benchmark runs as whole processes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from differnet.bench.processes import DIFFERNET, ProcessRun, run_process
from differnet.bench.results import CaseResult
from differnet.bench.statistics import Spread
from differnet.settings import Settings

__all__ = ["Case", "listed", "measure_cases", "scoring_name", "setting_options"]


@dataclass(frozen=True)
class Case:
    """A command to measure.

    Attributes:
        name: Of the case.
        words: After ``differnet``.
        repetitions: How many times it is run.
        images: Number of images that it works on.
    """

    name: str
    words: tuple[str, ...]
    repetitions: int
    images: int = 0

    def run(self) -> ProcessRun:
        """Run it once.

        Raises:
            MeasurementError: If it fails.
        """
        return run_process([*DIFFERNET, *self.words])


def measure_cases(cases: Sequence[Case], ran: Callable[[], None]) -> tuple[CaseResult, ...]:
    """Run all cases, each as often as it asks for.

    They take turns, so that a machine that slows down for a while does not slow one of them alone.

    Args:
        cases: What to run.
        ran: Called after each run.

    Raises:
        MeasurementError: If one fails.
    """
    runs: dict[str, list[ProcessRun]] = {case.name: [] for case in cases}
    for turn in range(max((case.repetitions for case in cases), default=0)):
        for case in cases:
            if turn < case.repetitions:
                runs[case.name].append(case.run())
                ran()
    return tuple(_summarise(case, runs[case.name]) for case in cases)


def _summarise(case: Case, runs: Sequence[ProcessRun]) -> CaseResult:
    return CaseResult(
        name=case.name,
        command=("differnet", *case.words),
        images=case.images,
        seconds=Spread.of([run.seconds for run in runs]),
        cpu_seconds=Spread.of([run.cpu_seconds for run in runs]),
        peak_bytes=Spread.of([run.peak_bytes for run in runs]),
    )


def scoring_name(images: int) -> str:
    """What the case of scoring so many images is called."""
    return "score 1 image" if images == 1 else f"score {images} images"


def setting_options(settings: Settings, overrides: Mapping[str, Any]) -> list[str]:
    """The words after ``differnet train`` that ask for these settings, with some of them changed."""
    values = settings.with_overrides(overrides).model_dump(mode="json")
    return [word for name, value in _dotted(values) for word in ("--set", f"{name}={json.dumps(value)}")]


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def listed(paths: Iterable[Path]) -> tuple[str, ...]:
    """Paths as words of a command."""
    return tuple(str(path) for path in paths)
