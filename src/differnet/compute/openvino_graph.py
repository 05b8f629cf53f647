"""An OpenVINO graph on a CPU: one item on one core, several items side by side."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from differnet.compute.openvino_runtime import import_openvino
from differnet.compute.threads import count_cores

__all__ = ["CompiledGraph", "interpolate"]

# Each computes with a compiled graph of its own, which for a network takes some 20 MB.
_MOST_THREADS = 8


def interpolate(ops: Any, maps: Any, side: int) -> Any:  # noqa: ANN401 - untyped
    """Bring (B, C, h, w) maps to (B, C, side, side), bilinear, as torch does without aligned corners."""
    sides, axes = ops.constant(np.array([side, side])), ops.constant(np.array([2, 3]))
    return ops.interpolate(maps, sides, "linear_onnx", "sizes", axes=axes, coordinate_transformation_mode="half_pixel")


class CompiledGraph:
    """Computes a graph in float32.

    May be called from several threads at a time. A call takes as many cores as torch would in the calling thread. As
    many compute at one time as there are cores, each with a copy of its own that is then kept; the others wait.

    Args:
        model: An ``openvino.Model`` whose inputs and outputs have a first dimension of 1, the item.

    Raises:
        ImportError: If OpenVINO is not there.
        RuntimeError: If it cannot work on this machine.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - untyped
        self._core = import_openvino().Core()
        self._model = model
        self._shapes = [tuple(output.shape)[1:] for output in model.outputs]
        self._idle: deque[Any] = deque([self._compile()])
        self._turns = threading.Semaphore(count_cores())
        self._helpers: ThreadPoolExecutor | None = None
        self._hiring = threading.Lock()

    def __call__(self, items: Sequence[Sequence[NDArray[Any]]]) -> list[NDArray[np.float32]]:
        """Compute the outputs of items.

        Args:
            items: B items, each an array for every input, without the first dimension.

        Returns:
            For every output (B, ...) float32.
        """
        results = [np.empty((len(items), *shape), np.float32) for shape in self._shapes]
        cores = min(len(items), torch.get_num_threads(), _MOST_THREADS)
        if cores == 1:
            self._infer(items, results, range(len(items)))
        else:
            parts = [range(first, len(items), cores) for first in range(cores)]
            list(self._hired().map(partial(self._infer, items, results), parts))
        return results

    def _hired(self) -> ThreadPoolExecutor:
        with self._hiring:
            if self._helpers is None:
                self._helpers = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="differnet-network")
            return self._helpers

    def _infer(
        self, items: Sequence[Sequence[NDArray[Any]]], results: list[NDArray[np.float32]], part: Sequence[int]
    ) -> None:
        with self._turns:
            try:
                request = self._idle.pop()
            except IndexError:
                request = self._compile()
            try:
                self._run(request, items, results, part)
            finally:
                self._idle.append(request)

    def _run(
        self,
        request: Any,  # noqa: ANN401
        items: Sequence[Sequence[NDArray[Any]]],
        results: list[NDArray[np.float32]],
        part: Sequence[int],
    ) -> None:
        for index in part:
            # Copied by NumPy: torch would wake threads of its own, which then wait for more on cores that are needed.
            for place, array in enumerate(items[index]):
                request.get_input_tensor(place).data[0] = array
            request.infer()
            for place, result in enumerate(results):
                result[index] = request.get_output_tensor(place).data[0]

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
