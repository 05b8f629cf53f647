"""What the service takes of memory at most: ``python -m benchmarks.service_memory MODEL``.

Several clients at once send images of 50 megapixels and ask for their pictures; others, without a key, send bodies and
headers without end. Exit code 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from benchmarks.service import service

SIDE = 7071
MOST_MEGABYTES, MOST_BESIDE_REST = 1500.0, 100.0
_SENT, _AGAIN = 200 << 20, 60
_HEAD = b"%s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


def main() -> None:
    """Measure it all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service_memory", description=__doc__)
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("--clients", type=int, default=8)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="differnet-memory-") as name:
        secret = _key(Path(name) / "data")
        # Memory is measured, not the machine's speed: however slow it is, images are answered.
        with service(arguments.model, Path(name), "--time-limit", "600") as port:
            met = _measure(port, arguments.model.stem, secret, arguments.clients)
    sys.exit(0 if met else 1)


def _key(data: Path) -> str:
    from differnet.server.storage.database import Database  # noqa: PLC0415
    from differnet.server.storage.keyring import KeyRing  # noqa: PLC0415

    database = Database.in_folder(data)
    secret = KeyRing(database).create("memory", "admin")[1]
    database.close()
    return secret


def _measure(port: int, name: str, secret: str, clients: int) -> bool:
    inspect, met = f"/v1/models/{name}/inspect", True

    def ask(method: str, path: str, body: bytes | None = None) -> tuple[str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=900)
        connection.request(method, path, body, {"X-API-Key": secret, "Content-Type": "application/octet-stream"})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return str(answer.status), content

    rest = _megabytes()
    for what, send in (("bodies", _send_body), ("headers", _send_headers)):
        with _peak() as peak:
            told = _at_once(clients, lambda send=send: send(port, inspect))  # type: ignore[misc]
        fits = peak[0] - rest <= MOST_BESIDE_REST
        met &= fits
        _tell(f"without a key, {what} of {_SENT >> 20} MiB", told, f"{peak[0] - rest:.0f} MB beside {rest:.0f}", fits)
    for kind in ("PNG", "TIFF"):
        buffer = io.BytesIO()
        packed = {"compression": "tiff_adobe_deflate"} if kind == "TIFF" else {}  # as large as it is, it is refused
        Image.linear_gradient("L").resize((SIDE, SIDE)).convert("RGB").save(buffer, kind, **packed)
        content = buffer.getvalue()
        identity = json.loads(ask("POST", inspect, content)[1])["inspections"][0]["id"]
        base = f"/v1/inspections/{identity}"
        asked: list[tuple[str, str, bytes | None]] = [("POST", inspect, content)]
        asked += [
            ("GET", base + end, None) for end in ("/explanation", "/heatmap.png", "/thumbnail", "/image?display=true")
        ]
        for method, path, body in asked:
            with _peak() as peak:
                told = _at_once(clients, lambda each=(method, path, body): ask(*each)[0])  # type: ignore[misc]
                for _ in range(_AGAIN):  # who is told to come again comes again, so that the work is done
                    if "200" in told:
                        break
                    time.sleep(5.0)
                    told[ask(method, path, body)[0]] += 1
            fits = peak[0] <= MOST_MEGABYTES and set(told) <= {"200", "503"}
            met &= fits
            _tell(f"{kind} {path.rsplit('/', 1)[-1]}", told, f"{peak[0]:.0f} MB", fits)
    return met


def _at_once(clients: int, work: Callable[[], str]) -> Counter[str]:
    with ThreadPoolExecutor(clients) as pool:
        return Counter(pool.map(lambda _: work(), range(clients)))


def _send_body(port: int, path: str) -> str:
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    head = _HEAD % b"POST %s" % path.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
    return _send(port, head, chunk)


def _send_headers(port: int, path: str) -> str:
    return _send(port, _HEAD % b"GET %s" % path.encode(), b"X-A: %s\r\n" % bytes([97] * 1000) * 1000)


def _send(port: int, head: bytes, more: bytes) -> str:
    """Send as long as somebody reads; the status of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            connection.sendall(head)
            for _ in range(_SENT // len(more)):
                connection.sendall(more)
        except OSError:  # it was closed
            pass
        try:
            return connection.recv(4096).partition(b" ")[2][:3].decode() or "closed"
        except OSError:
            return "closed"


def _megabytes() -> float:
    import psutil  # noqa: PLC0415 - of the tools for development

    return max(child.memory_info().rss for child in psutil.Process().children()) / 1e6


@contextmanager
def _peak() -> Iterator[list[float]]:
    """The most that the service has in memory inside the block."""
    found, over = [_megabytes()], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            found[0] = max(found[0], _megabytes())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        time.sleep(0.1)
        over.set()
        thread.join()


def _tell(what: str, told: Counter[str], memory: str, fits: bool) -> None:
    line = f"{'met   ' if fits else 'MISSED'} {what}: {memory}; answers {dict(told)}\n"
    sys.stdout.write(line)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
