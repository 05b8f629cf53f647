"""Does the density fit? Vectors drawn from it by the flow's inverse, beside those of good images it has not seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from differnet.flow import DensityModel, draw

__all__ = ["MOST_VECTORS", "GoodnessOfFit", "compare_with_samples", "energy_test"]

MOST_VECTORS = 500
"""So many vectors of good images are compared at most."""

_LEAST_VECTORS = 5
_LEAST_SAMPLES = 200
_PERMUTATIONS = 999
# Of standardised values: a flow extrapolates without bounds, and one wild vector would stand for all.
_WILD = 100.0


@dataclass(frozen=True)
class GoodnessOfFit:
    """How far apart two samples are.

    Attributes:
        distance: Energy distance as a share of the mean distance between the samples: 0 where both are of one
            distribution, 1 where each is a single point of its own.
        p_value: How often two samples of one distribution lie at least as far apart; by permutations.
        vectors: Of good images.
    """

    distance: float
    p_value: float
    vectors: int


def compare_with_samples(flow: DensityModel, good: Tensor, seed: int) -> GoodnessOfFit | None:
    """Compare vectors of good images with as many, and 200 at least, that are drawn from the density.

    Args:
        flow: The density.
        good: (n, d) float32 vectors of good images that it did not learn from, one of each image.
        seed: Of the samples and the permutations.

    Returns:
        None from fewer than five images, or for a density that nothing can be drawn from.
    """
    if len(good) < _LEAST_VECTORS:
        return None
    generator = torch.Generator().manual_seed(seed)
    drawn = draw(flow, max(len(good), _LEAST_SAMPLES), generator)
    if drawn is None:
        return None
    first = good[:MOST_VECTORS].double().cpu().numpy()
    distance, p_value = energy_test(first, drawn.double().cpu().numpy(), np.random.default_rng([seed, 5]))
    return GoodnessOfFit(distance, p_value, len(first))


def energy_test(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    rng: np.random.Generator,
    permutations: int = _PERMUTATIONS,
) -> tuple[float, float]:
    """The two-sample test by energy distance (Székely and Rizzo, "Energy statistics", 2013).

    With X, X' of the one sample and Y, Y' of the other it is ``2 E|X - Y| - E|X - X'| - E|Y - Y'|``, which is 0 for
    equal distributions alone. Each feature is divided by its deviation in both samples, of the second by its quartiles,
    which single wild vectors do not move.

    Args:
        first: (n, d).
        second: (m, d).
        rng: Draws the permutations.
        permutations: Their number.

    Returns:
        The distance as a share of ``2 E|X - Y|``, in [0, 1], and its p-value, at least 1 / (permutations + 1).
    """
    n, m = len(first), len(second)
    finite = np.nan_to_num(second, nan=np.inf, posinf=np.inf, neginf=-np.inf)
    centre = first.mean(0)
    spread = np.sqrt((first.var(0) + _quartile_deviation(finite) ** 2) / 2)
    spread[~(np.isfinite(spread) & (spread > 0))] = 1.0
    both = np.clip((np.concatenate([first, finite]) - centre) / spread, -_WILD, _WILD)
    distances = cdist(both, both)
    labels = np.zeros((n + m, permutations + 1))
    labels[:n, 0] = 1.0
    for column in range(1, permutations + 1):
        labels[rng.permutation(n + m)[:n], column] = 1.0
    towards = distances @ labels
    total = distances.sum()
    within_first = (labels * towards).sum(0)
    between = towards.sum(0) - within_first
    within_second = total - within_first - 2 * between
    across = 2 * between / (n * m)
    statistic = across - within_first / n**2 - within_second / m**2
    share = float(np.clip(statistic[0] / across[0], 0.0, 1.0)) if across[0] > 0 else 0.0
    # Ties, and sums in another order, count as reached.
    reached = statistic[1:] >= statistic[0] - 1e-9 * abs(statistic[0])
    return share, float((1 + reached.sum()) / (permutations + 1))


def _quartile_deviation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The standard deviation of a normal distribution with the same quartiles."""
    low, high = np.quantile(values, [0.25, 0.75], axis=0, method="nearest")
    return np.asarray((high - low) / 1.349)
