"""When a frame of a camera is taken: always, every so many seconds, or when somebody asks."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from differnet.cameras import Frame
from differnet.errors import OutputError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Asked", "EverySeconds", "HttpTrigger", "KeyTrigger", "Trigger", "make_trigger"]

_MOST_WAITING = 64
"""Triggers that wait for a frame; a camera that gives none must not be owed thousands."""


class Trigger:
    """Takes every frame. Used as a context manager, around what it asks for."""

    def wants(self, frame: Frame) -> bool:
        """Whether a frame is to be inspected; asked once of each, in order."""
        del frame
        return True

    def open(self) -> None:
        """Begin to listen.

        Raises:
            OutputError: If that cannot be.
        """

    def close(self) -> None:
        """End."""

    def __enter__(self) -> Trigger:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EverySeconds(Trigger):
    """Takes a frame at once, and one every so many seconds from then on, by the clock of the frames.

    Args:
        seconds: Between two frames; one that comes late does not put off those after it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next: float | None = None

    def wants(self, frame: Frame) -> bool:
        """Whether it is time."""
        if self._next is not None and frame.seconds < self._next:
            return False
        due = frame.seconds if self._next is None else self._next
        behind = int((frame.seconds - due) / self._seconds)
        self._next = due + (behind + 1) * self._seconds
        return True


class Asked(Trigger):
    """Takes one frame for each call of `ask`, the first that came after it."""

    def __init__(self) -> None:
        self._asked: deque[float] = deque()
        self._lock = threading.Lock()

    def ask(self) -> bool:
        """Ask for a frame; may be called by any thread.

        Returns:
            False if too many wait already.
        """
        with self._lock:
            if len(self._asked) >= _MOST_WAITING:
                return False
            self._asked.append(time.monotonic())
            return True

    def wants(self, frame: Frame) -> bool:
        """Whether it was asked for."""
        with self._lock:
            if not self._asked or self._asked[0] > frame.seconds:
                return False
            self._asked.popleft()
            return True


class KeyTrigger(Asked):
    """Takes a frame for each line on stdin: for each Enter at a keyboard, or from another program."""

    def open(self) -> None:
        """Begin to read."""
        threading.Thread(target=self._read, name="differnet-key", daemon=True).start()

    def _read(self) -> None:
        for _ in sys.stdin:
            self.ask()


class HttpTrigger(Asked):
    """Takes a frame for each POST; answers 202, or 503 if too many wait.

    Args:
        host: Address to listen on.
        port: Port, 0 for a free one.

    Attributes:
        port: The port that is listened on, once open.
    """

    def __init__(self, host: str, port: int) -> None:
        super().__init__()
        self._host = host
        self.port = port
        self._server: ThreadingHTTPServer | None = None

    def open(self) -> None:
        """Listen."""
        ask = self.ask

        class Handler(BaseHTTPRequestHandler):
            timeout = 5.0

            def do_POST(self) -> None:
                if self.headers.get("Origin") is not None:  # a web page in somebody's browser
                    self.send_error(403)
                    return
                self.send_response(202 if ask() else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:  # noqa: ANN401
                pass

        try:
            self._server = ThreadingHTTPServer((self._host, self.port), Handler)
        except OSError as error:
            raise OutputError(
                f"The trigger cannot listen on {self._host}:{self.port} ({error.strerror}); choose another address."
            ) from None
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="differnet-trigger", daemon=True).start()

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def make_trigger(
    every: float | None,
    asked_by: str | None,
    password: str | None = None,
    warn: Callable[[str], None] = lambda message: None,
) -> Trigger:
    """Make the trigger that was chosen.

    Args:
        every: Seconds between two frames; None for no such trigger.
        asked_by: ``key``, ``http://ADDRESS:PORT/`` to listen on, or ``mqtt://BROKER/TOPIC``; None for nobody.
        password: For the broker.
        warn: Hears of a broker that is not there.

    Raises:
        SettingsError: If it is none.
        MissingExtraError: If MQTT is not installed.
    """
    if every is not None:
        return EverySeconds(every)
    if asked_by is None:
        return Trigger()
    if asked_by == "key":
        return KeyTrigger()
    if asked_by.startswith(("mqtt://", "mqtts://")):
        from differnet.watching.mqtt_trigger import MqttTrigger  # noqa: PLC0415 - which builds on this

        return MqttTrigger(asked_by, password, warn)
    try:
        parts = urlsplit(asked_by)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme != "http" or not host or port is None:
        raise SettingsError(
            "The trigger is none; give key, an address to listen on such as http://127.0.0.1:8090/, or a topic such as "
            "mqtt://broker/line1/trigger."
        )
    return HttpTrigger(host, port)
