"""What a model file says of its calibration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from differnet.calibration.pareto import ParetoTail
from differnet.frozen_record import FrozenRecord

__all__ = ["CalibrationRecord", "Decision", "Source", "Tail"]

Tail = Literal["conformal", "generalized-pareto"]
Decision = Literal["accept", "review", "reject"]
Source = Literal["held-out", "cross-fitted", "images", "by-hand"]


class CalibrationRecord(FrozenRecord):
    """What a model file says of its calibration; the scores themselves are a tensor beside it.

    Attributes:
        tail: How the thresholds come about.
        false_reject_rate: The stated rate.
        review_rate: The stated rate of parts that are at least looked at, or None.
        threshold: Parts above it are refused.
        review_threshold: Parts above it are at least looked at; None without a review rate.
        images: Number of calibration scores.
        source: Whether the scores are of images ``held-out`` from training, ``cross-fitted`` by models that had not
            seen the image, or of ``images`` that the user gave for calibration alone; ``by-hand`` where the user set
            the threshold, whatever the scores.
        pareto: The fitted tail, for ``generalized-pareto`` only.
        groups: Number of groups that the images are of, where images of a group belong together and there are too few
            groups for the rate to be promised; None where each image stands alone.
        scores_source: Where the scores came from, of a threshold by hand; else None, since `source` says it.
    """

    tail: Tail
    false_reject_rate: float = Field(gt=0.0, lt=1.0)
    review_rate: float | None = Field(None, gt=0.0, lt=1.0)
    threshold: float
    review_threshold: float | None = None
    images: int = Field(ge=0)
    source: Source
    pareto: ParetoTail | None = None
    groups: int | None = Field(None, ge=1)
    scores_source: Source | None = None

    @model_validator(mode="after")
    def _check(self) -> CalibrationRecord:
        if (self.tail == "generalized-pareto") != (self.pareto is not None):
            raise ValueError("the tail 'generalized-pareto', and only that, has the parameters 'pareto'")
        if (self.review_rate is None) != (self.review_threshold is None):
            raise ValueError("review_rate and review_threshold must both be given or both be left out")
        if self.review_rate is not None and self.review_rate <= self.false_reject_rate:
            raise ValueError("review_rate must exceed false_reject_rate")
        if not self.images and self.source != "by-hand":
            raise ValueError("only a threshold by hand comes without images")
        return self
