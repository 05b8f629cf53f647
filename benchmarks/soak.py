"""A service under all kinds of load for long: ``python -m benchmarks.soak MODEL IMAGES [--minutes 60] [--pace 1]``.

Clients upload good and damaged images, look at pictures, review, calibrate, listen, and go away in the middle. From a
quarter of the time on, memory, descriptors and threads must stay flat, no answer may be a 500, and every inspection
that was answered must be found again at the end.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from differnet.images import collect_images

# What may be added from the second quarter to the last, by the median of each.
MOST_MEGABYTES, MOST_DESCRIPTORS, MOST_THREADS = 100.0, 10, 4
SAMPLE_SECONDS, READY_SECONDS = 5.0, 180.0
# Of the time, at the beginning.
_FULL_LOAD = 0.1
# What differs from request to request in an address.
_ROUTE = re.compile(r"(?<=/models/)[^/]+|(?<=/inspections/)[^/]+")


class Load:
    """Clients of a service, and what it answered.

    Args:
        port: Of the service.
        name: Of the model.
        images: Files to send.

    Attributes:
        pace: How many times as long clients rest between requests as they do at full load.
    """

    def __init__(self, port: int, name: str, images: list[bytes]) -> None:
        self._port, self._name, self._images = port, name, images
        self.pace = 1.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.answers: Counter[str] = Counter()
        self.recorded: list[str] = []
        clients = (self._upload, self._upload, self._look, self._look, self._calibrate, self._listen, self._go_away)
        self._threads = [
            threading.Thread(target=self._run, args=(client, random.Random(seed)), daemon=True)  # noqa: S311
            for seed, client in enumerate(clients)
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, and wait for answers that are under way."""
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, bytes]:
        """Status and body of an answer; 0 if there was none, of which the reason is counted."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
            told = str(status)
        except (OSError, http.client.HTTPException) as error:
            status, content, told = 0, b"", f"no answer, {type(error).__name__}"
        finally:
            connection.close()
        with self._lock:
            self.answers[f"{method} {_ROUTE.sub('*', path.partition('?')[0])} {told}"] += 1
        return status, content

    def _run(self, client: Callable[[random.Random], float], chance: random.Random) -> None:
        while not self._over.wait(client(chance) * self.pace):
            pass

    def _upload(self, chance: random.Random) -> float:
        content = chance.choice(self._images)
        kind = chance.random()
        if kind < 0.3:
            place = chance.randrange(len(content))
            content = content[:place] + chance.randbytes(chance.randrange(200))
        else:
            content += chance.randbytes(8)  # none is stored twice
        status, body = self.ask("POST", f"/v1/models/{self._name}/inspect", content, "application/octet-stream")
        if status == 200:
            with self._lock:
                self.recorded += [each["id"] for each in json.loads(body)["inspections"] if "id" in each]
        return chance.uniform(0.1, 0.6)

    def _look(self, chance: random.Random) -> float:
        for path in ("/v1/inspections?limit=30", f"/v1/models/{self._name}/statistics", "/", "/metrics", "/readyz"):
            self.ask("GET", path)
        with self._lock:
            known = self.recorded[-300:]
        if known:
            base = f"/v1/inspections/{chance.choice(known)}"
            for end in ("/thumbnail", "/image?display=true", "/heatmap.png", "/explanation"):
                self.ask("GET", base + end)
            word = {"review": chance.choice(("good", "good", "defective", "unsure", None)), "note": "n" * 30}
            self.ask("POST", f"{base}/review", json.dumps(word).encode(), "application/json")
        return chance.uniform(0.5, 2.0)

    def _calibrate(self, chance: random.Random) -> float:
        wanted = {"false_reject_rate": 0.1, "dry_run": chance.random() < 0.7, "include_training": chance.random() < 0.5}
        self.ask("POST", f"/v1/models/{self._name}/calibrate", json.dumps(wanted).encode(), "application/json")
        return 20.0

    def _listen(self, chance: random.Random) -> float:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=10) as stream:
            stream.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            until = time.monotonic() + chance.uniform(1, 20)
            while time.monotonic() < until and not self._over.is_set() and stream.recv(65536):
                pass
        return 0.1

    def _go_away(self, chance: random.Random) -> float:
        content = chance.choice(self._images)
        head = f"POST /v1/models/{self._name}/inspect HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Length: {len(content)}\r\n\r\n"
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=5) as connection:
            connection.sendall(head.encode() + content[: chance.randrange(len(content) + 1)])
        return chance.uniform(1, 3)


def main() -> None:
    """Run it; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument(
        "--pace", type=float, default=1.0, help="after a tenth, rest that many times as long between requests"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    arguments = parser.parse_args()
    images = [path.read_bytes() for path in collect_images([arguments.images]).paths]
    found = soak(arguments.model, images, arguments.minutes, arguments.pace)
    text = "".join(f"{name}: {value}\n" for name, value in found.items())
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if arguments.json else text)
    sys.exit(0 if all(found["bars"].values()) else 1)


