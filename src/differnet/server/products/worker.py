"""The process of a job: ``python -m differnet.server.products.worker``, with a task as a line of JSON on stdin.

It tells how far it is, or why it failed, in lines of JSON on stdout, and ends when stdin does: with the service.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from differnet.errors import DifferNetError
from differnet.files import replacing_for_good

__all__ = ["RESULT", "Teller", "main", "run_command", "write_result"]

RESULT = "result.json"
"""What a job found, written last, so that a job with one is whole."""

_NICENESS = 15
_TELL_SECONDS = 0.3

_children: list[subprocess.Popen[bytes]] = []


class Teller:
    """Tells how far the work is, now and then.

    Args:
        ranges: For each stage, the share of the work at its beginning and end.
    """

    def __init__(self, ranges: Mapping[str, tuple[float, float]]) -> None:
        self._ranges = ranges
        self._share = 0.0
        self._told = -float("inf")

    def images(self, stage: str, done: int, total: int) -> None:
        """``done`` of ``total`` images have passed a stage."""
        low, high = self._ranges.get(stage, (self._share, self._share))
        self._share = max(self._share, low + (high - low) * min(1.0, done / max(total, 1)))
        now = time.monotonic()
        if stage in self._ranges and now - self._told >= _TELL_SECONDS:
            self._told = now
            tell({"stage": stage, "done": done, "total": total, "share": round(self._share, 4)})

    def epoch(self, report: Any) -> None:  # noqa: ANN401 - differnet.training.EpochReport, which takes torch
        """An epoch of training is over."""
        self.images("training", report.epoch, report.epochs)


def tell(message: Mapping[str, Any]) -> None:
    """Write a line for the service."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write what a job found, after everything else that it makes."""
    with replacing_for_good(folder / RESULT) as part:
        part.write_text(json.dumps(result), encoding="utf-8")


def run_command(arguments: list[str]) -> None:
    """Run a command of differnet to its end.

    Raises:
        DifferNetError: With what it said, if it failed.
    """
    command = [sys.executable, "-m", "differnet", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603 - our own
    _children.append(process)
    said = process.communicate()[1].decode("utf-8", "replace").strip().splitlines()
    if process.returncode:
        raise DifferNetError((said[-1] if said else "The command failed.").removeprefix("error: "))


def main() -> int:
    """Do a task; the exit code is 0 for success."""
    # Before torch, which takes note of the cores that there are.
    task = json.loads(sys.stdin.readline() or "null")
    if task is None:
        return 2
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    _give_way(task["cores"])
    os.umask(0o077)  # none but the service may read what it keeps
    warnings.filterwarnings("ignore")
    from differnet.server.products.commands import COMMANDS  # noqa: PLC0415

    work: Callable[[dict[str, Any]], None] | None = COMMANDS.get(task["kind"])
    if work is None:
        from differnet.server.products.tasks import TASKS  # noqa: PLC0415 - with torch

        work = TASKS[task["kind"]]
    try:
        work(task)
    except DifferNetError as error:
        tell({"error": str(error)})
        return 1
    except OSError as error:
        reason = error.strerror or error
        tell({"error": f"{error.filename or 'A file'} cannot be used ({reason}); free space on the disk, or see it."})
        return 1
    except MemoryError:
        tell({"error": "There is not enough memory; choose quick, or fewer pictures."})
        return 1
    return 0


def _end_with_the_service() -> None:
    while os.read(0, 1):  # not by sys.stdin, whose lock Python wants at its end
        pass
    for child in _children:
        child.kill()
    os._exit(3)  # at once, whatever the others are doing: files are written whole or not at all


def _give_way(cores: int) -> None:
    """Use few cores, and those only while nobody else wants them."""
    if hasattr(os, "nice"):
        with contextlib.suppress(OSError):
            os.nice(_NICENESS)
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):
            mine = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, mine[-cores:])


if __name__ == "__main__":
    # By its own name: commands are begun by that module, and it must know them to end them.
    from differnet.server.products.worker import main as work

    sys.exit(work())
