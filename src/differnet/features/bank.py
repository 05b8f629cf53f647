"""The features of many images, kept in memory or, where they are many, in a temporary file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from differnet.features.sample import Sample
from differnet.images.failure import Failure

__all__ = ["BankBuilder", "FeatureBank"]


@dataclass
class FeatureBank:
    """The features of many images, computed once and read in every epoch.

    Attributes:
        features: (N, V, d) float32.
        sources: The N images.
        failures: Images that could not be used.
    """

    features: Tensor
    sources: list[str]
    failures: list[Failure] = field(default_factory=list)


class BankBuilder:
    """Collects the features of images, all with as many views.

    Args:
        images: How many there are at most.
        features: d, for a bank that stays empty.
        most_bytes: A bank of more than this is kept in a temporary file, mapped into memory.
    """

    def __init__(self, images: int, features: int, most_bytes: int) -> None:
        self._images, self._features, self._most_bytes = images, features, most_bytes
        self._rows: list[Tensor] = []
        self._spooled: Tensor | None = None
        self._sources: list[str] = []
        self._failures: list[Failure] = []

    def add(self, result: Sample | Failure) -> None:
        """Keep the features of an image, or why there are none."""
        if isinstance(result, Failure):
            self._failures.append(result)
            return
        if self._spooled is None and self._images * result.features.nbytes > self._most_bytes:
            self._spooled = _on_disk((self._images, *result.features.shape))
        if self._spooled is None:
            self._rows.append(result.features)
        else:
            self._spooled[len(self._sources)] = result.features
        self._sources.append(result.source)

    def build(self) -> FeatureBank:
        """The bank of what was added."""
        if self._spooled is not None:
            features = self._spooled[: len(self._sources)]
        else:
            features = torch.stack(self._rows) if self._rows else torch.empty(0, 0, self._features)
        return FeatureBank(features, self._sources, self._failures)


def _on_disk(shape: tuple[int, ...]) -> Tensor:
    """An array in a temporary file, which is gone once nothing refers to the array any more."""
    with tempfile.TemporaryFile(prefix="differnet-features-") as file:
        return torch.from_numpy(np.memmap(file, np.float32, "w+", shape=shape))
