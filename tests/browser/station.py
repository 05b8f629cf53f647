"""A running `differnet serve`, as a user starts it, for a browser to look at."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.prepared import PreparedProcess, run_prepared

__all__ = ["Station"]

_START_SECONDS = 90


class Station:
    """A service in a process of its own.

    Args:
        models: Folder of model files.
        data: Folder for what it keeps.
        options: Further options of the command.
    """

    def __init__(self, models: Path, data: Path, *options: str) -> None:
        self.models, self.data, self._options = models, data, options
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key: str | None = None
        self.lesser_key: str | None = None
        self._process: PreparedProcess | None = None

    def start(self, answers: str = "/readyz") -> Station:
        """Start it and wait until it answers: when it is ready, unless another address is given."""
        words = ["serve", str(self.models), "--port", str(self.port), "--data", str(self.data), *self._options]
        self.data.mkdir(parents=True, exist_ok=True)
        log = self.data.parent / f"{self.data.name}.log"
        self._process = PreparedProcess(words, {**os.environ, "OMP_NUM_THREADS": "1"}, log, log)
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            try:
                self.get(answers)
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.2)
            else:
                return self
        raise RuntimeError(f"differnet serve did not get ready:\n{self.log()[-4000:]}")

    def stop(self) -> None:
        """Stop it as an administrator would."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(60)

    def log(self) -> str:
        """What it said."""
        return (self.data.parent / f"{self.data.name}.log").read_text(encoding="utf-8", errors="replace")

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Ask it for JSON."""
        return self._ask(urllib.request.Request(self.url + path))

    def inspect(self, model: str, image: Path, name: str | None = None) -> dict[str, Any]:
        """Have an image inspected, as a camera's computer would."""
        request = urllib.request.Request(
            f"{self.url}/v1/models/{quote(model)}/inspect?filename={name or image.name}",
            data=image.read_bytes(),
            headers={"Content-Type": "image/png"},
        )
        inspection: dict[str, Any] = self._ask(request)["inspections"][0]
        return inspection

    def review(self, inspection: dict[str, Any], word: str) -> None:
        """Say what a part is."""
        request = urllib.request.Request(
            f"{self.url}/v1/inspections/{inspection['id']}/review",
            data=json.dumps({"review": word}).encode(),
            headers={"Content-Type": "application/json"},
        )
        self._ask(request)

    def make_product(self, name: str, pictures: list[Path]) -> None:
        """Make a product with good pictures."""
        headers = {"Content-Type": "application/json"}
        body = json.dumps({"name": name}).encode()
        made = self._ask(urllib.request.Request(f"{self.url}/v1/products", data=body, headers=headers))
        address = f"{self.url}/v1/products/{made['id']}/pictures"
        for file in pictures:
            where = f"{address}?filename={file.name}"
            self._ask(urllib.request.Request(where, data=file.read_bytes(), headers={"Content-Type": "image/png"}))

    def make_key(self, role: str) -> str:
        """Make a key by the command line."""
        made = run_prepared(["keys", "create", "--role", role, "--data", str(self.data)], os.environ)
        assert made.returncode == 0, made.stderr
        return re.sub(r"\s", "", made.stdout)

    def _ask(self, request: urllib.request.Request) -> Any:  # noqa: ANN401 - JSON
        if self.key is not None:
            request.add_header("X-API-Key", self.key)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
