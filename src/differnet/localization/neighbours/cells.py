"""Cells: what the extractor's stages say of each small part of an image, and of the surroundings of that part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from differnet.extractors import Extractor
from differnet.features.describer import Cells, Describer
from differnet.localization.grids import grid_side, resized
from differnet.localization.neighbours.openvino_cells import build_cells
from differnet.localization.neighbours.windows import SHORTEST, Window, windows_of

__all__ = ["CellGrids", "CellProjection"]


@dataclass(frozen=True)
class CellGrids(Cells):
    """The cells of one image, at two sizes of window.

    Attributes:
        fine: (g, g, k) float32, the mean over windows of 3 x 3 positions; g is the side of the last stage, a sixteenth
            of the image's.
        coarse: (c, c, k) float32, the mean over windows of half the image's side, at every third position.
    """

    fine: Tensor
    coarse: Tensor


class CellProjection(Describer):
    """Describes cells by unit vectors of each stage, added up by a random projection.

    The stages' maps are averaged over a window (as PatchCore: Roth et al., CVPR 2022), which makes them comparable
    across stages, then every stage's vector is scaled to length 1, so that the contrast of an image counts less than
    its pattern (pixel AUROC on MVTec AD bottle 0.94 without, 0.98 with it), and stage vectors are projected
    to ``dimensions`` at random (Johnson and Lindenstrauss 1984), which keeps distances.

    Args:
        extractor: A frozen extractor.
        dimensions: k.

    Attributes:
        dimensions: k.
        projections: For every stage (channels, k) float32.
    """

    cells: ClassVar[type[CellGrids]] = CellGrids

    def __init__(self, extractor: Extractor, dimensions: int) -> None:
        self.dimensions = dimensions
        # NumPy's legacy generator never changes, so that the projection needs no place in the model file.
        random = np.random.RandomState(0)
        device = next(extractor.parameters()).device
        self.projections = [
            torch.from_numpy(random.standard_normal((channels, dimensions)).astype(np.float32)).to(device)
            / dimensions**0.5
            for channels in extractor.stage_channels
        ]

    @property
    def key(self) -> int:
        """Two with as many dimensions are the same."""
        return self.dimensions

    @torch.no_grad()
    def describe(self, stages: Sequence[Tensor], size: int) -> list[CellGrids]:
        """Describe the cells of images, see `Describer.describe`."""
        stages = [maps.float() for maps in stages]
        side = grid_side((maps.shape[-1] for maps in stages), size)
        stages = [resized(maps, side) for maps in stages]
        fine, coarse = (self._describe(stages, window) for window in windows_of(side))
        return [CellGrids(*grids) for grids in zip(fine, coarse, strict=True)]

    def build(self, ops: Any, stages: Sequence[Any], size: int) -> list[Any]:  # noqa: ANN401 - untyped
        """The same as a part of an OpenVINO graph, see `Describer.build`."""
        return build_cells(ops, stages, self.projections, size)

    def _describe(self, stages: list[Tensor], window: Window) -> Tensor:
        total = 0.0
        for maps, projection in zip(stages, self.projections, strict=True):
            means = functional.avg_pool2d(maps, *window, count_include_pad=False).permute(0, 2, 3, 1)
            lengths = means.norm(dim=-1, keepdim=True)
            total = total + (means / (lengths + SHORTEST)) @ projection
        return total  # type: ignore[return-value]
