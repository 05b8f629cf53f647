"""A figure that was measured on some images, and how far it can be trusted."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Estimate"]


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % confidence interval.

    Attributes:
        value: On the images at hand.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: float
    low: float
    high: float
