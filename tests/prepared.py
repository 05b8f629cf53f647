"""The command line as a process that has its imports behind it.

Most of the time of a short command goes into importing torch. A server imports once, and a fork of it is a process of
its own, with a working folder, an environment, an output and an exit code. Tests of how a command starts (what it
imports, its signals, its threads) start a new interpreter instead.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["CONTEXT", "PreparedProcess", "run_prepared"]

CONTEXT = multiprocessing.get_context("forkserver")
# As the command itself has it; the server imports OpenCV before a command begins.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
# What is not installed is passed over.
CONTEXT.set_forkserver_preload(
    ["differnet.cli.main", "differnet.detector", "differnet.server.serving", "openvino", "tests.watching.test_kill"]
)


class PreparedProcess:
    """``differnet`` with words in the current folder, running; as `subprocess.Popen` has it.

    Args:
        words: Of the command.
        environment: All of its environment.
        output: File that its stdout is appended to; None for nowhere.
        errors: The same for stderr.
    """

    def __init__(
        self, words: Sequence[str], environment: Mapping[str, str], output: Path | None, errors: Path | None
    ) -> None:
        given = (list(words), dict(environment), str(Path.cwd()), output, errors)
        self._process = CONTEXT.Process(target=_command, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, None while it runs; a signal that ended it is negative."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The same."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutError(f"it still runs after {timeout} s")
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it still runs."""
        if self._process.exitcode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def run_prepared(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run ``differnet`` with `words` in the current folder, and take what it prints."""
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "stdout", Path(folder) / "stderr"
        code = PreparedProcess(words, environment, output, errors).wait()
        return subprocess.CompletedProcess(
            words, code, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8")
        )


def _command(
    words: Sequence[str], environment: Mapping[str, str], folder: str, output: Path | None, errors: Path | None
) -> None:
    for descriptor, path in ((1, output), (2, errors)):
        opened = os.open(path or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
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
