"""EfficientNet-Lite0 as an OpenVINO graph: torch's maps but for rounding, in two thirds of the time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from torch import Tensor

from differnet.compute.openvino_runtime import has_openvino, import_openvino
from differnet.extractors.efficientnet_lite import EfficientNetLite0

if TYPE_CHECKING:
    from differnet.extractors.base import Extractor
    from differnet.extractors.efficientnet_lite import InvertedBottleneck, SameConv2d

__all__ = ["build_stages", "can_compile"]


def can_compile(extractor: Extractor) -> bool:
    """Whether OpenVINO is installed, and `build_stages` knows networks of this kind."""
    return isinstance(extractor, EfficientNetLite0) and has_openvino()


def build_stages(extractor: Extractor, size: int, stages: Sequence[int]) -> tuple[Any, list[Any]]:
    """Build the graph from an image to the maps of stages.

    Convolution, bias and clamp are a single pass over the maps once this is compiled, which is what makes it quick.

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
    network = cast("EfficientNetLite0", extractor)

    def convolve(maps: Any, layer: SameConv2d, *, clamped: bool) -> Any:  # noqa: ANN401
        height, width = maps.get_partial_shape().to_shape()[2:]
        rows, columns = layer.padding_of(height, width)
        begin, end = [rows // 2, columns // 2], [rows - rows // 2, columns - columns // 2]
        weight = layer.weight.detach()
        convolution = ops.convolution
        if layer.groups > 1:
            weight, convolution = weight.unflatten(0, (layer.groups, -1)), ops.group_convolution
        maps = convolution(maps, _constant(ops, weight), list(layer.stride), begin, end, [1, 1]).output(0)
        if layer.bias is not None:
            maps = ops.add(maps, _constant(ops, layer.bias.detach()[:, None, None])).output(0)
        return ops.clamp(maps, 0.0, 6.0).output(0) if clamped else maps

    image = ops.parameter([1, size, size, 3], np.uint8)
    maps = ops.transpose(ops.convert(image, np.float32), [0, 3, 1, 2])
    maps = ops.divide(maps, np.float32(255))
    maps = ops.divide(ops.subtract(maps, _constant(ops, network._mean)), _constant(ops, network._std)).output(0)
    maps = convolve(maps, network._conv_stem, clamped=True)
    found = []
    for i, block in enumerate(cast("Sequence[InvertedBottleneck]", network._blocks)):
        if i in network._stage_ends:
            found.append(maps)
        before = maps
        if block.expands:
            maps = convolve(maps, block._expand_conv, clamped=True)
        maps = convolve(maps, block._depthwise_conv, clamped=True)
        maps = convolve(maps, block._project_conv, clamped=False)
        if block.has_shortcut:
            maps = ops.add(maps, before).output(0)
    found.append(maps)
    # Layers behind the last stage that is wanted lead to no result, and fall away.
    return image, [found[extractor.place_of(stage)] for stage in stages]


def _constant(ops: Any, values: Tensor) -> Any:  # noqa: ANN401
    return ops.constant(np.ascontiguousarray(values.numpy()))
