"""Metrics of heat maps, with and without ground truth."""

from __future__ import annotations

from differnet.errors import DatasetError
from differnet.evaluation.estimate import Estimate
from differnet.evaluation.metrics.metric import Evidence, Metric
from differnet.evaluation.pixel_metrics import PixelResult
from differnet.evaluation.rates import binomial_interval

__all__ = ["Aupro", "GoodWithoutRegion", "PixelAuroc"]


class GoodWithoutRegion(Metric):
    """Share of good images whose heat map has no region."""

    name = "good_without_region"
    label = "good images without a region"
    title = "Good, no hot region"
    needs = "maps"
    takes = ("good",)
    is_share = True

    def measure(self, evidence: Evidence) -> Estimate:
        """With the interval of Clopper and Pearson."""
        clean, images = evidence.good_regions.count(0), len(evidence.good_regions)
        return Estimate(clean / max(images, 1), *binomial_interval(clean, images))


class PixelAuroc(Metric):
    """Area under the ROC curve of all pixels together."""

    name = "pixel_auroc"
    label = "pixel AUROC"
    title = "Heat maps, pixel AUROC"
    needs = "masks"
    takes = ("defective",)
    in_summary = False  # the tile of AUPRO, which counts small defects as much as large ones, names it

    def measure(self, evidence: Evidence) -> float:
        """Without an interval: pixels of one image are not independent."""
        return _pixels(evidence).pixel_auroc


class Aupro(Metric):
    """Area under the per-region overlap up to a false-positive rate of 0.3 (Bergmann et al., IJCV 2021)."""

    name = "aupro"
    label = "AUPRO"
    title = "Heat maps, AUPRO"
    needs = "masks"
    takes = ("defective",)

    def measure(self, evidence: Evidence) -> float:
        """Without an interval, as for the pixel AUROC."""
        return _pixels(evidence).aupro


def _pixels(evidence: Evidence) -> PixelResult:
    if evidence.pixels is None:
        raise DatasetError("No heat map was compared with a ground truth; give masks of at least one defective part.")
    return evidence.pixels.compute()
