"""A real ``differnet serve``."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.prepared import PreparedProcess

__all__ = ["Service"]


class Service:
    """Runs the command on a free port; its log is kept in a file.

    Args:
        models: Folder of models.
        data: Data folder.
        options: Further options of the command.

    Attributes:
        preparation: Called in the process before the command is run, which is then a new interpreter.
        trusted: Whose certificates are trusted, of a service that speaks HTTPS.
    """

    def __init__(self, models: Path, data: Path, *options: str) -> None:
        self.data = data
        self.preparation: Callable[[], None] | None = None
        self.trusted: ssl.SSLContext | None = None
        self.log = data.with_name(f"{data.name}.log")
        self._words = ["serve", str(models), "--data", str(data)]
        # Other tests may have the processors.
        self._words += ["--time-limit", "120", *options]
        self.port = 0
        self.process: subprocess.Popen[bytes] | PreparedProcess | None = None

    def __enter__(self) -> Service:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = int(free.getsockname()[1])
        words, environment = [*self._words, "--port", str(self.port)], os.environ | {"OMP_NUM_THREADS": "1"}
        self.log.touch()
        if self.preparation is None:
            self.process = PreparedProcess(words, environment, None, self.log)
        else:
            with self.log.open("ab") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "differnet", *words],
                    stderr=log,
                    env=environment,
                    preexec_fn=self.preparation,  # noqa: PLW1509 - of tests, before any thread
                )
        for _ in range(1200):
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.get("/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers (in lower case) of an answer."""
        if self.trusted is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        else:
            connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=self.trusted)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}
        finally:
            connection.close()

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        status, body, _ = self.request("GET", path)
        return status, json.loads(body)

    def inspect(self, content: bytes, kind: str = "application/octet-stream") -> tuple[int, Any]:
        """Status and JSON of an inspection by the model 'plates'."""
        status, body, _ = self.request("POST", "/v1/models/plates/inspect", content, {"Content-Type": kind})
        return status, json.loads(body)

    def logged(self, identity: str) -> dict[str, Any]:
        """The line of the log of a request, by the id in its answer's ``X-Request-Id``; it comes after the answer."""
        for _ in range(200):
            for line in map(json.loads, self.log.read_text().splitlines()):
                if line.get("request") == identity:
                    return dict(line)
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(60)

    def memory(self) -> int:
        """Bytes that the process has in memory."""
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
