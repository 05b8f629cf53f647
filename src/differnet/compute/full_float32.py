"""float32 as it says, on GPUs too: convolutions in TF32 keep 10 of 23 binary digits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["full_float32"]

_lock = threading.Lock()
# How many blocks are under way, and what held before the first of them.
_state = {"inside": 0, "before": False}


@contextmanager
def full_float32() -> Iterator[None]:
    """Have cuDNN compute float32 convolutions without TF32, as a processor does, until the block is left.

    PyTorch allows TF32 there, unlike in matrix products, so that features would differ by some thousandths from those
    that another machine gives. The switch is the process's: while one thread is inside, it is off for all.
    """
    with _lock:
        if not _state["inside"]:
            _state["before"] = torch.backends.cudnn.allow_tf32
            torch.backends.cudnn.allow_tf32 = False
        _state["inside"] += 1
    try:
        yield
    finally:
        with _lock:
            _state["inside"] -= 1
            if not _state["inside"]:
                torch.backends.cudnn.allow_tf32 = bool(_state["before"])
