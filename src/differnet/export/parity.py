"""Whether an exported file says of images what the model says."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import numpy as np

from differnet.detector import DifferNet
from differnet.errors import ImageError, ModelFileError
from differnet.export.judge import DECISIONS
from differnet.export.precision import Precision, as_trained, in_precision
from differnet.export.targets.target import Engine, Outputs
from differnet.images import ImageSource, load_image
from differnet.images.failure import Failure, describe
from differnet.inspection.explanation import Explanation
from differnet.inspection.verdict import Verdict

__all__ = ["TOLERANCES", "Comparison", "Parity", "compare"]

_TINY = float(np.finfo(np.float32).tiny)

TOLERANCES: dict[Precision, float] = {"float32": 1e-3, "bfloat16": 3e-2}
"""How far scores may differ, relative to the model's own, by what both compute in.

In bfloat16 the last digit of a sum decides which of two neighbours, 0.4 % apart, a value is rounded to. torch itself,
on a processor that has bfloat16 and on one that has not, differs by up to 0.8 % on MVTec AD bottle.
"""


@dataclass(frozen=True)
class Comparison:
    """What model and exported file say of one image.

    Attributes:
        source: The path, or the place in the input.
        score: By the model.
        exported_score: By the exported file.
        difference: Of the scores, relative; see `compare`.
        tolerance: The most that this may be.
        decision: By the model, None if it has no threshold.
        exported_decision: By the exported file.
        p_value_difference: Of the p-values; None without a threshold.
        map_difference: The greatest of a pixel, relative to the hottest; None without a map.
        milliseconds: That the model took, with the image in memory.
        exported_milliseconds: That the exported file took.
    """

    source: str
    score: float
    exported_score: float
    difference: float
    tolerance: float
    decision: str | None
    exported_decision: str | None
    p_value_difference: float | None
    map_difference: float | None
    milliseconds: float
    exported_milliseconds: float

    @property
    def agrees(self) -> bool:
        """Whether scores are within the tolerance and decisions the same; written so that NaN fails it."""
        return self.difference <= self.tolerance and self.decision == self.exported_decision


@dataclass
class Parity:
    """What model and exported file say of many images.

    Attributes:
        images: What they say of each.
    """

    images: list[Comparison] = field(default_factory=list)

    @property
    def differing(self) -> list[Comparison]:
        """The images on which they do not agree."""
        return [image for image in self.images if not image.agrees]

    def to_dict(self) -> dict[str, Any]:
        """The outcome as JSON values."""
        worst = max((image.difference for image in self.images), key=_ordered, default=None)
        strict = max((_strict(image) for image in self.images), key=_ordered, default=None)
        p_values = [image.p_value_difference for image in self.images if image.p_value_difference is not None]
        maps = [image.map_difference for image in self.images if image.map_difference is not None]
        return {
            "agrees": bool(self.images) and not self.differing,
            "images": len(self.images),
            "tolerance": max((image.tolerance for image in self.images), default=None),
            "max_difference": _finite(worst),
            "max_strict_difference": _finite(strict),
            "decisions_differing": sum(image.decision != image.exported_decision for image in self.images),
            "max_p_value_difference": max(p_values, default=None),
            "max_map_difference": max(maps, default=None),
            "median_milliseconds": _median(image.milliseconds for image in self.images),
            "median_exported_milliseconds": _median(image.exported_milliseconds for image in self.images),
            "differing": [asdict(image) for image in self.differing],
        }


def compare(
    model: DifferNet,
    engine: Engine,
    images: Iterable[ImageSource],
    *,
    precision: str = "auto",
) -> Iterator[Comparison | Failure]:
    """Compare a model with an exported file, image by image, by all views.

    The difference of two scores is relative to the model's. A score that joins the local model's counts standard
    deviations of good parts, among which 0 is a score like any other: nearer to it, the difference is relative to 1.

    Args:
        model: The model.
        engine: The exported file.
        images: Paths or arrays; consumed as needed.
        precision: What the model computes in: ``float32``, ``bfloat16``, or ``auto`` for what the file does.

    Yields:
        The comparison of an image, or why it could not be used.

    Raises:
        ModelFileError: If the file was exported from another model, or from this one before it was calibrated anew.
        SettingsError: If there is no such precision.
    """
    _check_same(model, engine)
    chosen = as_trained(model, engine.about["precision"] if precision == "auto" else precision)
    reference = in_precision(model, chosen)
    least = 1.0 if model.settings.scoring.local else 0.0
    for index, source in enumerate(images):
        try:
            image = load_image(source, scale=reference.pixel_scale)
            if reference.region is not None:
                reference.region.crop(image)
        except ImageError as error:
            yield Failure(describe(source, index), str(error))
            continue
        with_map = "map" in engine.about["outputs"]
        started = time.perf_counter()
        results = reference.explain_stream([image]) if with_map else reference.inspect_stream([image], all_views=True)
        own = next(iter(results))
        between = time.perf_counter()
        outputs = engine(image)
        ended = time.perf_counter()
        if isinstance(own, Failure):
            yield Failure(describe(source, index), own.reason)
            continue
        yield _compared(
            describe(source, index), own, outputs, (least, TOLERANCES[chosen]), (between - started, ended - between)
        )


def _check_same(model: DifferNet, engine: Engine) -> None:
    manifest = model.manifest
    if manifest is None or engine.manifest.get("model_id") != manifest.model_id:
        raise ModelFileError(
            f"The exported file was made from the model {engine.manifest.get('model_id')}, not from "
            f"{None if manifest is None else manifest.model_id}; give the two that belong together."
        )
    threshold = None if manifest.calibration is None else manifest.calibration.threshold
    exported = engine.manifest.get("calibration")
    if threshold != (None if exported is None else exported.get("threshold")):
        raise ModelFileError("The model was calibrated after it was exported; export it again.")


def _compared(
    source: str,
    own: Verdict | Explanation,
    outputs: Outputs,
    limits: tuple[float, float],
    seconds: tuple[float, float],
) -> Comparison:
    verdict = own.verdict if isinstance(own, Explanation) else own
    score = float(outputs["score"])
    p_value = None
    if verdict.p_value is not None and "p_value" in outputs:
        p_value = abs(float(outputs["p_value"]) - verdict.p_value)
    heat = None
    if isinstance(own, Explanation):
        heat = float(np.abs(outputs["map"] - own.heat).max() / max(float(own.heat.max()), _TINY))
    return Comparison(
        source,
        verdict.score,
        score,
        difference=abs(score - verdict.score) / max(abs(verdict.score), limits[0]),
        tolerance=limits[1],
        decision=verdict.decision,
        exported_decision=DECISIONS[int(outputs["decision"])] if "decision" in outputs else None,
        p_value_difference=p_value,
        map_difference=heat,
        milliseconds=1000 * seconds[0],
        exported_milliseconds=1000 * seconds[1],
    )


def _strict(image: Comparison) -> float:
    """Relative to the model's score, also where that is near 0."""
    return abs(image.exported_score - image.score) / max(abs(image.score), _TINY)


def _ordered(difference: float) -> float:
    """NaN counts as the greatest."""
    return np.inf if np.isnan(difference) else difference


def _finite(value: float | None) -> float | None:
    return value if value is None or np.isfinite(value) else None


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(median(found), 3) if found else None
