"""The mixtures as an OpenVINO graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from differnet.compute.openvino_graph import CompiledGraph, interpolate
from differnet.compute.openvino_runtime import import_openvino
from differnet.localization.mixture.cells import StageCells
from differnet.localization.mixture.good_cells import CellDensity, MixtureModel
from differnet.localization.mixture.windows import WindowDensity

__all__ = ["CompiledMixture"]


class CompiledMixture:
    """Computes on a CPU in float32 what `MixtureModel.anomaly` does with an image of its own.

    May be called from several threads at a time, see `CompiledGraph`.

    Args:
        model: The local model.
        cells: Of any image, for the sides of the grids.

    Raises:
        ImportError: If OpenVINO is not there.
        RuntimeError: If it cannot work on this machine.
    """

    def __init__(self, model: MixtureModel, cells: StageCells) -> None:
        openvino = import_openvino()
        ops = openvino.opset13
        densities: dict[str, CellDensity | WindowDensity] = dict(model.levels)
        if model.windows is not None:
            densities["windows"] = model.windows
        grids, maps = [], []
        for name, grid in cells.tensors().items():
            grids.append(ops.parameter([1, *grid.shape], np.float32))
            density = densities[name]
            if isinstance(density, WindowDensity):
                energy = _of_windows(ops, grids[-1], density)
            else:
                energy = _standardised_energy(ops, grids[-1], density)
            maps.append(ops.reshape(energy, [1, 1, len(grid), len(grid)], False))
        fine, *wide = maps
        coarse, *reduced = (interpolate(ops, anomaly, len(cells.fine)) for anomaly in wide)
        both = ops.add(fine, ops.minimum(coarse, np.float32(model.limit)))
        anomaly = ops.concat([both, *reduced], 1) if reduced else ops.squeeze(both, np.array([1]))
        self._graph = CompiledGraph(openvino.Model([ops.result(anomaly)], grids))

    def anomaly(self, cells: StageCells) -> Tensor:
        """Compute the local anomaly of an image, see `MixtureModel.anomaly`."""
        [anomaly] = self._graph([tuple(grid.numpy() for grid in cells.tensors().values())])
        return torch.from_numpy(anomaly[0])


def _standardised_energy(ops: Any, cells: Any, density: CellDensity) -> Any:  # noqa: ANN401 - untyped
    space, mixture = density.space, density.mixture
    channels = [count for count, _ in space.parts()]
    flat = ops.reshape(cells, [-1, sum(channels)], False)
    axis = np.array([1])
    stages = ops.variadic_split(flat, np.int64(1), np.array(channels)).outputs()
    scaled = [
        ops.divide(stage, ops.add(ops.reduce_l2(stage, axis, keep_dims=True), np.float32(added)))
        for stage, (_, added) in zip(stages, space.parts(), strict=True)
    ]
    x = ops.matmul(ops.concat(scaled, 1), ops.constant(space.projection.numpy()), False, False)
    means = mixture.means.numpy()
    products = ops.matmul(x, ops.constant(np.ascontiguousarray(-2.0 * means.T)), False, False)
    own = ops.reduce_sum(ops.multiply(x, x), axis, keep_dims=True)
    distance = ops.add(ops.add(products, ops.constant(np.square(means).sum(1)[None])), own)
    energy = ops.multiply(distance, ops.constant(1.0 / mixture.variances.numpy()[None]))
    energy = ops.add(energy, ops.constant(mixture.constants.numpy()[None]))
    # What is large is not copied.
    for axes, offsets in zip(mixture.axes.numpy(), mixture.offsets.numpy(), strict=True):
        along = ops.matmul(x, ops.constant(axes, shared_memory=True), False, False)
        along = ops.subtract(along, ops.constant(offsets[None]))
        energy = ops.subtract(energy, ops.multiply(along, along))
    least = ops.topk(energy, np.int32(1), 1, "min", "none")
    deviations = ops.gather(ops.constant(density.deviations.numpy()), least.output(1), np.int32(0))
    offset = ops.divide(ops.subtract(least.output(0), np.float32(density.mean)), deviations)
    return ops.subtract(offset, np.float32(density.shift))


def _of_windows(ops: Any, windows: Any, density: WindowDensity) -> Any:  # noqa: ANN401 - untyped
    count, size = density.means.shape
    flat = ops.subtract(ops.reshape(windows, [count, size], False), ops.constant(density.means.numpy()))
    whitening = ops.constant(density.whitening.numpy(), shared_memory=True)
    white = ops.matmul(ops.reshape(flat, [count, 1, size], False), whitening, False, False)
    energy = ops.reduce_mean(ops.multiply(white, white), np.array([1, 2]))
    mean, deviation = (part.numpy() for part in density.usual.unbind(1))
    return ops.divide(ops.subtract(energy, ops.constant(mean)), ops.constant(deviation))
