"""From what the models say of views and cells to one anomaly score."""

from differnet.scoring.common_scale import CommonScale
from differnet.scoring.scores import aggregate, local_score, score_features

__all__ = ["CommonScale", "aggregate", "local_score", "score_features"]
