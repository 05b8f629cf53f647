"""How well a fitted model tells good parts from defective ones."""

from differnet.evaluation.estimate import Estimate
from differnet.evaluation.evaluate import Evaluation, ScoredImage, evaluate
from differnet.evaluation.image_metrics import average_precision, image_auroc

__all__ = ["Estimate", "Evaluation", "ScoredImage", "average_precision", "evaluate", "image_auroc"]
