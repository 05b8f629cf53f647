"""Who hears how long work goes on: training, scoring, evaluating, fleets and benchmarks tell it by one protocol."""

from __future__ import annotations

import html
import sys
import time
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["EPOCH_IMAGES", "EpochReport", "Listener", "NotebookListener", "Progress", "usual_listener"]


EPOCH_IMAGES = "this epoch"
"""The stage of images within an epoch, where they are seen anew in each."""


class Progress(Protocol):
    """Hears how long work goes on; what it raises ends the work."""

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images (of a benchmark: runs) have passed a stage, such as ``features``."""
        ...

    def epoch(self, report: EpochReport) -> None:
        """An epoch of training is over."""
        ...


@dataclass(frozen=True)
class EpochReport:
    """What is known after an epoch.

    Attributes:
        epoch: Its number, from 1.
        epochs: Most epochs there will be.
        loss: Mean training loss per feature.
        held_out_loss: Median over the views of the held-out images, None if none are held out.
        best_epoch: The epoch that would be kept now.
    """

    epoch: int
    epochs: int
    loss: float
    held_out_loss: float | None
    best_epoch: int


class Listener(Progress):
    """A `Progress` to derive from: every method does nothing unless overridden."""

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images have passed a stage."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch of training is over."""


class NotebookListener(Listener):
    """A bar below the cell of a notebook, gone when the work is done.

    Args:
        seconds: Least time between two changes of it.
    """

    def __init__(self, seconds: float = 0.2) -> None:
        self._seconds = seconds
        self._last = 0.0
        self._handle: Any = None

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images have passed a stage."""
        if stage != EPOCH_IMAGES or done < total:  # the training goes on
            self._show(f"{stage}: {done} of {total}", done, total)

    def epoch(self, report: EpochReport) -> None:
        """An epoch of training is over."""
        self._show(f"training: loss {report.loss:.3f}", report.epoch, report.epochs)

    def _show(self, told: str, done: int, total: int) -> None:
        from IPython.display import HTML, display  # noqa: PLC0415 - there in notebooks

        now = time.monotonic()
        if now - self._last < self._seconds and done < total:
            return
        self._last = now
        bar = HTML(f'<progress value="{done}" max="{total}"></progress> {html.escape(told)}')
        if self._handle is None:
            self._handle = display(bar, display_id=True)
        else:
            self._handle.update(HTML("") if done >= total else bar)


def usual_listener() -> Listener:
    """Who hears of progress where nobody is named: a bar in notebooks, nobody elsewhere."""
    return NotebookListener() if "ipykernel" in sys.modules else Listener()
