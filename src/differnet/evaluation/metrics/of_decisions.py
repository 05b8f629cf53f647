"""Metrics of the decisions that a threshold makes."""

from __future__ import annotations

from differnet.errors import CalibrationError
from differnet.evaluation.estimate import Estimate
from differnet.evaluation.metrics.metric import Evidence, Metric
from differnet.evaluation.rates import passed_share, refused_share

__all__ = ["EscapeRate", "FalseRejectRate"]


class FalseRejectRate(Metric):
    """Share of good parts that are refused."""

    name = "false_reject_rate"
    label = "false-reject rate"
    title = "Good parts refused"
    needs = "decisions"
    is_share = True
    takes = ("good",)

    def measure(self, evidence: Evidence) -> Estimate:
        """With the interval of Clopper and Pearson."""
        return refused_share(evidence.good, _threshold(evidence))


class EscapeRate(Metric):
    """Share of defective parts that are not refused."""

    name = "escape_rate"
    label = "escape rate"
    title = "Defects that escape"
    needs = "decisions"
    is_share = True
    takes = ("defective",)

    def measure(self, evidence: Evidence) -> Estimate:
        """With the interval of Clopper and Pearson."""
        return passed_share(evidence.defective, _threshold(evidence))


def _threshold(evidence: Evidence) -> float:
    if evidence.threshold is None:
        raise CalibrationError("The model has no threshold, so its errors cannot be counted; calibrate it first.")
    return evidence.threshold
