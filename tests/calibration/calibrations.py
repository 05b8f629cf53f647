"""Calibrations that several test files look at."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from differnet.calibration import Calibration, Tail, calibrate
from differnet.errors import CalibrationError

TAILS: tuple[Tail, ...] = ("conformal", "generalized-pareto")
# Few different values, so that ties are common; and any values.
tied = st.lists(st.integers(-3, 6).map(float), min_size=1, max_size=60)
untied = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60)
# Enough values for a fitted tail.
many = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).lognormal(size=20 + seed % 50).tolist())
rates = st.one_of(st.sampled_from((0.01, 0.05, 0.07, 0.1, 0.3, 1 / 3, 1 - 0.9)), st.floats(1e-6, 0.999))


def some_calibration(values: list[float], rate: float, review: float | None, tail: Tail) -> Calibration | None:
    """A calibration, or None where the values allow none."""
    try:
        return calibrate(values, rate, review if review is not None and review > rate else None, tail)
    except CalibrationError:
        return None


def probes(calibration: Calibration) -> list[float]:
    """Scores on, just below and just above everything at which something changes, and far beyond."""
    marks = [*calibration.scores, calibration.threshold, calibration.review_threshold or 0.0]
    near = [float(side) for mark in marks for side in (mark, np.nextafter(mark, -np.inf), np.nextafter(mark, np.inf))]
    top = float(calibration.scores[-1])
    return [*near, *np.linspace(top, top + 100, 20).tolist(), top + 1e9, math.inf, -math.inf]
