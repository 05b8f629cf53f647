"""Keeping freed memory: blocks that are freed and wanted again come without the system having to clear them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

BLOCKS = 50
PROGRAM = f"""
import resource
from differnet.compute.memory import keep_freed_memory

keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
BYTES = 30 << 20
for _ in range({BLOCKS}):
    b"x" * BYTES
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(**environment: str) -> int:
    others = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**others, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc alone")
def test_blocks_are_cleared_once_unless_the_environment_says_otherwise() -> None:
    kept = page_faults()
    assert kept > 0
    assert page_faults(MALLOC_MMAP_THRESHOLD_="131072") > BLOCKS / 5 * kept


GIVE_BACK = """
import sys, psutil
from differnet.compute.memory import give_back_freed_memory, keep_freed_memory

keep_freed_memory()
memory = lambda: psutil.Process().memory_info().rss / 1e6
blocks = [bytearray(100_000) for _ in range(1000)]
del blocks[:-1]  # the last keeps all before it
kept = memory()
give_back_freed_memory()
print(kept - memory())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="for glibc alone")
def test_what_was_freed_goes_back_when_told() -> None:
    done = subprocess.run([sys.executable, "-c", GIVE_BACK], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 80
