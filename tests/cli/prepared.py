"""The command line as a process that has its imports behind it.

Most of the time of a short command goes into importing torch. A server imports once, and a fork of it is a process of
its own, with a working folder, an environment, an output and an exit code. Tests of how a command starts (what it
imports, its signals, its threads) start a new interpreter instead.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["run_prepared"]

_CONTEXT = multiprocessing.get_context("forkserver")
# As the command itself has it; the server imports OpenCV before a command begins.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
_CONTEXT.set_forkserver_preload(["differnet.cli.main", "differnet.detector", "openvino", "tests.cli.prepared"])


def run_prepared(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``differnet`` with `words` in the current folder, and take what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "stdout", Path(folder) / "stderr"
        process = _CONTEXT.Process(target=_command, args=(words, dict(environment), str(Path.cwd()), output, errors))
        process.start()
        process.join()
        return subprocess.CompletedProcess(
            words, process.exitcode or 0, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8")
        )


def _command(words: Sequence[str], environment: Mapping[str, str], folder: str, output: Path, errors: Path) -> None:
    for descriptor, path in ((1, output), (2, errors)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - as long as the process
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["differnet", *words]
    from differnet.cli.main import run

    try:
        run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
