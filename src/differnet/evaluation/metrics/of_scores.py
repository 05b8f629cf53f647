"""Metrics of the scores of images."""

from __future__ import annotations

from differnet.evaluation.estimate import Estimate
from differnet.evaluation.image_metrics import average_precision, image_auroc
from differnet.evaluation.metrics.metric import Evidence, Metric

__all__ = ["AveragePrecision", "ImageAuroc"]


class ImageAuroc(Metric):
    """Area under the ROC curve of the images."""

    name = "image_auroc"
    label = "image AUROC"
    title = "Image AUROC"
    needs = "scores"

    def measure(self, evidence: Evidence) -> Estimate:
        """With the interval of Newcombe and DeLong, see `auroc_interval`."""
        return image_auroc(evidence.good, evidence.defective)


class AveragePrecision(Metric):
    """Average precision with defective images as the positives."""

    name = "average_precision"
    label = "average precision"
    title = "Average precision"
    needs = "scores"
    in_summary = False

    def measure(self, evidence: Evidence) -> Estimate:
        """With the interval of the bootstrap, at least that of a share."""
        return average_precision(evidence.good, evidence.defective)