def soak(model: Path, images: list[bytes], minutes: float, pace: float = 1.0) -> dict[str, Any]:
    """Serve a model under load, and tell what that came to."""
    with tempfile.TemporaryDirectory(prefix="differnet-soak-") as folder:
        models = Path(folder) / "models"
        models.mkdir()
        shutil.copy(model, models)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        command = [sys.executable, "-m", "differnet", "serve", str(models), "--data", f"{folder}/data"]
        command += ["--port", str(port), "--log-level", "warning"]
        with (
            (Path(folder) / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log) as service,  # noqa: S603 - our own command
        ):
            try:
                load = Load(port, model.stem, images)
                since = time.monotonic()
                while load.ask("GET", "/readyz")[0] != 200:
                    if service.poll() is not None or time.monotonic() > since + READY_SECONDS:
                        raise SystemExit(f"The service is not ready:\n{Path(log.name).read_text(encoding='utf-8')}")
                    time.sleep(0.2)
                load.answers.clear()
                load.start()
                # Networks are copied for as many as ask at once, and kept: with long rests that would take hours.
                samples = _watch(service.pid, minutes * 60 * _FULL_LOAD)
                load.pace = pace
                samples += _watch(service.pid, minutes * 60 * (1 - _FULL_LOAD))
                load.stop()
                lost = [each for each in load.recorded if load.ask("GET", f"/v1/inspections/{each}")[0] != 200]
            finally:
                service.terminate()
        return _judge(samples, load, len(lost), service.returncode)


def _watch(pid: int, seconds: float) -> list[tuple[float, int, int]]:
    """Megabytes, descriptors and threads of a process, every few seconds."""
    import psutil  # noqa: PLC0415 - of the tools for development

    process, until = psutil.Process(pid), time.monotonic() + seconds
    samples = []
    while time.monotonic() < until:
        time.sleep(min(SAMPLE_SECONDS, seconds / 20))
        samples.append((process.memory_info().rss / 1e6, process.num_fds(), process.num_threads()))
    return samples


def _judge(samples: list[tuple[float, int, int]], load: Load, lost: int, code: int) -> dict[str, Any]:
    quarter = len(samples) // 4
    early, late = ([*zip(*part, strict=True)] for part in (samples[quarter : 2 * quarter], samples[-quarter:]))
    begin, end = ([statistics.median(values) for values in part] for part in (early, late))
    grown = [after - before for before, after in zip(begin, end, strict=True)]
    failed = sum(number for answer, number in load.answers.items() if " no answer" in answer or answer.endswith(" 500"))
    return {
        "answers": dict(sorted(load.answers.items())),
        "inspections": len(load.recorded),
        "lost": lost,
        "second quarter": {"MB": round(begin[0]), "descriptors": begin[1], "threads": begin[2]},
        "last quarter": {"MB": round(end[0]), "descriptors": end[1], "threads": end[2]},
        "peak MB": round(max(megabytes for megabytes, _, _ in samples)),
        "exit code": code,
        "bars": {
            "memory is flat": grown[0] <= MOST_MEGABYTES,
            "descriptors are flat": grown[1] <= MOST_DESCRIPTORS,
            "threads are flat": grown[2] <= MOST_THREADS,
            "no failure": failed == 0,
            "nothing lost": lost == 0,
            "ended as told": code == 0,
        },
    }


if __name__ == "__main__":
    main()
