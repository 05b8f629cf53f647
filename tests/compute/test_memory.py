"""How much memory is left; and what is freed and wanted again comes without the system having to clear it."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from differnet.compute.memory import available_memory

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


def test_the_memory_that_is_left_is_the_systems_or_the_containers(tmp_path: Path) -> None:
    assert available_memory(tmp_path, tmp_path) is None
    (tmp_path / "meminfo").write_text("MemTotal:  8000 kB\nMemAvailable:    4000 kB\n")
    assert available_memory(tmp_path, tmp_path) == 4000 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("900000\n")
    assert available_memory(tmp_path, tmp_path) == 4000 * 1024
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.stat").write_text("anon 5\ninactive_file 300000\n")
    assert available_memory(tmp_path, tmp_path) == 400_000
