"""Rates and scores that calibration can work with."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from differnet.errors import DatasetError, SettingsError

__all__ = ["check_rate", "checked_score", "finite_scores", "sorted_scores"]


def check_rate(name: str, rate: float) -> None:
    """Make sure that a rate lies in (0, 1).

    Args:
        name: What the rate is called in the message.
        rate: The rate.

    Raises:
        SettingsError: If it does not.
    """
    # Written so that NaN fails it too.
    if not 0.0 < rate < 1.0:
        raise SettingsError(f"{name} is {rate} and must lie between 0 and 1, both excluded; 0.05 stands for 5 %.")


def checked_score(score: float) -> float:
    """A score as a float64 number.

    Raises:
        DatasetError: If it is NaN.
    """
    if math.isnan(score):
        raise DatasetError("A score is not a number; train the model again.")
    # NumPy would compare a float32 with a threshold in float32, which rounds the threshold.
    return float(score)


def finite_scores(scores: ArrayLike) -> NDArray[np.float64]:
    """Scores as (n,) float64.

    Raises:
        DatasetError: If one of them is not finite.
    """
    values = np.asarray(scores, np.float64).ravel()
    if not np.isfinite(values).all():
        raise DatasetError("A score is not a finite number; train the model again.")
    return values


def sorted_scores(scores: ArrayLike) -> NDArray[np.float64]:
    """Scores as (n,) float64, ascending.

    Raises:
        DatasetError: If one of them is not finite.
    """
    return np.sort(finite_scores(scores))
