"""Do good images score so low that training must have seen them?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["seem_learnt"]

# Fewer scores than this tell nothing.
_LEAST = 10
# Of a normal variable five deviations below its mean: images are asked about often.
_UNLIKELY = 2.9e-7


def seem_learnt(unseen: NDArray[np.float32], scores: NDArray[np.float32]) -> bool:
    """Whether scores of good images lie far below those of images that training did not see (Mann and Whitney's test).

    Args:
        unseen: (n,) scores of those.
        scores: (m,) of the images; fewer than ten of either tell nothing.
    """
    if min(len(unseen), len(scores)) < _LEAST or np.ptp(np.concatenate([unseen, scores])) == 0.0:
        return False
    from scipy.stats import mannwhitneyu  # noqa: PLC0415 - takes half a second to import

    return bool(mannwhitneyu(scores, unseen, alternative="less", method="asymptotic").pvalue < _UNLIKELY)
