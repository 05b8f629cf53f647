"""What a method of localization learns of the cells of good images, and how it collects them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any, Protocol

import torch
from torch import Tensor

from differnet.extractors import Extractor

__all__ = ["CellCollector", "LocalModel", "shown"]

# What a further plane adds to a map at most, in standard deviations: it is wide, and would hide a fine signal.
_LIMIT = 4.0


class LocalModel(ABC):
    """A model of good cells: it tells how anomalous each cell of an image is.

    For every implementation:

    - its method's ``restore(model.state())`` gives the same anomaly to the last bit;
    - `to` changes where the anomaly is computed, not what it is;
    - what `compile` gives agrees with `anomaly` to rounding;
    - `anomaly` consists of operations that ``torch.export`` takes, for a method whose maps can be exported.
    """

    @abstractmethod
    def anomaly(self, cells: Any) -> Tensor:  # noqa: ANN401 - what the method's describer makes
        """Compute the local anomaly of an image.

        Args:
            cells: Of the image, on the model's device.

        Returns:
            (g, g) float32, one value a cell, higher is more anomalous, unbounded; or p such planes, (p, g, g), each of
            which is scored for itself, see `differnet.scoring.local_scores`; the first two are shown, see `shown`.
        """

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """The model as named tensors, as they stand in the model file; a score depends on no other part of it."""

    @abstractmethod
    def to(self, device: torch.device) -> LocalModel:
        """The model on a device."""

    @property
    def planes(self) -> int:
        """Number p of planes that its anomaly has."""
        return 1

    def fits(self, extractor: Extractor) -> bool:
        """Whether cells that are described by an extractor are as wide as those that it was fitted to."""
        return True

    def compile(self, cells: Any) -> Callable[[Any], Tensor] | None:  # noqa: ANN401 - as above
        """What OpenVINO computes `anomaly` by; None for a model that it has no graph of.

        Args:
            cells: Of any image, for their shapes.

        Raises:
            ImportError: If OpenVINO is not there.
            RuntimeError: If it cannot work on this machine.
        """
        return None


def shown(anomaly: Tensor) -> Tensor:
    """What maps are made of, (g, g): of an anomaly, the first plane, to which the second adds a little."""
    return anomaly if anomaly.dim() == 2 else anomaly[0] + anomaly[1].clamp(max=_LIMIT)


class CellCollector(Protocol):
    """Takes the cells of good images, one after the other, and fits a local model to them.

    - Cells added in another order, or twice the same, give the same model only where a method says so; the same cells
      in the same order always do.
    - ``fit(without)`` compares with no cell of those images, so that they are judged as new ones are, and may be called
      many times. What is a mean over all cells (a space, a division, what is usual) may be that of all images.
    - Its memory must not grow with the number of images beyond what the model needs.
    """

    def add(self, place: int, cells: Any) -> None:  # noqa: ANN401 - as above
        """Take the cells of an image, given its place among the images."""

    def fit(self, without: Collection[int] = ()) -> LocalModel:
        """Fit the model.

        Args:
            without: Places of images to leave out; not all.
        """
