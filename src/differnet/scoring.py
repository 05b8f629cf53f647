"""tau(x): the anomaly score (paper, equation 5), and how the local model's joins it on a common scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from differnet.flow import FlowEnsemble, NormalizingFlow

__all__ = ["CommonScale", "aggregate", "local_score", "score_features"]

_EPS = 1e-9


@torch.no_grad()
def score_features(
    flow: NormalizingFlow | FlowEnsemble, features: Tensor, aggregation: Literal["mean", "median"]
) -> Tensor:
    """Score images by the features of their views.

    The score of a view is the mean of z squared over the d latent values, as in the official code. It is the
    paper's ``-log p_Z(z)`` up to scale and offset: ``-log p_Z(z) = (d / 2) * (score + log(2 pi))``. A view that
    the flow explains perfectly well scores about 1.

    Args:
        flow: The fitted flow.
        features: (N, V, d) float32.
        aggregation: How the views become one score; see `aggregate`.

    Returns:
        (N,) float32 scores on the CPU, higher is more anomalous.
    """
    per_view = flow.energy(features.flatten(0, 1).to(next(flow.parameters()).device)).view(features.shape[:2])
    return aggregate(per_view, aggregation).cpu()


def aggregate(view_scores: Tensor, aggregation: Literal["mean", "median"]) -> Tensor:
    """Turn the scores of an image's views into one.

    Args:
        view_scores: (N, V).
        aggregation: ``mean`` (paper) or ``median``; the median of an even number of views is the mean of the two
            in the middle.

    Returns:
        (N,) scores.
    """
    if aggregation == "mean":
        return view_scores.mean(dim=1)
    return torch.quantile(view_scores, 0.5, dim=1)


def local_score(anomaly: Tensor, hottest: float) -> float:
    """Score an image by its most anomalous cells.

    Args:
        anomaly: (g, g) local anomaly of the cells.
        hottest: Share of the cells, in (0, 1], that the score is the mean of; at least one is.

    Returns:
        The score, higher is more anomalous.
    """
    count = max(1, int(hottest * anomaly.numel()))
    return anomaly.flatten().topk(count).values.mean().item()


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
