"""Cells: what the extractor's stages say of each small part of an image, and of the surroundings of that part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from differnet.extractors import Extractor

__all__ = ["SHORTEST", "CellGrids", "CellProjection", "Window", "grid_side", "windows_of"]

_FINE_WINDOW = 3
_COARSE_STRIDE = 3
SHORTEST = 1e-6
"""What is added to the length of a vector before it is divided by it."""


@dataclass(frozen=True)
class CellGrids:
    """The cells of one image, at two sizes of window.

    Attributes:
        fine: (g, g, k) float32, the mean over windows of 3 x 3 positions; g is the side of the last stage, a sixteenth
            of the image's.
        coarse: (c, c, k) float32, the mean over windows of half the image's side, at every third position.
    """

    fine: Tensor
    coarse: Tensor

    def to(self, device: torch.device) -> CellGrids:
        """The cells on a device."""
        return CellGrids(self.fine.to(device), self.coarse.to(device))


class Window(NamedTuple):
    """The windows of positions that the maps are averaged over.

    Attributes:
        side: Of each, in positions.
        stride: From one to the next.
        padding: Positions beyond each edge of the grid, which do not count in the mean.
    """

    side: int
    stride: int
    padding: int


def grid_side(sides: Iterable[int], size: int) -> int:
    """The side of the grid that all stages are brought to.

    AlexNet's maps of 448 pixels are 27 wide, others 28; a last stage of stride 32 is brought to the grid.

    Args:
        sides: Of the stages' maps.
        size: Side of the image, in pixels.
    """
    return min(sides, key=lambda side: abs(side - size / 16))


def windows_of(side: int) -> tuple[Window, Window]:
    """The fine and the coarse windows of a grid."""
    # Odd, so that a window has a centre, and padded so that the centres lie at 1, 4, 7, ...
    wide = max(side // 2 | 1, _FINE_WINDOW)
    return Window(_FINE_WINDOW, 1, _FINE_WINDOW // 2), Window(wide, _COARSE_STRIDE, wide // 2 - 1)


def _resized(maps: Tensor, side: int) -> Tensor:
    """Averaged, not picked, where a stage is finer than the grid; interpolated where it is coarser."""
    if maps.shape[-1] == side:
        return maps
    if maps.shape[-1] > side:
        return functional.adaptive_avg_pool2d(maps, side)
    return functional.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)


class CellProjection:
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

    def __init__(self, extractor: Extractor, dimensions: int) -> None:
        self._extractor = extractor
        self.dimensions = dimensions
        # NumPy's legacy generator never changes, so that the projection needs no place in the model file.
        random = np.random.RandomState(0)
        device = next(extractor.parameters()).device
        self.projections = [
            torch.from_numpy(random.standard_normal((channels, dimensions)).astype(np.float32)).to(device)
            / dimensions**0.5
            for channels in extractor.stage_channels
        ]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> list[CellGrids]:
        """Describe the cells of images.

        Args:
            images: (B, 3, size, size) float32 in [0, 1], on the extractor's device.
        """
        return self.describe(self._extractor.forward_stages(images), images.shape[-1])

    @torch.no_grad()
    def describe(self, stages: Sequence[Tensor], size: int) -> list[CellGrids]:
        """Describe the cells of images by maps that were computed already.

        Args:
            stages: What the extractor's `forward_stages` gives for B images.
            size: Side of these images, in pixels.
        """
        stages = [maps.float() for maps in stages]
        side = grid_side((maps.shape[-1] for maps in stages), size)
        stages = [_resized(maps, side) for maps in stages]
        fine, coarse = (self._describe(stages, window) for window in windows_of(side))
        return [CellGrids(*grids) for grids in zip(fine, coarse, strict=True)]

    def _describe(self, stages: list[Tensor], window: Window) -> Tensor:
        total = 0.0
        for maps, projection in zip(stages, self.projections, strict=True):
            means = functional.avg_pool2d(maps, *window, count_include_pad=False).permute(0, 2, 3, 1)
            lengths = means.norm(dim=-1, keepdim=True)
            total = total + (means / (lengths + SHORTEST)) @ projection
        return total  # type: ignore[return-value]
