"""What the commands share: messages, progress bars, JSON, exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

import typer

from differnet.errors import DifferNetError, SettingsError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

    from differnet.cluster.training import TrainingRow
    from differnet.features import Failure
    from differnet.training import EpochReport

__all__ = [
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "DeviceOption",
    "JsonOption",
    "MapMethodOption",
    "MapsOption",
    "ProgressListener",
    "WeightsOption",
    "fail_if_skipped",
    "fleet_progress",
    "parse_assignments",
    "print_json",
    "progress",
    "say",
    "warn",
]

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]
DeviceOption = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda or cuda:1.")]
WeightsOption = Annotated[
    str | None,
    typer.Option(help="File or folder with the extractor's pretrained weights, instead of searching."),
]
MapsOption = Annotated[
    bool | None,
    typer.Option(
        "--maps/--no-maps", help="Measure heat maps too; by default if there is ground truth and it is quick."
    ),
]
MapMethodOption = Annotated[
    str | None,
    typer.Option("--map-method", help="neighbours or gradient (the paper's); by default the model's own."),
]


@cache
def _errors() -> Console:
    # Imported on first use: --help needs none of it, and would take three times as long.
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(message: str) -> None:
    """Tell something on stderr."""
    _errors().print(message, markup=False)


def warn(message: str) -> None:
    """Warn on stderr."""
    _errors().print(f"warning: {message}", markup=False, style="yellow")


def print_json(document: Mapping[str, Any]) -> None:
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def fail_if_skipped(failures: Sequence[Failure]) -> None:
    """End with exit code 1 if images were skipped; each is named, with its reason."""
    for failure in failures:
        warn(failure.reason if failure.source in failure.reason else f"{failure.source}: {failure.reason}")
    if failures:
        say(f"{len(failures)} image(s) skipped.")
        raise typer.Exit(EXIT_FAILED)


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` words into a mapping; values that are JSON are read as such.

    Raises:
        SettingsError: If a word has no ``=``.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise SettingsError(f"'{assignment}' is not NAME=VALUE; write for example --set training.epochs=50.")
        try:
            values[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            values[name.strip()] = value.strip()
    return values


@contextmanager
def progress() -> Iterator[ProgressListener]:
    """A progress bar on stderr, silent when stderr is not a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
        console=_errors(),
        disable=not _errors().is_terminal,
        transient=True,
    )
    with bar:
        yield ProgressListener(bar)


@contextmanager
def fleet_progress(products: int) -> Iterator[FleetProgress]:
    """Bars for a fleet and for each product that is running; a line for each that is done."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=_errors(),
        disable=not _errors().is_terminal,
        transient=True,
    )
    with bar:
        yield FleetProgress(bar, products)


class FleetProgress:
    """Shows how a fleet comes along; see `differnet.cluster.fleet_training.Board`."""

    def __init__(self, bar: Progress, products: int) -> None:
        self._bar = bar
        self._done = 0
        self._products = products
        self._whole = bar.add_task("products", total=products)
        self._tasks: dict[str, TaskID] = {}

    def running(self, product: str, stage: str, done: int, total: int) -> None:
        """A product has come so far in a stage."""
        if product not in self._tasks:
            self._tasks[product] = self._bar.add_task(product, total=total)
        self._bar.update(self._tasks[product], description=f"  {product}: {stage}", completed=done, total=total)

    def finished(self, row: TrainingRow) -> None:
        """A product is done."""
        if row.product in self._tasks:
            self._bar.remove_task(self._tasks.pop(row.product))
        self._done += 1
        self._bar.update(self._whole, completed=self._done)
        seconds = f", {row.seconds:.0f} s" if row.seconds is not None else ""
        remark = f": {row.reason}" if row.reason else ""
        say(f"[{self._done}/{self._products}] {row.product} {row.status}{seconds}{remark}")


class ProgressListener:
    """Shows what a `differnet.detector.Listener` hears; it has the same methods, without importing torch."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images have passed a stage."""
        self._show(stage, done, total, "")

    def epoch(self, report: EpochReport) -> None:
        """An epoch of training is over."""
        detail = f"loss {report.loss:.3f}"
        if report.held_out_loss is not None:
            detail += f", held out {report.held_out_loss:.3f}, best epoch {report.best_epoch}"
        self._show("training", report.epoch, report.epochs, detail)

    def _show(self, stage: str, done: int, total: int, detail: str) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total, detail="")
        self._bar.update(self._tasks[stage], completed=done, detail=detail)


def exit_with_error(error: DifferNetError) -> int:
    """Print an error that the user can mend; returns the exit code."""
    _errors().print(f"error: {error}", markup=False, style="red")
    return EXIT_FAILED
