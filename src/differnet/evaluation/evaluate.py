"""Scoring the labelled test images of a product and summing up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from differnet.detector import DifferNet
from differnet.errors import DatasetError, ImageError
from differnet.evaluation.metrics import Estimate, average_precision, image_auroc
from differnet.evaluation.pixel_metrics import PixelMetrics, PixelResult
from differnet.evaluation.rates import ErrorRates, binomial_interval, error_rates
from differnet.images import GOOD, LabelledImage, read_image
from differnet.images.failure import Failure
from differnet.inspection.explanation import Explanation
from differnet.inspection.verdict import Verdict
from differnet.localization.localizer import HeatMethod
from differnet.training.progress import Listener

__all__ = ["DefectMetrics", "Evaluation", "ScoredImage", "evaluate"]


@dataclass(frozen=True)
class ScoredImage:
    """A test image with its verdict.

    Attributes:
        image: The labelled image.
        verdict: The verdict on it.
        regions: Number of regions in its heat map; None if no map on a fixed scale was made.
    """

    image: LabelledImage
    verdict: Verdict
    regions: int | None = None


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
        rates: Errors at the calibrated threshold; None for a model without one.
        good_without_region: Share of good images whose heat map has no region; None without maps on a fixed scale.
        pixels: How well the heat maps find the defective pixels; None without maps or ground truth.
    """

    overall: DefectMetrics
    per_defect: dict[str, DefectMetrics]
    good_images: int
    scored: list[ScoredImage]
    failures: list[Failure]
    seconds: float
    rates: ErrorRates | None = None
    good_without_region: Estimate | None = None
    pixels: PixelResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        overall = self.overall.to_dict()
        document = {
            **{name: value for name, value in overall.items() if name != "n"},
            "n_good": self.good_images,
            "n_defective": self.overall.images,
            "per_defect": {kind: metrics.to_dict() for kind, metrics in self.per_defect.items()},
            "skipped": [{"path": failure.source, "reason": failure.reason} for failure in self.failures],
            "seconds": round(self.seconds, 3),
        }
        estimates = {"good_without_region": self.good_without_region}
        if self.rates is not None:
            estimates |= {"false_reject_rate": self.rates.false_reject, "escape_rate": self.rates.escape}
        for name, estimate in estimates.items():
            if estimate is not None:
                document[name] = estimate.value
                document[f"{name}_ci95"] = [estimate.low, estimate.high]
        if self.pixels is not None:
            document["pixel_auroc"] = self.pixels.pixel_auroc
            document["aupro"] = self.pixels.aupro
        return document


def evaluate(
    model: DifferNet,
    images: Sequence[LabelledImage],
    listener: Listener | None = None,
    *,
    maps: bool | None = None,
    method: HeatMethod | None = None,
) -> Evaluation:
    """Score labelled images and compute metrics.

    Args:
        model: A fitted model.
        images: Good and defective images; those that cannot be read are left out and listed, and so is a ground truth.
        listener: Hears of the progress.
        maps: Whether to make heat maps and measure them against the ground truth; None makes them if some image has
            one and they cost little, that is, unless they are made by ``gradient``.
        method: Of the heat maps; None for the model's own.

    Raises:
        DatasetError: If no good or no defective image can be scored, or a ground truth has not its image's size.
    """
    listener = listener or Listener()
    started = time.perf_counter()
    scored: list[ScoredImage] = []
    failures: list[Failure] = []
    pixels = PixelMetrics()
    masks = 0
    if maps is None:
        chosen = method or model.settings.localization.method
        maps = chosen == "neighbours" and any(image.mask is not None for image in images)
    paths = (image.path for image in images)
    results = model.explain_stream(paths, method) if maps else model.inspect_stream(paths, all_views=True)
    for done, (image, result) in enumerate(zip(images, results, strict=True), start=1):
        if isinstance(result, Failure):
            failures.append(result)
        elif isinstance(result, Explanation):
            scored.append(ScoredImage(image, result.verdict, len(result.regions) if result.scale_is_fixed else None))
            try:
                truth = _ground_truth(image, result.heat.shape)
            except ImageError as error:
                # The score counts all the same, and so do the maps of the others.
                failures.append(Failure(str(image.mask), str(error)))
                truth = None
            if truth is not None:
                pixels.add(result.heat, truth)
                masks += int(truth.any())
        else:
            scored.append(ScoredImage(image, result))
        listener.images("scores", done, len(images))
    seconds = time.perf_counter() - started
    by_kind: dict[str, list[float]] = {}
    for entry in scored:
        by_kind.setdefault(entry.image.kind, []).append(entry.verdict.score)
    good = by_kind.pop(GOOD, [])
    defective = [score for scores in by_kind.values() for score in scores]
    return Evaluation(
        overall=_metrics(good, defective),
        per_defect={kind: _metrics(good, scores) for kind, scores in by_kind.items()},
        good_images=len(good),
        scored=scored,
        failures=failures,
        seconds=seconds,
        rates=None if model.calibration is None else error_rates(good, defective, model.calibration.threshold),
        good_without_region=_good_without_region(scored),
        pixels=pixels.compute() if masks else None,
    )


def _ground_truth(image: LabelledImage, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Where the image is defective; None for a defective image of which that is not known."""
    if not image.is_defective:
        return np.zeros(shape, np.bool_)
    if image.mask is None:
        return None
    mask = read_image(image.mask).max(axis=2) > 127
    if mask.shape != shape:
        raise DatasetError(
            f"{image.mask}: has {mask.shape[1]} x {mask.shape[0]} pixels, its image {image.path} has {shape[1]} x "
            f"{shape[0]}; give a mask of the image's size."
        )
    return mask


def _good_without_region(scored: Sequence[ScoredImage]) -> Estimate | None:
    regions = [entry.regions for entry in scored if not entry.image.is_defective and entry.regions is not None]
    if not regions:
        return None
    clean = regions.count(0)
    return Estimate(clean / len(regions), *binomial_interval(clean, len(regions)))


def _metrics(good: Sequence[float], defective: Sequence[float]) -> DefectMetrics:
    return DefectMetrics(len(defective), image_auroc(good, defective), average_precision(good, defective))
