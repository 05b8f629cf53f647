"""Keeping freed memory: the maps of a network are freed after each layer, and wanted again by the next image."""

from __future__ import annotations

import ctypes
import os

__all__ = ["give_back_freed_memory", "keep_freed_memory"]

# From malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_OLD_MOST_BYTES = 32 << 20
_KEPT_BYTES = 64 << 20


def keep_freed_memory() -> None:
    """Have this process keep up to 64 MB of what it frees, where the C library is glibc; elsewhere do nothing.

    By itself glibc gives blocks of some 30 MB back to the system at once, which has to clear them each time they are
    wanted again: a fifth of the time that scoring takes. One arena, since those of threads cannot keep such blocks.
    It is for the whole process, so for our own commands and workers, not for programs that import this package. Where
    the environment says how memory is to be handled (``MALLOC_...``, ``GLIBC_TUNABLES``), that holds.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    # Older glibc takes no more than the first size, and keeps it when it refuses the second.
    for option, value in (
        (_MMAP_THRESHOLD, _OLD_MOST_BYTES),
        (_MMAP_THRESHOLD, _KEPT_BYTES),
        (_TRIM_THRESHOLD, _KEPT_BYTES),
        (_ARENA_MAX, 1),
    ):
        mallopt(option, value)


def give_back_freed_memory() -> None:
    """Give what was freed back to the system, after something large; where the C library is not glibc do nothing."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return
    trim(0)
