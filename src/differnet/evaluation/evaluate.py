"""Scoring the labelled test images of a product and summing up."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.detector import DifferNet
from differnet.errors import DatasetError, ImageError
from differnet.evaluation.estimate import Estimate
from differnet.evaluation.goodness_of_fit import MOST_VECTORS, compare_with_samples
from differnet.evaluation.metrics import Evidence, Figure, measure
from differnet.evaluation.pixel_metrics import PixelMetrics, PixelResult
from differnet.evaluation.rates import ErrorRates
from differnet.features import Sample
from differnet.images import GOOD, LabelledImage, read_test_images
from differnet.images.failure import Failure
from differnet.images.masks import read_mask
from differnet.inspection.explaining import explain_stream
from differnet.inspection.explanation import Explanation
from differnet.inspection.verdict import Verdict
from differnet.localization.registry import method_class
from differnet.scoring import scored_features
from differnet.training.progress import Listener, Progress

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
        figures: What was measured on the scores, by the metric's name.
    """

    images: int
    figures: Mapping[str, Figure]

    @property
    def image_auroc(self) -> Estimate:
        """Area under the ROC curve; KeyError where images of one sort alone were scored."""
        return _estimate(self.figures["image_auroc"])

    @property
    def average_precision(self) -> Estimate:
        """Average precision; KeyError where images of one sort alone were scored."""
        return _estimate(self.figures["average_precision"])

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"n": self.images, **_document(self.figures)}


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
        figures: What was measured on all images together, besides the scores, by the metric's name.
        pixels: How well the heat maps find the defective pixels; None without maps or ground truth.
        empty_masks: Masks of defective images that mark nothing: where these are defective is not known.
    """

    overall: DefectMetrics
    per_defect: dict[str, DefectMetrics]
    good_images: int
    scored: list[ScoredImage]
    failures: list[Failure]
    seconds: float
    figures: Mapping[str, Figure] = field(default_factory=dict)
    pixels: PixelResult | None = None
    empty_masks: tuple[Path, ...] = ()

    @property
    def rates(self) -> ErrorRates | None:
        """Both errors at the threshold; None for a model without one, or where images of one sort alone were scored."""
        if not {"false_reject_rate", "escape_rate"} <= self.figures.keys():
            return None
        return ErrorRates(_estimate(self.figures["false_reject_rate"]), _estimate(self.figures["escape_rate"]))

    @property
    def good_without_region(self) -> Estimate | None:
        """Share of good images whose heat map has no region; None without maps on a fixed scale."""
        figure = self.figures.get("good_without_region")
        return None if figure is None else _estimate(figure)

    def to_dict(self) -> dict[str, Any]:
        """The summary as JSON values."""
        return {
            **_document(self.overall.figures),
            "n_good": self.good_images,
            "n_defective": self.overall.images,
            "per_defect": {kind: metrics.to_dict() for kind, metrics in self.per_defect.items()},
            "skipped": [failure.to_dict() for failure in self.failures],
            "empty_masks": [str(mask) for mask in self.empty_masks],
            "seconds": round(self.seconds, 3),
            **_document(self.figures),
        }


def evaluate(
    model: DifferNet,
    images: str | os.PathLike[str] | Sequence[LabelledImage],
    listener: Progress | None = None,
    *,
    maps: bool | None = None,
    method: str | None = None,
) -> Evaluation:
    """Score labelled images and compute metrics.

    Args:
        model: A fitted model.
        images: A product's folder, see `read_test_images`, or its good and defective images; those that cannot be
            read are left out and listed, and so is a ground truth. Of good ones alone the share that is refused is
            measured, of defective ones alone the share that escapes.
        listener: Hears of the progress.
        maps: Whether to make heat maps and measure them against the ground truth; None makes them if some image has
            one and they cost little, as all but those by ``gradient`` do.
        method: Of the heat maps; None for the model's own.

    Raises:
        DatasetError: If no image can be scored, if all are good or all defective and the model has no threshold, or if
            a ground truth has not its image's size.
    """
    if isinstance(images, (str, os.PathLike)):
        images = read_test_images(images)
    listener = listener or Listener()
    started = time.perf_counter()
    scored: list[ScoredImage] = []
    failures: list[Failure] = []
    pixels = PixelMetrics()
    masks, empty = 0, list[Path]()
    if maps is None:
        chosen = method or model.settings.localization.method
        maps = method_class(chosen).quick and any(image.mask is not None for image in images)
    paths = (image.path for image in images)
    vectors: list[Tensor] = []
    chance = np.random.default_rng([model.settings.seed, 6])

    def gather(sample: Sample) -> None:
        """A vector of each good image, by one of its views."""
        if not images[sample.index].is_defective and len(vectors) < MOST_VECTORS:
            scored_views = scored_features(sample.features[None], model.settings.scoring.aggregation)[0]
            vectors.append(scored_views[chance.integers(len(scored_views))])

    inspection = model.inspection
    results: Iterator[Verdict | Explanation | Failure] = (
        explain_stream(inspection, paths, method, visit=gather)
        if maps
        else inspection.stream(paths, all_views=True, visit=gather)
    )
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
            if truth is not None and image.mask is not None and image.is_defective and not truth.any():
                empty.append(image.mask)
            elif truth is not None:
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
    if not (good and defective) and (not scored or model.calibration is None):
        what = "good" if good else "defective" if defective else "no"
        raise DatasetError(
            f"Of {what} images alone nothing can be measured without a threshold; give good and defective images that "
            "can be read, or calibrate the model first."
        )
    regions = [entry.regions for entry in scored if not entry.image.is_defective and entry.regions is not None]
    evidence = Evidence(
        np.array(good, np.float64),
        np.array(defective, np.float64),
        threshold=None if model.calibration is None else model.calibration.threshold,
        good_regions=tuple(regions),
        pixels=pixels if masks else None,
        density=compare_with_samples(model.flow, torch.stack(vectors), model.settings.seed) if vectors else None,
    )
    return Evaluation(
        overall=_metrics(good, defective),
        per_defect={kind: _metrics(good, scores) for kind, scores in by_kind.items()},
        good_images=len(good),
        scored=scored,
        failures=failures,
        seconds=seconds,
        figures=measure(evidence, "decisions", "maps", "masks", "density"),
        pixels=pixels.compute() if masks else None,
        empty_masks=tuple(empty),
    )


def _ground_truth(image: LabelledImage, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Where the image is defective; None for a defective image of which that is not known."""
    if not image.is_defective:
        return np.zeros(shape, np.bool_)
    if image.mask is None:
        return None
    truth = np.zeros(shape, np.bool_)
    for file in (image.mask, *image.more_masks):
        mask = read_mask(file)
        if mask.shape != shape:
            raise DatasetError(
                f"{file}: has {mask.shape[1]} x {mask.shape[0]} pixels, its image {image.path} has {shape[1]} x "
                f"{shape[0]}; give a mask of the image's size."
            )
        truth |= mask
    return truth


def _metrics(good: Sequence[float], defective: Sequence[float]) -> DefectMetrics:
    evidence = Evidence(np.array(good, np.float64), np.array(defective, np.float64))
    return DefectMetrics(len(defective), measure(evidence, "scores"))


def _document(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {key: value for figure in figures.values() for key, value in figure.to_dict().items()}


def _estimate(figure: Figure) -> Estimate:
    return Estimate(figure.number, *(figure.interval or (math.nan, math.nan)))
