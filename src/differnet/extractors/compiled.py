"""A frozen network compiled by OpenVINO: the maps that torch computes, but for rounding, in two thirds of the time."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.extractors.efficientnet_lite import EfficientNetLite0
from differnet.openvino_runtime import has_openvino, import_openvino

if TYPE_CHECKING:
    from differnet.extractors.base import Extractor
    from differnet.extractors.efficientnet_lite import InvertedBottleneck, SameConv2d

__all__ = ["CompiledStages", "can_compile"]

# Each stream keeps maps of its own, so that very many would take much memory.
_MOST_STREAMS = 8


def can_compile(extractor: Extractor) -> bool:
    """Whether OpenVINO is installed, and `CompiledStages` knows networks of this kind."""
    return isinstance(extractor, EfficientNetLite0) and has_openvino()


class CompiledStages:
    """Computes an extractor's stages on a CPU in float32, one image on one core, several images side by side.

    May be called from several threads at a time. A call takes as many cores as torch would in the calling thread.
    Convolution, bias and clamp are a single pass over the maps in the compiled network, which is what makes it quick.

    Args:
        extractor: A frozen network that `can_compile` accepts.
        size: Side of the images, in pixels.
        stages: Those whose maps are wanted, counted from the last, -1; no more layers than they take are computed.

    Raises:
        ImportError: If OpenVINO is not there.
        RuntimeError: If it cannot work on this machine.
    """

    def __init__(self, extractor: Extractor, size: int, stages: Sequence[int]) -> None:
        self._streams = min(_allowed_cores(), _MOST_STREAMS)
        openvino = import_openvino()
        settings = {
            "NUM_STREAMS": self._streams,
            "INFERENCE_NUM_THREADS": self._streams,
            # Where the processor has bfloat16 OpenVINO would take that, and scores would be others.
            "INFERENCE_PRECISION_HINT": "f32",
            # Several processes would all pin their threads to the same first cores.
            "ENABLE_CPU_PINNING": False,
        }
        model = _build(openvino, cast("EfficientNetLite0", extractor), size, stages)
        self._compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._shapes = [tuple(output.shape)[1:] for output in self._compiled.outputs]
        self._local = threading.local()

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
        """Compute the maps of images.

        Args:
            images: B arrays, uint8 (size, size, 3).

        Returns:
            For every wanted stage its (B, C, h, w) float32 maps, in torch's channels_last format.
        """
        # Copied by NumPy: torch would wake threads of its own, which then wait for more on the cores that are needed.
        results = [np.empty((len(images), *shape), np.float32) for shape in self._shapes]
        requests = self._requests(min(len(images), torch.get_num_threads(), self._streams))
        in_work: dict[int, int] = {}

        def finish(place: int) -> None:
            requests[place].wait()
            for output, result in enumerate(results):
                result[in_work[place]] = requests[place].get_output_tensor(output).data[0]

        for index, (image, place) in enumerate(zip(images, itertools.cycle(range(len(requests))), strict=False)):
            if place in in_work:
                finish(place)
            in_work[place] = index
            requests[place].get_input_tensor().data[0] = image
            requests[place].start_async()
        for place in sorted(in_work, key=in_work.__getitem__):
            finish(place)
        return [torch.from_numpy(result).permute(0, 3, 1, 2) for result in results]

    def _requests(self, count: int) -> list[Any]:
        """Of the calling thread: nobody else waits for them or reads their results."""
        found: list[Any] = self._local.__dict__.setdefault("requests", [])
        found += [self._compiled.create_infer_request() for _ in range(count - len(found))]
        return found[:count]


def _allowed_cores() -> int:
    """What torch starts with: OMP_NUM_THREADS, or the cores of this process."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdecimal() and int(allowed) > 0:
        return int(allowed)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _build(openvino: Any, extractor: EfficientNetLite0, size: int, stages: Sequence[int]) -> Any:  # noqa: ANN401 - untyped
    """The graph from a uint8 (1, size, size, 3) image to the stages' maps, (1, h, w, C)."""
    ops = openvino.opset13

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
    maps = ops.divide(ops.subtract(maps, _constant(ops, extractor._mean)), _constant(ops, extractor._std)).output(0)
    maps = convolve(maps, extractor._conv_stem, clamped=True)
    found = []
    for i, block in enumerate(cast("Sequence[InvertedBottleneck]", extractor._blocks)):
        if i in extractor._stage_ends:
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
    wanted = [ops.transpose(found[extractor.place_of(stage)], [0, 2, 3, 1]) for stage in stages]
    return openvino.Model([ops.result(maps) for maps in wanted], [image])


def _constant(ops: Any, values: Tensor) -> Any:  # noqa: ANN401
    return ops.constant(np.ascontiguousarray(values.numpy()))
