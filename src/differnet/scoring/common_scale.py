"""Joins the score of the flow with that of the cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["CommonScale"]

_EPS = 1e-9


@dataclass(frozen=True)
class CommonScale:
    """Joins two scores of an image: each in standard deviations from the mean of good images, then their soft maximum.

    ``log(exp(a) + exp(b))`` is near the greater of the two where they differ and above both where they agree, so that a
    part may be strange as a whole or in one place. The flow sees the first better, the cells the second.

    Attributes:
        usual: (2, 2) float64, mean and standard deviation of the flow's and of the local score of good images, neither
            measured by a model that was fitted to the image.
    """

    usual: Tensor

    @classmethod
    def fit(cls, flow: Tensor, local: Tensor) -> CommonScale:
        """Learn the scale from (n,) flow scores and (n,) local scores of good images."""
        both = torch.stack([flow, local]).double()
        deviation = both.std(dim=1, correction=0).clamp_min(_EPS)
        return cls(torch.stack([both.mean(dim=1), deviation], dim=1))

    def flow_cut(self, cut: float, local: float) -> float:
        """The flow score at which an image of this local score reaches a joined score; -inf where any does."""
        (mean, deviation), (local_mean, local_deviation) = self.usual.tolist()
        standardised = (local - local_mean) / local_deviation
        if standardised >= cut:
            return -math.inf
        return mean + deviation * (cut + math.log(-math.expm1(standardised - cut)))

    def join(self, flow: Tensor, local: Tensor) -> Tensor:
        """Join (N,) flow scores and (N,) local scores to (N,) float32 scores, higher is more anomalous."""
        standardised = (torch.stack([flow, local]).double() - self.usual[:, :1]) / self.usual[:, 1:]
        return torch.logaddexp(*standardised).float()
