"""From a resized image to its features and cells in one OpenVINO graph: extractor, pooling, description."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.compute.openvino_graph import CompiledGraph
from differnet.compute.openvino_runtime import import_openvino
from differnet.extractors import Extractor
from differnet.extractors.openvino_stages import build_stages
from differnet.features.describer import Cells, Describer

__all__ = ["CompiledFeatures", "compile_features"]

_Key = tuple[str, int, tuple[int, ...], bool, Hashable]

# Those in use, by weights, size, stages, deviation and what describes the cells.
_in_use: WeakValueDictionary[_Key, CompiledFeatures] = WeakValueDictionary()
_looking = threading.Lock()


def compile_features(
    extractor: Extractor,
    size: int,
    stages: tuple[int, ...],
    *,
    deviation: bool,
    describer: Describer | None,
    fingerprint: str = "",
) -> CompiledFeatures:
    """Compile, or share what was compiled for another model: it takes 40 MB, and a service may serve many models.

    Args:
        extractor: As for `CompiledFeatures`.
        size: Likewise.
        stages: Likewise.
        deviation: Likewise.
        describer: Likewise.
        fingerprint: Of the extractor's weights; extractors with the same share, those with none do not.

    Raises:
        ImportError: As `CompiledFeatures`.
        RuntimeError: Likewise.
    """

    def compiled() -> CompiledFeatures:
        return CompiledFeatures(extractor, size, stages, deviation=deviation, describer=describer)

    if not fingerprint:
        return compiled()
    described = None if describer is None else describer.key
    key = (f"{type(extractor).__name__} {fingerprint}", size, stages, deviation, described)
    with _looking:
        found = _in_use.get(key)
        if found is None:
            found = _in_use[key] = compiled()
        return found


class CompiledFeatures:
    """Computes on a CPU in float32 what `pool_maps` and `Describer.describe` do with an extractor's maps.

    May be called from several threads at a time, see `CompiledGraph`. None of torch's operations are left where the
    describer has a part of the graph: each of their many small ones takes Python's lock several times, for which
    threads side by side wait.

    Args:
        extractor: A frozen network that `can_compile` accepts.
        size: Side of the images, in pixels.
        stages: Those that are pooled, see `pool_scales`.
        deviation: See `pool_scales`.
        describer: Of the cells; None for none.

    Raises:
        ImportError: If OpenVINO is not there.
        RuntimeError: If it cannot work on this machine.
    """

    def __init__(
        self, extractor: Extractor, size: int, stages: tuple[int, ...], *, deviation: bool, describer: Describer | None
    ) -> None:
        openvino = import_openvino()
        ops = openvino.opset13
        described = () if describer is None else range(-len(extractor.stage_channels) - 1, -1)
        image, maps = build_stages(extractor, size, [*stages, *described])
        outputs = [_pool(ops, maps[: len(stages)], deviation)]
        self._cells: type[Cells] | None = None
        self._describer, self._size = describer, size
        if describer is not None:
            of_cells = describer.build(ops, maps[len(stages) :], size)
            self._cells = None if of_cells is None else describer.cells
            outputs += maps[len(stages) :] if of_cells is None else of_cells
        self._graph = CompiledGraph(openvino.Model([ops.result(output) for output in outputs], [image]))

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> tuple[Tensor, list[Cells]]:
        """Compute features and cells.

        Args:
            images: B arrays, uint8 (size, size, 3).

        Returns:
            (B, d) float32, and the B images' cells, if they are described.
        """
        features, *others = (torch.from_numpy(result) for result in self._graph([[image] for image in images]))
        if self._describer is None:
            return features, []
        if self._cells is None:
            return features, self._describer.describe(others, self._size)
        return features, [self._cells(*of_image) for of_image in zip(*others, strict=True)]


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
