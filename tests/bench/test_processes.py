"""Whole processes: time and peak memory of exactly the command."""

from __future__ import annotations

import sys

import pytest

from differnet.bench.processes import DIFFERNET, run_process
from differnet.errors import MeasurementError

MEGA = 1_000_000


def test_the_time_is_that_of_the_command() -> None:
    run = run_process([sys.executable, "-c", "import time; time.sleep(0.5); print('done')"])
    assert 0.5 <= run.seconds < 5
    assert run.cpu_seconds < 0.4
    assert run.stdout == "done\n"


def test_cpu_time_counts_work() -> None:
    # Waits for a CPU time, so that a busy machine takes longer but counts the same.
    run = run_process([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"])
    assert 0.5 <= run.cpu_seconds < 1.5


def test_peak_memory_is_that_of_the_command_whatever_its_parent_holds() -> None:
    ballast = b"\1" * (300 * MEGA)
    small = run_process([sys.executable, "-c", "pass"])
    large = run_process([sys.executable, "-c", "held = b'1' * 200_000_000"])
    assert len(ballast) == 300 * MEGA
    assert small.peak_bytes < 100 * MEGA
    assert 200 * MEGA < large.peak_bytes < 300 * MEGA


def test_a_command_that_fails_is_an_error_that_quotes_it() -> None:
    with pytest.raises(MeasurementError, match=r"exit code 3.*no such thing"):
        run_process([sys.executable, "-c", "import sys; print('no such thing', file=sys.stderr); sys.exit(3)"])
    with pytest.raises(MeasurementError, match=r"'differnet info nowhere' failed.*no such model file"):
        run_process([*DIFFERNET, "info", "nowhere"])


def test_a_command_that_is_killed_is_an_error() -> None:
    with pytest.raises(MeasurementError, match="exit code 137"):
        run_process([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"])
