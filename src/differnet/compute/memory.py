"""How much memory there is; and keeping what is freed: the maps of a network are wanted again by the next image."""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

__all__ = ["available_memory", "give_back_freed_memory", "keep_freed_memory"]

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


def available_memory(proc: Path = Path("/proc"), root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """How many bytes this process may still take, by the system and by its container; None where nothing is said.

    Args:
        proc: Where the system tells of itself (``meminfo``).
        root: Where control groups are mounted, of version 2 (``memory.max``).
    """
    found = []
    system = re.search(r"^MemAvailable:\s+(\d+) kB", _text(proc / "meminfo"), re.MULTILINE)
    if system:
        found.append(int(system[1]) << 10)
    most, taken = (_text(root / f"memory.{name}").strip() for name in ("max", "current"))
    if most.isdecimal() and taken.isdecimal():
        # Of what is taken, files that were read are given back.
        files = re.search(r"^inactive_file (\d+)", _text(root / "memory.stat"), re.MULTILINE)
        found.append(max(0, int(most) - int(taken) + (int(files[1]) if files else 0)))
    return min(found, default=None)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
