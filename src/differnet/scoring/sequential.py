"""Sequential scoring: views are taken one group after the other until the verdict is settled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from torch import Tensor

__all__ = ["SequentialTest", "spread_out"]

_LOOKS = 8

_Item = TypeVar("_Item")


def spread_out(items: Sequence[_Item]) -> list[_Item]:
    """Reorder so that any beginning is spread over the whole: the places by their digits in base 2, read backwards.

    Van der Corput's sequence (1935): of 64 rotations the first 8 are 45 degrees apart.
    """
    bits = max(len(items) - 1, 0).bit_length()
    reversed_places = (int(format(place, f"0{bits}b")[::-1], 2) if bits else 0 for place in range(1 << bits))
    return [items[place] for place in reversed_places if place < len(items)]


@dataclass(frozen=True)
class SequentialTest:
    """Tells from the scores of the first views of an image on which side of a cut the score of all views lies.

    For the median: the views seen count as drawn without replacement from all of them. A side is settled when so many
    of those seen lie on it that, were all views split evenly, that would happen with at most the error probability,
    shared equally among the looks (hypergeometric test; Bonferroni). Once more than half of all views lie on a side,
    that is certain (curtailed sampling). For the mean: scores of views are not negative and have no upper bound, so
    that only "above" can be settled early, when what was seen is enough by itself; that is certain too.

    Attributes:
        views: Number of all views of an image.
        error_probability: In [0, 1): how often the settled side may differ from that of all views,
            with 0 never.
        aggregation: Of the views' scores.
    """

    views: int
    error_probability: float
    aggregation: Literal["mean", "median", "features"]

    @property
    def group(self) -> int:
        """Number of views between two looks."""
        return math.ceil(self.views / _LOOKS)

    def settled(self, seen: Tensor, cut: float) -> bool:
        """Whether the score of all views is known to be above, or to be not above, a cut.

        Args:
            seen: (k,) scores of the first views, in a spread-out order.
            cut: The score's threshold; may be infinite.
        """
        count = len(seen)
        if count >= self.views:
            return True
        if self.aggregation == "mean":
            return seen.double().sum().item() / self.views > cut
        above = int((seen > cut).sum())
        majority = self.views // 2 + 1
        most = max(above, count - above)
        if most >= majority:
            return True
        # A decision that agrees with the median of those seen; of an even split neither side is settled.
        looks = math.ceil(self.views / self.group)
        return 2 * most > count and self._chance(most, count) <= self.error_probability / looks

    def _chance(self, most: int, count: int) -> float:
        """Probability that at least `most` of `count` drawn views are on a side that has half of all views."""
        half = self.views // 2
        ways = sum(
            math.comb(half, on_side) * math.comb(self.views - half, count - on_side)
            for on_side in range(most, min(half, count) + 1)
        )
        return ways / math.comb(self.views, count)
