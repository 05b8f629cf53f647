"""Metrics: what an evaluation measures. A new one is a file with its class, and a line here."""

from __future__ import annotations

from differnet.evaluation.metrics.metric import Evidence, Figure, Metric, Need, Value
from differnet.evaluation.metrics.of_decisions import EscapeRate, FalseRejectRate
from differnet.evaluation.metrics.of_density import DensityDistance, DensityPValue
from differnet.evaluation.metrics.of_maps import Aupro, GoodWithoutRegion, PixelAuroc
from differnet.evaluation.metrics.of_scores import AveragePrecision, ImageAuroc
from differnet.registry import Registry

__all__ = ["METRICS", "Evidence", "Figure", "Metric", "Need", "Value", "measure"]

METRICS: Registry[Metric] = Registry(
    "metric",
    ImageAuroc(),
    AveragePrecision(),
    GoodWithoutRegion(),
    FalseRejectRate(),
    EscapeRate(),
    PixelAuroc(),
    Aupro(),
    DensityDistance(),
    DensityPValue(),
)
"""Metrics by name, in the order of the JSON document."""


def measure(evidence: Evidence, *needs: Need) -> dict[str, Figure]:
    """Measure all metrics of some needs that the evidence allows.

    Args:
        evidence: What was gathered.
        needs: Which metrics to measure, by what they need.

    Returns:
        The figures by the metric's name, in the order of `METRICS`.
    """
    return {
        name: Figure(metric, metric.measure(evidence))
        for name, metric in METRICS.items()
        if metric.needs in needs
        and evidence.has(metric.needs)
        and all(len(getattr(evidence, of)) for of in metric.takes)
    }
