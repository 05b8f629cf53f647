"""What the service bears: ``python -m benchmarks.service MODEL IMAGES [--clients 8] [--seconds 60] [--json]``.

Several clients, in a process of their own, post images to a real ``differnet serve`` on this machine, one at a time
each and over connections that are kept. Every image gets a few bytes behind its end, so that none is stored twice.
Compared with a lone client before, and with ``differnet score`` on the same images: the mean of a run before and one
after, so that a machine that grows slower or faster in between does neither side a favour.
"""

from __future__ import annotations

import argparse
import http.client
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from differnet.images import collect_images

SCORED = 800
# The bars: p99 against that many lone requests one after the other, and images per second against 'score'.
MOST_LATENCY = 1.5
LEAST_THROUGHPUT = 0.9


def main() -> None:
    """Measure and compare; exit code 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.service", description=__doc__)
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--scored", type=int, default=SCORED, help="images that 'score' is timed with")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    parser.add_argument("--client", type=int, help=argparse.SUPPRESS)  # port: this process is the clients
    arguments = parser.parse_args()
    images = [path.read_bytes() for path in collect_images([arguments.images]).paths]
    if arguments.client is not None:
        name = arguments.model.stem
        found = run_clients(arguments.client, name, images, arguments.clients, arguments.seconds)
        sys.stdout.write(json.dumps(found))
        return
    found = measure(arguments)
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if arguments.json else _text(found))
    sys.exit(0 if all(found["bars"].values()) else 1)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run `score`, a lone client and many, one after the other."""
    # One folder for all, removed at the end: for minutes after many files were deleted, ext4 is slow to create others.
    with tempfile.TemporaryDirectory(prefix="differnet-service-") as name:
        folder = Path(name)
        scored = copies(arguments.images, arguments.scored, folder / "images")
        before = score_rate(arguments.model, scored)
        with service(arguments.model, folder / "service") as port:
            _clients(arguments, port, clients=1, seconds=3.0)
            lone = _clients(arguments, port, clients=1, seconds=max(5.0, arguments.seconds / 6))
            many = _clients(arguments, port, clients=arguments.clients, seconds=arguments.seconds)
        after = score_rate(arguments.model, scored)
    rate = (before + after) / 2
    lone_seconds = statistics.median(lone["latencies"])
    p50, p99 = quantile(many["latencies"], 0.5), quantile(many["latencies"], 0.99)
    throughput = len(many["latencies"]) / many["seconds"]
    errors = lone["errors"] + many["errors"]
    return {
        "clients": arguments.clients,
        "requests": len(many["latencies"]),
        "errors": errors,
        "first_error": lone["first_error"] or many["first_error"],
        "lone_milliseconds": round(1000 * lone_seconds, 1),
        "p50_milliseconds": round(1000 * p50, 1),
        "p99_milliseconds": round(1000 * p99, 1),
        "p99_to_lone": round(p99 / (arguments.clients * lone_seconds), 3),
        "slowest_healthz_milliseconds": round(1000 * many["slowest_health"], 1),
        "images_per_second": round(throughput, 2),
        "score_images_per_second": [round(before, 2), round(after, 2)],
        "throughput_to_score": round(throughput / rate, 3),
        "bars": {
            "no error": errors == 0,
            f"p99 at most {MOST_LATENCY} x {arguments.clients} lone requests": p99
            <= MOST_LATENCY * arguments.clients * lone_seconds,
            f"at least {LEAST_THROUGHPUT} of score": throughput >= LEAST_THROUGHPUT * rate,
        },
    }


def copies(images: Path, number: int, folder: Path) -> Path:
    """Fill a folder with so many images; an image that is named twice would be scored once."""
    folder.mkdir()
    paths = collect_images([images]).paths
    for i in range(number):
        path = paths[i % len(paths)]
        shutil.copyfile(path, folder / f"{i:05}{path.suffix}")
    return folder


def score_rate(model: Path, folder: Path) -> float:
    """Images per second of ``differnet score``, from its first line to its last: loading is not counted."""
    command = [sys.executable, "-m", "differnet", "score", str(model), str(folder), "--jsonl", "-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: S603 - this very package
    if process.stdout is None:
        raise RuntimeError("no output to read")
    times = [time.perf_counter() for _ in process.stdout]
    if process.wait() != 0 or len(times) != len(list(folder.iterdir())):
        raise RuntimeError("'differnet score' failed")
    # The first lines come together, as many as go through the network at once.
    first = sum(moment < times[0] + 0.002 for moment in times)
    return (len(times) - first) / (times[-1] - times[0])


@contextmanager
def service(model: Path, folder: Path, *options: str) -> Iterator[int]:
    """A running service with the model alone, whose data go to a new folder; gives its port."""
    models = folder / "models"
    models.mkdir(parents=True)
    (models / model.name).symlink_to(model.resolve())
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "differnet", "serve", str(models), "--port", str(port)]
    command += ["--data", str(folder / "data"), "--log-level", "warning", *options]
    process = subprocess.Popen(command)  # noqa: S603 - this very package
    try:
        _wait_until_ready(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def run_clients(port: int, name: str, images: list[bytes], clients: int, seconds: float) -> dict[str, Any]:
    """Post images until the time is over.

    Returns:
        Seconds of every request and of the slowest look at /healthz, the number of errors and the first of them, and
        the seconds that it all took.
    """
    latencies: list[float] = []
    health: list[float] = []
    errors: list[str] = []
    started = time.perf_counter()

    def post(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        number = client
        while time.perf_counter() - started < seconds:
            body = images[number % len(images)] + uuid.uuid4().bytes
            number += clients
            sent = time.perf_counter()
            connection.request("POST", f"/v1/models/{name}/inspect", body, {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            content = response.read()
            latencies.append(time.perf_counter() - sent)
            if response.status != 200:
                errors.append(content.decode())

    def look() -> None:
        while time.perf_counter() - started < seconds:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
            sent = time.perf_counter()
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            health.append(time.perf_counter() - sent)
            connection.close()
            time.sleep(0.5)

    threads = [threading.Thread(target=post, args=(client,)) for client in range(clients)]
    threads.append(threading.Thread(target=look))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - started
    return {
        "latencies": latencies,
        "slowest_health": max(health, default=0.0),
        "errors": len(errors),
        "first_error": errors[0] if errors else None,
        "seconds": spent,
    }


def _clients(arguments: argparse.Namespace, port: int, *, clients: int, seconds: float) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.service", str(arguments.model), str(arguments.images)]
    command += ["--client", str(port), "--clients", str(clients), "--seconds", str(seconds)]
    done = subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - this very module
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _wait_until_ready(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(1800):
        if process.poll() is not None:
            raise RuntimeError("'differnet serve' ended; see above")
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise RuntimeError("'differnet serve' is not ready after three minutes")


def quantile(values: list[float], share: float) -> float:
    """The value that such a share of all lies below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _text(found: dict[str, Any]) -> str:
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in found.items() if name != "bars"]
    lines += [f"{'met   ' if met else 'MISSED'} {bar}" for bar, met in found["bars"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
