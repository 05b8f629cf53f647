"""A compiled graph computes from any number of threads, keeps the order, and its import reports to nobody."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet.compute.openvino_graph import CompiledGraph
from differnet.compute.openvino_runtime import import_openvino


@pytest.fixture(scope="module")
def graph() -> CompiledGraph:
    """Of vectors x and y, what 500 steps of ``x = sin(x + y)`` make of x, and the sum of y."""
    openvino = import_openvino()
    ops = openvino.opset13
    x, y = ops.parameter([1, 4], np.float32), ops.parameter([1, 4], np.float32)
    moved = x
    for _ in range(500):
        moved = ops.sin(ops.add(moved, y))
    return CompiledGraph(openvino.Model([ops.result(moved), ops.result(ops.reduce_sum(y, np.array([1])))], [x, y]))


def items(count: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    rng = np.random.default_rng(count)
    return [(rng.random(4, np.float32), rng.random(4, np.float32)) for _ in range(count)]


def test_outputs_are_what_the_graph_says(graph: CompiledGraph) -> None:
    wanted = items(3)
    moved, sums = graph(wanted)
    assert moved.shape == (3, 4)
    assert sums.shape == (3,)
    for (x, y), of_x, of_y in zip(wanted, moved, sums, strict=True):
        expected = x
        for _ in range(500):
            expected = np.sin(expected + y)
        assert of_x == pytest.approx(expected, rel=1e-3)
        assert of_y == pytest.approx(y.sum(), rel=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_more_items_than_cores_keep_their_order(graph: CompiledGraph, threads: int) -> None:
    wanted, before = items(7), torch.get_num_threads()
    alone = np.concatenate([graph([item])[0] for item in wanted])
    torch.set_num_threads(threads)
    try:
        together = graph(wanted)[0]
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(together, alone)


def test_threads_do_not_get_the_results_of_one_another(graph: CompiledGraph) -> None:
    wanted = items(400)
    expected = [graph([item])[0] for item in wanted]
    everyone = threading.Barrier(4)

    def compute(first: int) -> list[NDArray[np.float32]]:
        everyone.wait(timeout=30)
        return [graph([item])[0] for item in wanted[first::4]]

    with ThreadPoolExecutor(4) as pool:
        for first, found in enumerate(pool.map(compute, range(4))):
            assert all(np.array_equal(*pair) for pair in zip(found, expected[first::4], strict=True))


def test_many_callers_at_once_leave_no_more_copies_than_there_are_cores(graph: CompiledGraph) -> None:
    callers = 4 * (os.cpu_count() or 1) + 4
    everyone = threading.Barrier(callers)

    def compute(_: int) -> None:
        everyone.wait(timeout=30)
        graph(items(40))

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(compute, range(callers)))
    assert 1 <= len(graph._idle) <= (os.cpu_count() or 1)


def test_openvino_is_imported_late_and_without_its_usage_statistics() -> None:
    program = (
        "import sys\n"
        "import differnet.features.openvino_features\n"
        "assert 'openvino' not in sys.modules\n"
        "from differnet.compute.openvino_runtime import import_openvino\n"
        "assert import_openvino().Core().available_devices\n"
        "print([name for name in sys.modules if 'telemetry' in name and not name.startswith('openvino.')])\n"
        "from openvino.tools.ovc import telemetry_utils\n"
        "print(telemetry_utils.tm.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "openvino.tools.ovc.telemetry_stub"]
