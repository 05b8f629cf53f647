"""A cost that grows with something, and the straight line through its measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from differnet.bench.statistics import LineFit, fit_line

__all__ = ["IMAGES", "VIEWS", "Point", "Scaling"]

IMAGES = "number of images"
VIEWS = "number of views"


@dataclass(frozen=True)
class Point:
    """One measurement of a growing cost.

    Attributes:
        x: How much there was of what grows.
        seconds: What it took.
        peak_bytes: Peak memory of the process, where a process was measured.
    """

    x: float
    seconds: float
    peak_bytes: int | None = None


@dataclass(frozen=True)
class Scaling:
    """A growing cost and the straight line through it.

    Attributes:
        quantity: What grows.
        unit: Of x.
        points: The measurements.
        fit: The line; its slope are the seconds of a unit of x.
        memory: Likewise of the peak memory, in bytes; None where it was not measured.
    """

    quantity: str
    unit: str
    points: tuple[Point, ...]
    fit: LineFit
    memory: LineFit | None = None

    @classmethod
    def of(cls, quantity: str, unit: str, points: Sequence[Point]) -> Scaling:
        """Fit the lines; it takes points at two different x at least.

        Raises:
            ValueError: If there are fewer.
        """
        x = [point.x for point in points]
        peaks = [point.peak_bytes for point in points if point.peak_bytes is not None]
        memory = fit_line(x, peaks) if len(peaks) == len(points) else None
        return cls(quantity, unit, tuple(points), fit_line(x, [point.seconds for point in points]), memory)
