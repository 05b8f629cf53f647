"""How well a fitted model tells good parts from defective ones."""

from differnet.evaluation.evaluate import Evaluation, ScoredImage, evaluate
from differnet.evaluation.metrics import Estimate, average_precision, image_auroc

__all__ = ["Estimate", "Evaluation", "ScoredImage", "average_precision", "evaluate", "image_auroc"]
