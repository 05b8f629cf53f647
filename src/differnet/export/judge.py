"""A model's calibration as a graph: from a score to p-value, margin and decision."""

from __future__ import annotations

import sys
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from differnet.calibration import Calibration, Decision

__all__ = ["DECISIONS", "Judge"]

DECISIONS: tuple[Decision, ...] = ("accept", "review", "reject")
"""What the numbers of the output ``decision`` stand for."""

# Below this an exponential tail, as in `differnet.calibration`.
_TINY_SHAPE = 1e-9
_SMALLEST = float(np.finfo(np.float32).tiny)


class Judge(nn.Module):
    """What `Calibration` says of a score, for the same scores the same.

    Scores are float32, thresholds float64: each is rounded down to float32, which leaves every comparison as it was, so
    that runtimes without float64 decide the same.

    Args:
        calibration: Of the model.
    """

    _scores: Tensor
    _p_values: Tensor
    _cuts: Tensor
    _threshold: Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self._calibration = calibration
        images = len(calibration.scores)
        self.register_buffer("_scores", torch.from_numpy(_rounded_down(calibration.scores)))
        # By the number of calibration scores that are at least as high.
        p_values = (1 + np.arange(images + 1)) / (images + 1)
        self.register_buffer("_p_values", torch.from_numpy(p_values))
        # Without a review threshold nothing lies between the two.
        review = calibration.threshold if calibration.review_threshold is None else calibration.review_threshold
        self.register_buffer("_cuts", torch.from_numpy(_rounded_down([review, calibration.threshold])))
        self.register_buffer("_threshold", torch.tensor(calibration.threshold, dtype=torch.float64))

    @property
    def threshold(self) -> float:
        """Scores above it are refused."""
        return self._calibration.threshold

    def forward(self, score: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Judge a float32 () score: float64 () p-value, float64 () margin, int64 () place in `DECISIONS`."""
        at_least = (self._scores >= score).sum()
        p_value = self._p_values.index_select(0, at_least.view(1)).view(())
        p_value = self._tail(score, p_value)
        return p_value, score.double() - self._threshold, (score > self._cuts).sum()

    def _tail(self, score: Tensor, conformal: Tensor) -> Tensor:
        """The p-value with the generalised Pareto tail, as `Calibration.p_value` has it; the conformal one without."""
        found = self._calibration
        tail = found.pareto
        if tail is None:
            return conformal
        reduced = (score.double() - tail.location).clamp_min(0.0) / tail.scale
        if tail.shape < _TINY_SHAPE:
            survival = torch.exp(-reduced)
        else:
            survival = torch.exp(-torch.log(1.0 + tail.shape * reduced) / tail.shape)
        at_location = (1 + tail.exceedances) / (len(found.scores) + 1)
        value = (at_location * survival).clamp_min(_SMALLEST)
        rates = [(found.false_reject_rate, self._cuts[1])]
        if found.review_rate is not None:
            rates.append((found.review_rate, self._cuts[0]))
        for rate, cut in rates:
            # Rounding in the two formulas must not set the p-value against the decision.
            above = rate + rate * sys.float_info.epsilon
            value = torch.where(score > cut, value.clamp_max(rate), value.clamp_min(above))
        location = float(_rounded_down([tail.location])[0])
        return torch.where(score > location, value, conformal)


def _rounded_down(values: ArrayLike) -> NDArray[np.float32]:
    """The highest float32 numbers that are not above the values."""
    exact = np.asarray(values, np.float64)
    nearest = exact.astype(np.float32)
    return cast("NDArray[np.float32]", np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest))
