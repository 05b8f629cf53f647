"""The grid of an image's cells, which the maps of all stages are brought to; by torch and by OpenVINO."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional

from differnet.compute.openvino_graph import interpolate

__all__ = ["build_resized", "grid_side", "resized"]


def grid_side(sides: Iterable[int], size: int) -> int:
    """The side of the grid that all stages are brought to.

    AlexNet's maps of 448 pixels are 27 wide, others 28; a last stage of stride 32 is brought to the grid.

    Args:
        sides: Of the stages' maps.
        size: Side of the image, in pixels.
    """
    return min(sides, key=lambda side: abs(side - size / 16))


def resized(maps: Tensor, side: int) -> Tensor:
    """Bring (B, C, h, h) maps to a grid: averaged, not picked, where they are finer; interpolated where coarser."""
    if maps.shape[-1] == side:
        return maps
    if maps.shape[-1] > side:
        return functional.adaptive_avg_pool2d(maps, side)
    return functional.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)


def build_resized(ops: Any, maps: Any, side: int) -> Any:  # noqa: ANN401 - untyped
    """The same as a part of an OpenVINO graph.

    Args:
        ops: OpenVINO's operations.
        maps: Node of (1, C, h, h) maps.
        side: Of the grid.
    """
    width = int(maps.shape[-1])
    if width == side:
        return maps
    if width % side == 0:
        return ops.avg_pool(maps, [width // side] * 2, [0, 0], [0, 0], [width // side] * 2, True, "floor")
    if width > side:
        return ops.adaptive_avg_pool(maps, ops.constant(np.array([side, side])))
    return interpolate(ops, maps, side)
