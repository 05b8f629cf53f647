"""A real HTTP server that takes verdicts, or does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver(ThreadingHTTPServer):
    """Answers with what `answers` says of a request, and keeps what came."""

    def __init__(self, answers: Callable[[int, dict[str, Any]], int | None], port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.answers = answers
        self.retry_after = "0"
        self.requests: list[tuple[dict[str, str], dict[str, Any], int | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/secret-path?token=secret"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def names(self, status: int | None = 200) -> list[str]:
        return [body["path"] for _, body, answer in self.requests if answer == status]

    def keys(self, name: str) -> set[str]:
        return {headers["idempotency-key"] for headers, body, _ in self.requests if body["path"] == name}

    def handle_error(self, *_: object) -> None:
        """Connections cut on purpose are no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.answers(len(self.server.requests), body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, body, answer))
        if answer is None:  # no answer at all
            self.connection.close()
            return
        self.send_response(answer)
        self.send_header("Location", self.server.url)
        self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def receiver(answers: Callable[[int, dict[str, Any]], int | None], port: int = 0) -> Iterator[Receiver]:
    server = Receiver(answers, port)
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
