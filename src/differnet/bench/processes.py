"""Whole processes: how long one takes from start to end, and the most memory it holds."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from differnet.errors import MeasurementError

__all__ = ["DIFFERNET", "ProcessRun", "run_process"]

DIFFERNET = (sys.executable, "-m", "differnet")
"""Begins a command line of this very installation."""

_LAUNCHER = Path(__file__).with_name("launcher.py")


@dataclass(frozen=True)
class ProcessRun:
    """What one run of a command took.

    Attributes:
        seconds: From its start to its end.
        cpu_seconds: Of all its threads together, in user and system mode.
        peak_bytes: The most memory that it held at once (resident set).
        stdout: What it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    stdout: str


def run_process(command: Sequence[str]) -> ProcessRun:
    """Run a command to its end.

    Args:
        command: The program's absolute path and its arguments.

    Raises:
        MeasurementError: If the command fails, or this system does not tell the memory of a process.
    """
    if not hasattr(os, "wait4"):
        raise MeasurementError("Windows does not tell how much memory a process held; run the benchmark on Linux.")
    with tempfile.TemporaryDirectory(prefix="differnet-run-") as folder:
        report = Path(folder) / "report"
        done = subprocess.run(  # noqa: S603 - the program is Python, the arguments are ours
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(report), *command],
            capture_output=True,
            text=True,
            errors="backslashreplace",
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            said = done.stderr.strip().splitlines() or ["it said nothing"]
            raise MeasurementError(
                f"'{_shortened(command)}' failed with exit code {done.returncode} ({said[-1]}); a command that fails "
                f"is not measured: make it work first."
            )
        seconds, cpu_seconds, peak_bytes = report.read_text(encoding="ascii").split()
    return ProcessRun(float(seconds), float(cpu_seconds), int(peak_bytes), done.stdout)


def _shortened(command: Sequence[str]) -> str:
    words = ["differnet", *command[len(DIFFERNET) :]] if tuple(command[: len(DIFFERNET)]) == DIFFERNET else command
    text = shlex.join(words)
    return text if len(text) <= 200 else f"{text[:197]}..."
