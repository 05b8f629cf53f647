"""Extractors as OpenVINO graphs: torch's maps but for rounding, EfficientNet-Lite0's in two thirds of the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differnet.compute.openvino_runtime import has_openvino, import_openvino

if TYPE_CHECKING:
    from differnet.extractors.base import Extractor

__all__ = ["build_stages", "can_compile"]


def can_compile(extractor: Extractor) -> bool:
    """Whether OpenVINO is installed, and the extractor has a graph for it."""
    return extractor.has_openvino_stages and has_openvino()


def build_stages(extractor: Extractor, size: int, stages: Sequence[int]) -> tuple[Any, list[Any]]:
    """Build the graph from an image to the maps of stages.

    Args:
        extractor: A frozen network that `can_compile` accepts.
        size: Side of the images, in pixels.
        stages: Those whose maps are wanted, counted from the last, -1; no more layers than they take are computed.

    Returns:
        The graph's parameter, uint8 (1, size, size, 3), and for every wanted stage its (1, C, h, w) float32 output.

    Raises:
        ImportError: If OpenVINO is not there.
    """
    ops = import_openvino().opset13
    image = ops.parameter([1, size, size, 3], np.uint8)
    maps = ops.transpose(ops.convert(image, np.float32), [0, 3, 1, 2])
    maps = ops.divide(maps, np.float32(255))
    maps = ops.divide(ops.subtract(maps, extractor._mean.numpy()), extractor._std.numpy()).output(0)
    # Layers behind the last stage that is wanted lead to no result, and fall away.
    found = extractor.openvino_stages(ops, maps)
    return image, [found[extractor.place_of(stage)] for stage in stages]
