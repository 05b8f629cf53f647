"""What is odd about good pictures: near-copies, unusual sizes, and those that the last training found suspicious."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from differnet.images import PixelScale, TrainingImages
from differnet.images.deep import Depth
from differnet.server.products.catalogue import Row
from differnet.server.products.pictures import PictureStore
from differnet.training.grouping import join_groups
from differnet.training.near_copies import NearCopies

__all__ = ["Findings"]


class Findings:
    """Looks at the pictures of products as training would.

    Args:
        store: The pictures.
    """

    def __init__(self, store: PictureStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._last: tuple[tuple[str, ...], tuple[int, ...]] = ((), ())

    def marks(
        self, rows: Sequence[Row], suspects: Sequence[Mapping[str, Any]], region: Sequence[int] | None
    ) -> list[dict[str, Any]]:
        """What is to be said of each picture.

        Args:
            rows: All pictures of a product.
            suspects: The most suspicious pictures of its last training, with ``sha256``, ``deviations``, ``far_off``.
            region: The region of interest, for which all pictures must have one size.

        Returns:
            For each picture ``copies``, the number of its group of near-copies (None alone), ``unusual_size``, and
            ``deviations`` (None unless it is far off).
        """
        groups = self._groups(rows)
        of_group = Counter(groups)
        numbers = {group: number for number, group in enumerate(dict.fromkeys(g for g in groups if of_group[g] > 1), 1)}
        far_off = {suspect["sha256"]: suspect["deviations"] for suspect in suspects if suspect["far_off"]}
        odd = _unusual(rows, exact=region is not None)
        return [
            {"copies": numbers.get(group), "unusual_size": is_odd, "deviations": far_off.get(row["sha256"])}
            for row, group, is_odd in zip(rows, groups, odd, strict=True)
        ]

    def _groups(self, rows: Sequence[Row]) -> tuple[int, ...]:
        """Near-copies, as `differnet.training.near_copies` finds them quickly; the last answer is kept.

        Quickly, since every new picture asks anew beside inspections; training looks more closely.
        """
        key = tuple(row["sha256"] for row in rows)
        with self._lock:
            if self._last[0] != key:
                seen = NearCopies()
                for pixels in self._store.small(rows):
                    seen.add(pixels)
                self._last = key, join_groups(len(rows), seen.compare(quick=True).links)
            return self._last[1]


def _unusual(rows: Sequence[Row], *, exact: bool) -> list[bool]:
    """Which pictures have another size than most."""
    if not rows:
        return []
    (width, height), _ = Counter((row["width"], row["height"]) for row in rows).most_common(1)[0]
    usual = TrainingImages(PixelScale(True), (width, width), (height, height), (width / height,) * 2)
    if exact:
        return [(row["width"], row["height"]) != (width, height) for row in rows]
    return [usual.unlike(row["width"], row["height"], Depth()) is not None for row in rows]
