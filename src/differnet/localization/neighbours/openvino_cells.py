"""The description of cells as a part of an OpenVINO graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from differnet.localization.grids import build_resized, grid_side
from differnet.localization.neighbours.windows import SHORTEST, Window, windows_of

__all__ = ["build_cells"]


def build_cells(ops: Any, maps: Sequence[Any], projections: Sequence[Tensor], size: int) -> list[Any]:  # noqa: ANN401
    """Build nodes of the fine and the coarse cells, (1, side, side, k).

    Args:
        ops: OpenVINO's operations.
        maps: Nodes of the stages' maps.
        projections: For every stage (channels, k).
        size: Side of the image, in pixels.
    """
    side = grid_side((int(of_stage.shape[-1]) for of_stage in maps), size)
    stages = [build_resized(ops, of_stage, side) for of_stage in maps]
    projection = torch.cat([*projections]).T[:, :, None, None]
    weight = ops.constant(np.ascontiguousarray(projection.numpy()))

    def describe(window: Window) -> Any:  # noqa: ANN401
        vectors = []
        for of_stage in stages:
            wide, stride, padding = ([each] * 2 for each in window)
            means = ops.avg_pool(of_stage, stride, padding, padding, wide, True, "floor")
            lengths = ops.reduce_l2(means, np.array([1]), keep_dims=True)
            vectors.append(ops.divide(means, ops.add(lengths, np.float32(SHORTEST))))
        # All stages at once: the sum of their projections is one of them all behind one another.
        projected = ops.convolution(ops.concat(vectors, 1), weight, [1, 1], [0, 0], [0, 0], [1, 1])
        return ops.transpose(projected, [0, 2, 3, 1])

    return [describe(window) for window in windows_of(side)]
