"""From what the models say of views and cells to one anomaly score."""

from differnet.scoring.common_scale import CommonScale, JoinRule
from differnet.scoring.scores import (
    Aggregation,
    aggregate,
    hottest_cells,
    local_scores,
    score_features,
    scored_features,
)

__all__ = [
    "Aggregation",
    "CommonScale",
    "JoinRule",
    "aggregate",
    "hottest_cells",
    "local_scores",
    "score_features",
    "scored_features",
]
