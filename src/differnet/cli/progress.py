"""Progress bars on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from differnet.cli.console import error_console, is_quiet, say
from differnet.cli.garbage import collect_as_usual

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from differnet.fleet.product_training import TrainingRow
    from differnet.training import EpochReport

__all__ = ["FleetProgress", "PlainProgress", "ProgressListener", "fleet_progress", "progress"]


@contextmanager
def progress() -> Iterator[ProgressListener | PlainProgress]:
    """A progress bar on stderr; plain lines where that is no terminal, nothing with --quiet."""
    collect_as_usual()  # here what takes many images begins
    if not error_console().is_terminal:
        yield PlainProgress()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[detail]}"),
        console=error_console(),
        disable=is_quiet(),
        transient=True,
    )
    with bar:
        yield ProgressListener(bar)


@contextmanager
def fleet_progress(products: int) -> Iterator[FleetProgress]:
    """Bars for a fleet and for each product that is running; a line for each that is done."""
    collect_as_usual()
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=error_console(),
        disable=is_quiet() or not error_console().is_terminal,
        transient=True,
    )
    with bar:
        yield FleetProgress(bar, products)


class FleetProgress:
    """Shows how a fleet comes along; see `differnet.fleet.training.Board`."""

    def __init__(self, bar: Progress, products: int) -> None:
        self._bar = bar
        self._done = 0
        self._products = products
        self._whole = bar.add_task("products", total=products)
        self._tasks: dict[str, TaskID] = {}

    def product(self, name: str) -> ProductProgress:
        """Who hears how the training of a product goes."""
        if name not in self._tasks:
            self._tasks[name] = self._bar.add_task(name, total=None)
        return ProductProgress(self._bar, self._tasks[name], name)

    def finished(self, row: TrainingRow) -> None:
        """A product is done."""
        if row.product in self._tasks:
            self._bar.remove_task(self._tasks.pop(row.product))
        self._done += 1
        self._bar.update(self._whole, completed=self._done)
        seconds = f", {row.seconds:.0f} s" if row.seconds is not None else ""
        remark = f": {row.reason}" if row.reason else ""
        say(f"[{self._done}/{self._products}] {row.product} {row.status}{seconds}{remark}")


class ProductProgress:
    """Shows on one bar how the training of a product goes; a `differnet.training.progress.Progress`."""

    def __init__(self, bar: Progress, task: TaskID, product: str) -> None:
        self._bar = bar
        self._task = task
        self._product = product

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images have passed a stage."""
        self._bar.update(self._task, description=f"  {self._product}: {stage}", completed=done, total=total)

    def epoch(self, report: EpochReport) -> None:
        """An epoch of training is over."""
        self.images("training", report.epoch, report.epochs)


class ProgressListener:
    """A bar for each stage; a `differnet.training.progress.Progress`, which is not imported, since it loads torch."""

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


class PlainProgress:
    """A line now and then, for logs; a `differnet.training.progress.Progress`.

    Args:
        seconds: Least time between two lines, and before the first.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._last = time.monotonic()
        self._epochs = ""

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images have passed a stage."""
        self._tell(f"{f'training: {self._epochs}; ' if self._epochs else ''}{stage}: {done} of {total}")

    def epoch(self, report: EpochReport) -> None:
        """An epoch of training is over."""
        self._epochs = f"epoch {report.epoch} of {report.epochs}, loss {report.loss:.3f}"
        self._tell(f"training: {self._epochs}")

    def _tell(self, line: str) -> None:
        now = time.monotonic()
        if now - self._last >= self._seconds:
            self._last = now
            say(line)
