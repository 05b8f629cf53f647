"""Runs one command and writes down its time and peak memory: ``python -I -S launcher.py REPORT PROGRAM ARGUMENTS...``.

A process starts as a copy of its parent, and the kernel counts that copy in the peak memory of the process. So that a
small command is not charged for a large parent, it is started by this file alone, which imports next to nothing.
"""

from __future__ import annotations

import os
import sys
import time

__all__ = ["main"]


def main() -> None:
    """Run the command; standard input and outputs are those of this process, and so is the exit status."""
    report, *command = sys.argv[1:]
    started = time.perf_counter()
    child = os.posix_spawn(command[0], command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    # Linux counts kilobytes, macOS bytes.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    cpu = usage.ru_utime + usage.ru_stime
    with open(report, "w", encoding="ascii") as stream:  # noqa: PTH123 - pathlib takes longer to import than this runs
        stream.write(f"{seconds!r} {cpu!r} {peak}")
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
