"""Who hears how long work goes on: training, scoring, evaluating, fleets and benchmarks tell it by one protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["EpochReport", "Listener", "Progress"]


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
