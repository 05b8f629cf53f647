"""Metrics of the learnt density itself."""

from __future__ import annotations

from differnet.errors import DatasetError
from differnet.evaluation.goodness_of_fit import GoodnessOfFit
from differnet.evaluation.metrics.metric import Evidence, Metric

__all__ = ["DensityDistance", "DensityPValue"]


class DensityDistance(Metric):
    """Energy distance between vectors drawn from the density and those of good images, as a share."""

    name = "density_distance"
    label = "energy distance"
    title = "Density, energy distance"
    needs = "density"
    takes = ("good",)
    in_summary = False  # the tile of the p-value names it

    def measure(self, evidence: Evidence) -> float:
        """See `differnet.evaluation.goodness_of_fit.energy_test`."""
        return _known(evidence).distance


class DensityPValue(Metric):
    """How often two samples of one distribution lie as far apart as those."""

    name = "density_p_value"
    label = "p-value of its fit"
    title = "Density, p-value of its fit"
    needs = "density"
    takes = ("good",)

    def measure(self, evidence: Evidence) -> float:
        """See `differnet.evaluation.goodness_of_fit.energy_test`."""
        return _known(evidence).p_value


def _known(evidence: Evidence) -> GoodnessOfFit:
    if evidence.density is None:
        raise DatasetError("The density was not compared with good images; give five of them at least.")
    return evidence.density
