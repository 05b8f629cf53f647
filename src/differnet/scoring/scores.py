"""tau(x): the anomaly score (paper, equation 5), and how the local model's joins it on a common scale."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch
from torch import Tensor

from differnet.flow import DensityModel

__all__ = ["Aggregation", "aggregate", "hottest_cells", "local_scores", "score_features", "scored_features"]

Aggregation: TypeAlias = Literal["mean", "median", "features"]
"""How the views of an image become one score; see `aggregate` and `scored_features`."""


@torch.no_grad()
def score_features(flow: DensityModel, features: Tensor, aggregation: Aggregation) -> Tensor:
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
    features = scored_features(features, aggregation)
    per_view = flow.energy(features.flatten(0, 1).to(flow.device)).view(features.shape[:2])
    return aggregate(per_view, aggregation).cpu()


def scored_features(features: Tensor, aggregation: Aggregation) -> Tensor:
    """What a density model learns and scores of an image's views: each of them, or their mean.

    Args:
        features: (N, V, d) float32.
        aggregation: With ``features`` the mean is scored.

    Returns:
        (N, V, d), or (N, 1, d).
    """
    return features.mean(1, keepdim=True) if aggregation == "features" else features


def aggregate(view_scores: Tensor, aggregation: Aggregation) -> Tensor:
    """Turn the scores of an image's views into one.

    Args:
        view_scores: (N, V).
        aggregation: ``mean`` (paper) or ``median``; the median of an even number of views is the mean of the two
            in the middle; with ``features`` there is only one.

    Returns:
        (N,) scores.
    """
    if aggregation != "median":
        return view_scores.mean(dim=1)
    return torch.quantile(view_scores, 0.5, dim=1)


def local_scores(anomaly: Tensor, hottest: float) -> Tensor:
    """Score an image by its most anomalous cells, plane by plane.

    Args:
        anomaly: (g, g) local anomaly of the cells, or (p, g, g).
        hottest: How many cells a score is the mean of, see `hottest_cells`.

    Returns:
        (1,) or (p,) scores, float32 on the CPU, higher is more anomalous.
    """
    planes = anomaly.reshape(1 if anomaly.dim() == 2 else len(anomaly), -1)
    return planes.topk(hottest_cells(hottest, planes.shape[1])).values.mean(dim=1).cpu()


def hottest_cells(hottest: float, cells: int) -> int:
    """How many cells a local score is the mean of.

    Args:
        hottest: Their share, up to 1; above 1 their number.
        cells: That an image has.

    Returns:
        A number from 1 to that of the cells.
    """
    return min(max(1, int(hottest if hottest > 1 else hottest * cells)), cells)
