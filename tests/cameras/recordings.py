"""Videos made of images, and a camera on the network that can be unplugged."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray


def make_video(path: Path, frames: Sequence[NDArray[np.uint8]], rate: float = 10.0, codec: str = "FFV1") -> Path:
    """Write RGB frames, by FFV1 without loss of what is grey."""
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), rate, (width, height))
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    writer.release()
    return path


def grey(value: int, size: int = 32) -> NDArray[np.uint8]:
    return np.full((size, size, 3), value, np.uint8)


class NetworkCamera:
    """An MJPEG camera: http://127.0.0.1:PORT/; its frames grow brighter."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.url = f"http://someone:secret@127.0.0.1:{self.port}/stream?token=secret"
        self._value = 0

    def plug(self) -> None:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
                self.end_headers()
                while camera._plugged:
                    camera._value = (camera._value + 2) % 256
                    jpeg = cv2.imencode(".jpg", grey(camera._value))[1].tobytes()
                    head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    self.wfile.write(head.encode() + jpeg + b"\r\n")
                    time.sleep(0.01)
                self.connection.close()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Readers go away."""

        self._plugged = True
        self._server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def unplug(self) -> None:
        self._plugged = False
        self._server.shutdown()
        self._server.server_close()
