"""How long the threads of one call spin while they wait for each other."""

from __future__ import annotations

import os

__all__ = ["wait_briefly"]

# Of the order of 50 microseconds, which is longer than the threads of a call wait where each has a core.
_SPINS = "2000"


def wait_briefly() -> None:
    """Have threads of OpenMP sleep soon, and NumPy's algebra, which is small here, be done by one thread.

    Who spins for milliseconds keeps from its core the thread that it waits for, if other work wants the cores too:
    beside another training, one of 31 images took 430 s instead of 30, and eight times the processor's time.

    It is for the whole process and those that it starts, so for our own commands, and has to come before NumPy and
    torch are imported. Where the environment says how to wait (``OMP_WAIT_POLICY``, ``GOMP_SPINCOUNT``) or on how many
    threads (``OPENBLAS_NUM_THREADS``), that holds.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
