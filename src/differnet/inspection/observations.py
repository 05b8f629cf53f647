"""What is kept of inspected images to compare them with those of the training: counts, looks, sums of features."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from differnet.features.reference import APPEARANCE

__all__ = ["Observations"]

_MOST_IMAGES = 1000
_PORTION = 100


@dataclass
class _Portion:
    """Images that followed one another.

    Attributes:
        looks: Each float32 (n, 4), together of as many images as the features are summed over.
        features: float64 (d,), their sum.
        images: How many.
    """

    looks: list[NDArray[np.float32]]
    features: NDArray[np.float64]
    images: int


class Observations:
    """Counts of all images, and what the last of them looked like: at least the last 1000, and some before.

    Observations of several processes are put together by `merge`; what is kept is small however many images there are.

    Attributes:
        images: Number of images with a verdict.
        judged: Number of those with a decision.
        refused: Number of those refused.
    """

    def __init__(self, images: int = 0, judged: int = 0, refused: int = 0) -> None:
        self.images, self.judged, self.refused = images, judged, refused
        self._portions: deque[_Portion] = deque()

    def count(self, decision: str | None) -> None:
        """Take the decision on an image; None where there is no threshold."""
        self.images += 1
        self.judged += decision is not None
        self.refused += decision == "reject"

    def look(self, looks: NDArray[np.float32], features: NDArray[np.float64]) -> None:
        """Take what images looked like.

        Args:
            looks: float32 (n, 4), see `differnet.features.reference.appearance`.
            features: float64 (d,), the sum of the features of their first views.
        """
        last = self._portions[-1] if self._portions else None
        if last is not None and last.images + len(looks) <= _PORTION:
            last.looks.append(looks)
            last.features += features
            last.images += len(looks)
        else:
            self._portions.append(_Portion([looks], features.copy(), len(looks)))
        while self.looked - self._portions[0].images >= _MOST_IMAGES:
            self._portions.popleft()

    def merge(self, other: Observations) -> None:
        """Take what was seen elsewhere, as if it had been seen here."""
        self.images += other.images
        self.judged += other.judged
        self.refused += other.refused
        for portion in other._portions:
            self.look(np.concatenate(portion.looks), portion.features)

    @property
    def looked(self) -> int:
        """Of how many images the looks are known."""
        return sum(portion.images for portion in self._portions)

    @property
    def looks(self) -> NDArray[np.float32]:
        """float32 (n, 4), of the last images, in order."""
        each = [look for portion in self._portions for look in portion.looks]
        return np.concatenate(each) if each else np.empty((0, len(APPEARANCE)), np.float32)

    @property
    def mean_features(self) -> NDArray[np.float64]:
        """float64 (d,), of the same images; of none (0,)."""
        if not self._portions:
            return np.empty(0)
        return np.sum([portion.features for portion in self._portions], axis=0) / self.looked

    def to_bytes(self) -> bytes:
        """All of it, for another process of this version."""
        sizes = [portion.images for portion in self._portions]
        head = np.array([self.images, self.judged, self.refused, len(sizes), *sizes], np.int64)
        sums = [portion.features.tobytes() for portion in self._portions]
        return b"".join([head.tobytes(), self.looks.tobytes(), *sums])

    @classmethod
    def from_bytes(cls, content: bytes) -> Observations:
        """The reverse of `to_bytes`."""
        images, judged, refused, portions = (int(number) for number in np.frombuffer(content, np.int64, 4))
        found = cls(images, judged, refused)
        if not portions:
            return found
        sizes = np.frombuffer(content, np.int64, portions, offset=32)
        start, count = 32 + 8 * portions, int(sizes.sum())
        looks = np.frombuffer(content, np.float32, count * len(APPEARANCE), offset=start).reshape(count, -1)
        sums = np.frombuffer(content[start + looks.nbytes :], np.float64).reshape(portions, -1)
        for (first, end), features in zip(pairwise([0, *np.cumsum(sizes)]), sums, strict=True):
            found.look(looks[first:end], features)
        return found
