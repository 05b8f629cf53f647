"""From a resized image to its features and cells in one OpenVINO graph: extractor, pooling, description."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.compute.openvino_graph import CompiledGraph, interpolate
from differnet.compute.openvino_runtime import import_openvino
from differnet.extractors import Extractor
from differnet.extractors.openvino_stages import build_stages
from differnet.features.cells import SHORTEST, CellGrids, CellProjection, Window, grid_side, windows_of

__all__ = ["CompiledFeatures", "compile_features"]

_Key = tuple[str, int, tuple[int, ...], bool, int]

# Those in use, by weights, size, stages, deviation and dimensions of the cells.
_in_use: WeakValueDictionary[_Key, CompiledFeatures] = WeakValueDictionary()
_looking = threading.Lock()


def compile_features(
    extractor: Extractor,
    size: int,
    stages: tuple[int, ...],
    *,
    deviation: bool,
    cells: CellProjection | None,
    fingerprint: str = "",
) -> CompiledFeatures:
    """Compile, or share what was compiled for another model: it takes 40 MB, and a service may serve many models.

    Args:
        extractor: As for `CompiledFeatures`.
        size: Likewise.
        stages: Likewise.
        deviation: Likewise.
        cells: Likewise.
        fingerprint: Of the extractor's weights; extractors with the same share, those with none do not.

    Raises:
        ImportError: As `CompiledFeatures`.
        RuntimeError: Likewise.
    """

    def compiled() -> CompiledFeatures:
        return CompiledFeatures(extractor, size, stages, deviation=deviation, cells=cells)

    if not fingerprint:
        return compiled()
    dimensions = 0 if cells is None else cells.dimensions
    key = (f"{type(extractor).__name__} {fingerprint}", size, stages, deviation, dimensions)
    with _looking:
        found = _in_use.get(key)
        if found is None:
            found = _in_use[key] = compiled()
        return found


class CompiledFeatures:
    """Computes on a CPU in float32 what `pool_maps` and `CellProjection.describe` do with an extractor's maps.

    May be called from several threads at a time, see `CompiledGraph`. None of torch's operations are left: each of
    their many small ones takes Python's lock several times, for which threads side by side wait.

    Args:
        extractor: A frozen network that `can_compile` accepts.
        size: Side of the images, in pixels.
        stages: Those that are pooled, see `pool_scales`.
        deviation: See `pool_scales`.
        cells: Describes the cells; None for none.

    Raises:
        ImportError: If OpenVINO is not there.
        RuntimeError: If it cannot work on this machine.
    """

    def __init__(
        self, extractor: Extractor, size: int, stages: tuple[int, ...], *, deviation: bool, cells: CellProjection | None
    ) -> None:
        openvino = import_openvino()
        ops = openvino.opset13
        described = () if cells is None else range(-len(extractor.stage_channels) - 1, -1)
        image, maps = build_stages(extractor, size, [*stages, *described])
        outputs = [_pool(ops, maps[: len(stages)], deviation)]
        if cells is not None:
            outputs += _describe(ops, maps[len(stages) :], cells, size)
        self._graph = CompiledGraph(openvino.Model([ops.result(output) for output in outputs], [image]))

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> tuple[Tensor, list[CellGrids]]:
        """Compute features and cells.

        Args:
            images: B arrays, uint8 (size, size, 3).

        Returns:
            (B, d) float32, and the B images' cells, if they are described.
        """
        features, *grids = (torch.from_numpy(result) for result in self._graph([[image] for image in images]))
        return features, [CellGrids(*of_image) for of_image in zip(*grids, strict=True)]


def _pool(ops: Any, maps: Sequence[Any], deviation: bool) -> Any:  # noqa: ANN401 - untyped
    """Mean and standard deviation of (1, C, h, w) maps, (1, d)."""
    positions = np.array([2, 3])
    pooled = []
    for of_stage in maps:
        mean = ops.reduce_mean(of_stage, positions, keep_dims=True)
        pooled.append(mean)
        if deviation:
            squares = ops.power(ops.subtract(of_stage, mean), np.float32(2))
            pooled.append(ops.sqrt(ops.reduce_mean(squares, positions, keep_dims=True)))
    return ops.squeeze(ops.concat(pooled, 1), positions)


def _describe(ops: Any, maps: Sequence[Any], cells: CellProjection, size: int) -> list[Any]:  # noqa: ANN401
    """Fine and coarse cells, (1, side, side, k)."""
    side = grid_side((int(of_stage.shape[-1]) for of_stage in maps), size)
    stages = [_resized(ops, of_stage, side) for of_stage in maps]
    projection = torch.cat(cells.projections).T[:, :, None, None]
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


def _resized(ops: Any, maps: Any, side: int) -> Any:  # noqa: ANN401
    width = int(maps.shape[-1])
    if width == side:
        return maps
    if width % side == 0:
        return ops.avg_pool(maps, [width // side] * 2, [0, 0], [0, 0], [width // side] * 2, True, "floor")
    if width > side:
        return ops.adaptive_avg_pool(maps, ops.constant(np.array([side, side])))
    return interpolate(ops, maps, side)
