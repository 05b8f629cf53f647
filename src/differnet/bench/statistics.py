"""Medians with their spread, and straight lines through measurements."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["LineFit", "Spread", "fit_line"]

# A line always goes through two points: how well it fits says nothing with fewer than three.
_LEAST_FOR_FIT = 3


@dataclass(frozen=True)
class Spread:
    """Several measurements of the same thing.

    Attributes:
        median: The middle one; of an even number, the mean of the two in the middle.
        min: The smallest.
        max: The largest.
        count: How many there are.
    """

    median: float
    min: float
    max: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise at least one measurement.

        Raises:
            ValueError: If there is none.
        """
        if not values:
            raise ValueError("there is nothing to summarise")
        return cls(statistics.median(values), min(values), max(values), len(values))


@dataclass(frozen=True)
class LineFit:
    """The straight line ``y = intercept + slope * x`` of least squares.

    Attributes:
        intercept: y at x = 0, what is paid once.
        slope: What each further unit of x costs.
        r_squared: Share of the variance of y that the line explains, in [0, 1]; None with fewer than three different x,
            or where y never varies.
    """

    intercept: float
    slope: float
    r_squared: float | None

    def at(self, x: float) -> float:
        """The line's y at an x."""
        return self.intercept + self.slope * x


def fit_line(x: Sequence[float], y: Sequence[float]) -> LineFit:
    """Fit a straight line by least squares.

    Args:
        x: (n,) places, at least two different ones.
        y: (n,) measurements.

    Raises:
        ValueError: If the lengths differ, or there are fewer than two different x.
    """
    if len(x) != len(y):
        raise ValueError(f"there are {len(x)} places and {len(y)} measurements")
    places = len(set(x))
    if places < 2:
        raise ValueError("a line takes measurements at two different places or more")
    slope, intercept = statistics.linear_regression(x, y)
    informative = places >= _LEAST_FOR_FIT and len(set(y)) > 1
    r_squared = statistics.correlation(x, y) ** 2 if informative else None
    return LineFit(intercept, slope, r_squared)
