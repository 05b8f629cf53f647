"""The local model as an OpenVINO graph: distances to the nearest good cells in three quarters of torch's time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from differnet.compute.openvino_graph import CompiledGraph, interpolate
from differnet.compute.openvino_runtime import import_openvino
from differnet.localization.neighbours.cells import CellGrids
from differnet.localization.neighbours.nearest_cells import COARSE_LIMIT, GoodCells, NearestCells

__all__ = ["CompiledNearestCells"]


class CompiledNearestCells:
    """Computes on a CPU in float32 what `NearestCells.anomaly` does with an image of its own.

    May be called from several threads at a time, see `CompiledGraph`.

    Args:
        local: The local model.
        grids: Cells of any image, for the sides of the grids.

    Raises:
        ImportError: If OpenVINO is not there.
        RuntimeError: If it cannot work on this machine.
    """

    def __init__(self, local: NearestCells, grids: CellGrids) -> None:
        openvino = import_openvino()
        ops = openvino.opset13
        cells = [ops.parameter([1, *level.shape], np.float32) for level in (grids.fine, grids.coarse)]
        side, small = len(grids.fine), len(grids.coarse)
        fine = ops.reshape(_standardised_distance(ops, cells[0], local.fine), [1, 1, side, side], False)
        coarse = ops.reshape(_standardised_distance(ops, cells[1], local.coarse), [1, 1, small, small], False)
        spread = interpolate(ops, coarse, side)
        anomaly = ops.add(fine, ops.minimum(spread, np.float32(COARSE_LIMIT)))
        result = ops.result(ops.squeeze(anomaly, np.array([1])))
        self._graph = CompiledGraph(openvino.Model([result], cells))

    def anomaly(self, grids: CellGrids) -> Tensor:
        """Compute the local anomaly of an image, (g, g) float32, see `NearestCells.anomaly`."""
        [anomaly] = self._graph([(grids.fine.numpy(), grids.coarse.numpy())])
        return torch.from_numpy(anomaly[0])


def _standardised_distance(ops: Any, cells: Any, good: GoodCells) -> Any:  # noqa: ANN401 - untyped
    kept = good.cells.float().numpy()
    # Distances stay the same around another origin; near the cells less of them is lost to rounding.
    origin = kept.mean(0, keepdims=True)
    kept = kept - origin
    queries = ops.subtract(ops.reshape(cells, [-1, kept.shape[1]], False), ops.constant(origin))
    products = ops.matmul(queries, ops.constant(np.ascontiguousarray(-2.0 * kept.T)), False, False)
    nearest = ops.reduce_min(ops.add(products, ops.constant(np.square(kept).sum(1)[None])), np.array([1]))
    own = ops.reduce_sum(ops.multiply(queries, queries), np.array([1]))
    distance = ops.sqrt(ops.relu(ops.add(nearest, own)))
    return ops.divide(ops.subtract(distance, np.float32(good.mean)), np.float32(good.deviation))
