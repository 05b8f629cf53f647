"""Threads that work on images side by side, each on a core or a few of its own."""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

__all__ = ["count_workers", "map_ahead", "workers_with_own_cores"]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Python itself runs in one of them at a time, a tenth of what an image takes.
_MOST_WORKERS = 8


def count_workers() -> int:
    """How many workers share the threads that torch may use here."""
    return min(torch.get_num_threads(), _MOST_WORKERS)


@contextmanager
def workers_with_own_cores(workers: int) -> Iterator[Executor]:
    """Start workers among which the threads that torch may use here are divided.

    On two cores two workers pass a third more images through a network than the threads of a single call do, which
    wait for one another after each layer and leave one core idle wherever the work cannot be divided. Inside the block
    the calling thread computes on one core too, the others are taken. So does what other threads do by MKL, whose
    number torch sets for the whole process, and threads that first use torch inside the block.

    Args:
        workers: Their number.
    """
    threads = torch.get_num_threads()
    ready = threading.Barrier(workers + 1)

    def take_cores() -> None:
        torch.set_num_threads(max(1, threads // workers))
        ready.wait()

    with ThreadPoolExecutor(workers, thread_name_prefix="differnet-work") as pool:
        torch.set_num_threads(1)
        for _ in range(workers):
            pool.submit(take_cores)
        ready.wait()
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
