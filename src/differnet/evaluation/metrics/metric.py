"""What a metric is: a figure that says how well a model does on labelled images, and how it is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from differnet.evaluation.estimate import Estimate
from differnet.evaluation.goodness_of_fit import GoodnessOfFit
from differnet.evaluation.pixel_metrics import PixelMetrics

__all__ = ["Evidence", "Figure", "Metric", "Need", "Value"]

Need: TypeAlias = Literal["scores", "decisions", "maps", "masks", "density"]
"""What a metric takes: the scores of images; a threshold besides; heat maps on a fixed scale, in which regions are
found; heat maps with the ground truth; vectors drawn from the density beside those of good images. Metrics of
``scores`` are measured for each kind of defect too."""

Value: TypeAlias = Estimate | float
"""With its interval, or without where none is known."""


@dataclass(frozen=True)
class Evidence:
    """What an evaluation gathered, for metrics to look at.

    Attributes:
        good: (G,) float64 scores of good images, higher is more anomalous.
        defective: (D,) float64 scores of the defective images of one kind or of all.
        threshold: A part is refused when it scores above it; None for a model without one.
        good_regions: Number of regions in the heat map of each good image that has one on a fixed scale.
        pixels: Heat maps gathered with their ground truth; None if no map or no defective pixel is known.
        density: How vectors drawn from the density lie beside those of the good images; None if that is not known.
    """

    good: NDArray[np.float64]
    defective: NDArray[np.float64]
    threshold: float | None = None
    good_regions: tuple[int, ...] = ()
    pixels: PixelMetrics | None = None
    density: GoodnessOfFit | None = None

    def has(self, need: Need) -> bool:
        """Whether there is what metrics of such a need look at."""
        return {
            "scores": True,
            "decisions": self.threshold is not None,
            "maps": bool(self.good_regions),
            "masks": self.pixels is not None,
            "density": self.density is not None,
        }[need]


class Metric(ABC):
    """A figure that says how well a model does.

    Identities:

    - the same evidence gives the same value, to the last bit, and is not changed;
    - an `Estimate` holds its own value: ``low <= value <= high``;
    - only what the metric `needs` of the evidence, and the scores, decide.

    Attributes:
        name: Key in JSON; with ``_ci95`` that of the interval.
        label: In running text: ``image AUROC``.
        title: At the head of a column or a tile: ``Image AUROC``.
        needs: What it is measured on.
        is_share: Whether it is a share of images, which a report gives in percent.
        in_summary: Whether a report has it at one glance, in a tile.
        takes: Of which images there must be some.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[Need]
    is_share: ClassVar[bool] = False
    in_summary: ClassVar[bool] = True
    takes: ClassVar[tuple[Literal["good", "defective"], ...]] = ("good", "defective")

    @abstractmethod
    def measure(self, evidence: Evidence) -> Value:
        """Measure it on evidence that has what it needs.

        Raises:
            DatasetError: If it cannot be measured on these images.
        """


@dataclass(frozen=True)
class Figure:
    """A metric with what was measured.

    Attributes:
        metric: The metric.
        value: What was measured.
    """

    metric: Metric
    value: Value

    @property
    def number(self) -> float:
        """The value without its interval."""
        return self.value.value if isinstance(self.value, Estimate) else self.value

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends of the interval, None where none is known."""
        return (self.value.low, self.value.high) if isinstance(self.value, Estimate) else None

    def to_dict(self) -> dict[str, Any]:
        """The value, and its interval if it has one, as JSON values."""
        document: dict[str, Any] = {self.metric.name: self.number}
        if self.interval is not None:
            document[f"{self.metric.name}_ci95"] = list(self.interval)
        return document
