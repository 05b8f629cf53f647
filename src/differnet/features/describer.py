"""What describes the parts of an image, its cells, by the maps that its features are pooled from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor

__all__ = ["Cells", "Describer"]

_Cells = TypeVar("_Cells", bound="Cells")


@dataclass(frozen=True)
class Cells:
    """The cells of one image: a subclass is a frozen dataclass of float32 tensors.

    What they mean is known to the method of localization alone; all else moves, caches and stores them by name.
    ``type(cells)(**cells.tensors())`` are the same cells. No tensor is called ``features``.
    """

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name, in the order of the fields."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def to(self: _Cells, device: torch.device) -> _Cells:
        """The cells on a device."""
        return type(self)(**{name: tensor.to(device) for name, tensor in self.tensors().items()})


class Describer(ABC):
    """Describes the cells of images in the pass of the network that gives their features.

    It is made for one extractor and holds no state: the cells of an image do not depend on the images beside it, up
    to rounding, and describers with the same `key` describe equally.

    Where `reduced` is another describer, an image is described twice: as it is by this one, and by that one in the size
    that its views have. What it then makes of an image are the `joined` cells of both.

    Attributes:
        cells: What `describe` makes.
        reduced: Describes the image in the size of its views; None where it is described once.
        joined: The cells of both, with the fields of each; None where it is described once.
    """

    cells: ClassVar[type[Cells]]
    reduced: Describer | None = None
    joined: ClassVar[type[Cells] | None] = None

    @property
    def made(self) -> type[Cells]:
        """What it makes of an image in the end."""
        return self.joined or self.cells

    def join(self, cells: Sequence[Cells], reduced: Sequence[Cells]) -> list[Cells]:
        """Join what it made of images with what `reduced` made of them."""
        return [self.made(**own.tensors(), **other.tensors()) for own, other in zip(cells, reduced, strict=True)]

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """Tells it apart from all others of the same extractor; its `repr` is part of names in the cache."""

    @abstractmethod
    def describe(self, stages: Sequence[Tensor], size: int) -> list[Any]:
        """Describe the cells of B images.

        Args:
            stages: What the extractor's `forward_stages` gives for them, (B, C_i, h_i, w_i) each, in the extractor's
                precision.
            size: Side of these images, in pixels.

        Returns:
            The `cells` of each, on the device of the stages.
        """

    def build(self, ops: Any, stages: Sequence[Any], size: int) -> list[Any] | None:  # noqa: ANN401 - untyped
        """The same as a part of an OpenVINO graph; None where there is none, `describe` is then given its maps.

        Args:
            ops: OpenVINO's operations.
            stages: Nodes of (1, C_i, h_i, w_i) maps.
            size: As for `describe`.

        Returns:
            For each tensor of the cells, in the order of their fields, a node of it with a first axis of length 1.
        """
        return None
