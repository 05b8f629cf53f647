"""A frozen network compiled by OpenVINO: the maps that torch computes, but for rounding, in two thirds of the time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.extractors.efficientnet_lite import EfficientNetLite0
from differnet.openvino_runtime import has_openvino, import_openvino

if TYPE_CHECKING:
    from differnet.extractors.base import Extractor
    from differnet.extractors.efficientnet_lite import InvertedBottleneck, SameConv2d

__all__ = ["CompiledStages", "can_compile", "compile_stages"]

# Each computes with a compiled network of its own, of some 20 MB.
_MOST_THREADS = 8


# Those in use, by weights, size and stages.
_in_use: WeakValueDictionary[tuple[str, int, tuple[int, ...]], CompiledStages] = WeakValueDictionary()
_looking = threading.Lock()


def can_compile(extractor: Extractor) -> bool:
    """Whether OpenVINO is installed, and `CompiledStages` knows networks of this kind."""
    return isinstance(extractor, EfficientNetLite0) and has_openvino()


def compile_stages(extractor: Extractor, size: int, stages: tuple[int, ...], fingerprint: str = "") -> CompiledStages:
    """Compile, or share what was compiled for another model: it takes 40 MB, and a service may serve many models.

    Args:
        extractor: As for `CompiledStages`.
        size: Likewise.
        stages: Likewise.
        fingerprint: Of the extractor's weights; extractors with the same share, those with none do not.

    Raises:
        ImportError: As `CompiledStages`.
        RuntimeError: Likewise.
    """
    if not fingerprint:
        return CompiledStages(extractor, size, stages)
    key = (f"{type(extractor).__name__} {fingerprint}", size, stages)
    with _looking:
        found = _in_use.get(key)
        if found is None:
            found = _in_use[key] = CompiledStages(extractor, size, stages)
        return found


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
        openvino = import_openvino()
        self._core = openvino.Core()
        self._model = _build(openvino, cast("EfficientNetLite0", extractor), size, stages)
        self._shapes = [tuple(output.shape)[1:] for output in self._model.outputs]
        self._idle: deque[Any] = deque([self._compile()])
        self._helpers: ThreadPoolExecutor | None = None

    def __call__(self, images: Sequence[NDArray[np.uint8]]) -> list[Tensor]:
        """Compute the maps of images.

        Args:
            images: B arrays, uint8 (size, size, 3).

        Returns:
            For every wanted stage its (B, C, h, w) float32 maps, in torch's channels_last format.
        """
        # Copied by NumPy: torch would wake threads of its own, which then wait for more on the cores that are needed.
        results = [np.empty((len(images), *shape), np.float32) for shape in self._shapes]
        cores = min(len(images), torch.get_num_threads(), _MOST_THREADS)
        if cores == 1:
            self._infer(images, results, range(len(images)))
        else:
            if self._helpers is None:
                self._helpers = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="differnet-network")
            parts = [range(first, len(images), cores) for first in range(cores)]
            list(self._helpers.map(partial(self._infer, images, results), parts))
        return [torch.from_numpy(result).permute(0, 3, 1, 2) for result in results]

    def _infer(self, images: Sequence[NDArray[np.uint8]], results: list[NDArray[np.float32]], part: range) -> None:
        try:
            request = self._idle.pop()
        except IndexError:
            request = self._compile()
        for index in part:
            request.get_input_tensor().data[0] = images[index]
            request.infer()
            for output, result in enumerate(results):
                result[index] = request.get_output_tensor(output).data[0]
        self._idle.append(request)

    def _compile(self) -> Any:  # noqa: ANN401
        settings = {
            # With one stream of one thread the calling thread itself computes. Another would have to be woken for each
            # image, and systems with few cores often let it wait behind the one that woke it, beside an idle core.
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": 1,
            # Where the processor has bfloat16 OpenVINO would take that, and scores would be others.
            "INFERENCE_PRECISION_HINT": "f32",
            # Several processes would all pin their threads to the same first cores.
            "ENABLE_CPU_PINNING": False,
        }
        return self._core.compile_model(self._model, "CPU", settings).create_infer_request()


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
