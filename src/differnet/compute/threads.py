"""Threads that work on images side by side, each on a core or a few of its own."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

__all__ = [
    "count_cores",
    "count_workers",
    "cpu_quota",
    "map_ahead",
    "one_thread",
    "use_cores",
    "workers_with_own_cores",
]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Python itself runs in one of them at a time, a tenth of what an image takes.
_MOST_WORKERS = 8


def count_workers() -> int:
    """How many workers share the threads that torch may use here, which knows the process's affinity but no quota."""
    quota = cpu_quota()
    return min(torch.get_num_threads(), _MOST_WORKERS if quota is None else math.ceil(quota), _MOST_WORKERS)


def count_cores() -> int:
    """How many cores this process may use, by its affinity and its container's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return cores if quota is None else min(cores, math.ceil(quota))


def cpu_quota(root: Path = Path("/sys/fs/cgroup")) -> float | None:
    """How many cores' time a container may take, by its control group; None where nothing is said.

    Args:
        root: Where control groups are mounted, of version 2 (``cpu.max``) or 1 (``cpu/cpu.cfs_quota_us``).
    """
    try:
        if (root / "cpu.max").is_file():
            quota, period = (root / "cpu.max").read_text().split()
        else:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        cores = float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number
        return None
    return cores if cores > 0 else None  # -1 is no limit


@contextmanager
def one_thread() -> Iterator[None]:
    """Have torch compute on one core in the calling thread, for operations that are too small to be divided.

    On a busy machine the threads of a call wait for one another by spinning: what takes one of them 50 seconds of a
    processor takes two of them many times that.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def use_cores(cores: int) -> None:
    """Have torch compute on so many cores in the calling thread."""
    # Else torch would take a new thread's number from what was set last by any, when it first computes in it.
    torch.get_num_threads()
    torch.set_num_threads(cores)


@contextmanager
def workers_with_own_cores(workers: int) -> Iterator[Executor]:
    """Start workers among which the threads that torch may use here are divided.

    On two cores two workers pass a third more images through a network than the threads of a single call do, which
    wait for one another after each layer and leave one core idle wherever the work cannot be divided. Inside the block
    the calling thread computes on one core too, the others are taken.

    Args:
        workers: Their number.
    """
    threads = torch.get_num_threads()
    ready = threading.Barrier(workers + 1)

    def take_cores() -> None:
        use_cores(max(1, threads // workers))
        ready.wait()

    with ThreadPoolExecutor(workers, thread_name_prefix="differnet-work") as pool:
        torch.set_num_threads(1)
        for _ in range(workers):
            pool.submit(take_cores)
        ready.wait()
        # New threads of anybody begin with what was set last by any: that is set right.
        last = threading.Thread(target=use_cores, args=(threads,))
        last.start()
        last.join()
        try:
            yield pool
        finally:
            torch.set_num_threads(threads)


def map_ahead(
    pool: Executor, function: Callable[[_Item], _Result], items: Iterable[_Item], ahead: int
) -> Generator[_Result, None, None]:
    """Map in a pool, in order, never more than a few items ahead of what was taken.

    Args:
        pool: Runs the function.
        function: Of one item.
        items: Consumed as needed.
        ahead: How many may be in work or wait to be taken.
    """
    remaining = iter(items)
    pending: deque[Future[_Result]] = deque()
    try:
        for item in itertools.islice(remaining, ahead):
            pending.append(pool.submit(function, item))
        while pending:
            result = pending.popleft().result()
            for item in itertools.islice(remaining, 1):
                pending.append(pool.submit(function, item))
            yield result
    finally:
        for future in pending:
            future.cancel()
