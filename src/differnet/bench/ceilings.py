"""What the machine can do at best: matrix products and copies, measured in the same run as everything else."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from differnet.bench.results import Ceilings, Product

__all__ = ["measure_ceilings", "synchronize"]

_SIDE = 4096
_SMALLEST_SIDE = 256
_COPIED_BYTES = 256 * 2**20
_GIGA = 1e9


def measure_ceilings(device: torch.device, *, budget_seconds: float, repetitions: int = 3) -> Ceilings:
    """Measure the best rates of a device.

    Args:
        device: What is measured.
        budget_seconds: For each of the two products; matrices are as large as this admits, 4096 x 4096 at most.
        repetitions: The best of so many counts.
    """
    return Ceilings(
        float32=_product(device, torch.float32, budget_seconds, repetitions),
        bfloat16=_product(device, torch.bfloat16, budget_seconds, repetitions),
        copy_gbytes=_copy(device, repetitions),
        device=str(device),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
    )


def _product(device: torch.device, dtype: torch.dtype, budget_seconds: float, repetitions: int) -> Product:
    side = _SMALLEST_SIDE
    seconds = _product_seconds(device, dtype, side, repetitions)
    while side < _SIDE and (repetitions + 1) * 8 * seconds < budget_seconds:
        side *= 2
        seconds = _product_seconds(device, dtype, side, repetitions)
    return Product(side, 2 * side**3 / seconds / _GIGA)


def _product_seconds(device: torch.device, dtype: torch.dtype, side: int, repetitions: int) -> float:
    left, right = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    out = torch.empty_like(left)
    return _best_seconds(lambda: torch.mm(left, right, out=out), device, repetitions)


def _copy(device: torch.device, repetitions: int) -> float:
    source = torch.ones(_COPIED_BYTES // 4, device=device)
    target = torch.empty_like(source)
    return 2 * _COPIED_BYTES / _best_seconds(lambda: target.copy_(source), device, repetitions) / _GIGA


def _best_seconds(work: Callable[[], object], device: torch.device, repetitions: int) -> float:
    """The shortest of several runs after one that does not count: a ceiling is what others did not disturb."""
    best = float("inf")
    for repetition in range(repetitions + 1):
        synchronize(device)
        started = time.perf_counter()
        work()
        synchronize(device)
        if repetition:
            best = min(best, time.perf_counter() - started)
    return best


def synchronize(device: torch.device) -> None:
    """Wait until the device has done all it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
