"""Scoring the labelled test images of a product and summing up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from differnet.detector import DifferNet, ImageScore, Listener
from differnet.evaluation.metrics import Estimate, average_precision, image_auroc
from differnet.features import Failure
from differnet.images import GOOD, LabelledImage

__all__ = ["DefectMetrics", "Evaluation", "ScoredImage", "evaluate"]


@dataclass(frozen=True)
class ScoredImage:
    """A test image with its score.

    Attributes:
        image: The labelled image.
        result: Its score.
    """

    image: LabelledImage
    result: ImageScore


@dataclass(frozen=True)
class DefectMetrics:
    """Metrics of one kind of defect against all good images, or of all kinds together.

    Attributes:
        images: Number of defective images.
        image_auroc: Area under the ROC curve.
        average_precision: Average precision.
    """

    images: int
    image_auroc: Estimate
    average_precision: Estimate

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "n": self.images,
            "image_auroc": self.image_auroc.value,
            "image_auroc_ci95": [self.image_auroc.low, self.image_auroc.high],
            "average_precision": self.average_precision.value,
            "average_precision_ci95": [self.average_precision.low, self.average_precision.high],
        }


@dataclass(frozen=True)
class Evaluation:
    """The outcome of an evaluation.

    Attributes:
        overall: All defective images together.
        per_defect: Metrics by kind of defect.
        good_images: Number of good test images.
        scored: Every image with its score, in the order of the input.
        failures: Images that could not be used.
        seconds: Duration of the scoring.
    """

    overall: DefectMetrics
    per_defect: dict[str, DefectMetrics]
    good_images: int
    scored: list[ScoredImage]
    failures: list[Failure]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        overall = self.overall.to_dict()
        return {
            **{name: value for name, value in overall.items() if name != "n"},
            "n_good": self.good_images,
            "n_defective": self.overall.images,
            "per_defect": {kind: metrics.to_dict() for kind, metrics in self.per_defect.items()},
            "skipped": [{"path": failure.source, "reason": failure.reason} for failure in self.failures],
            "seconds": round(self.seconds, 3),
        }


def evaluate(model: DifferNet, images: Sequence[LabelledImage], listener: Listener | None = None) -> Evaluation:
    """Score labelled images and compute metrics.

    Args:
        model: A fitted model.
        images: Good and defective images; those that cannot be read are left out and listed.
        listener: Hears of the progress.

    Raises:
        DatasetError: If no good or no defective image can be scored.
    """
    listener = listener or Listener()
    started = time.perf_counter()
    scored: list[ScoredImage] = []
    failures: list[Failure] = []
    for done, (image, result) in enumerate(
        zip(images, model.score_stream(image.path for image in images), strict=True), start=1
    ):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            scored.append(ScoredImage(image, result))
        listener.images("scores", done, len(images))
    seconds = time.perf_counter() - started
    by_kind: dict[str, list[float]] = {}
    for entry in scored:
        by_kind.setdefault(entry.image.kind, []).append(entry.result.score)
    good = by_kind.pop(GOOD, [])
    return Evaluation(
        overall=_metrics(good, [score for scores in by_kind.values() for score in scores]),
        per_defect={kind: _metrics(good, scores) for kind, scores in by_kind.items()},
        good_images=len(good),
        scored=scored,
        failures=failures,
        seconds=seconds,
    )


def _metrics(good: Sequence[float], defective: Sequence[float]) -> DefectMetrics:
    return DefectMetrics(len(defective), image_auroc(good, defective), average_precision(good, defective))
