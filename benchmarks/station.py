"""Inspections beside a training: ``python -m benchmarks.station MODEL GOOD [--seconds 60] [--pause 0.1] [--json]``.

A real ``differnet serve`` inspects images one after the other, as a line's camera sends them: first while nothing else
goes on, then while the page's training of the same good images runs. Compared are the 99th percentiles of the time from
a request to its verdict. Images get a few bytes behind their end, so that none is stored twice.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks.service import quantile, service
from differnet.images import collect_images

MOST_TIMES = 2.0
"""The bar: p99 beside a training against the quiet one."""

_JSON = {"Content-Type": "application/json"}
_MOST_PICTURES = 1000
_WARM_UP = 5.0
_BEGIN_SECONDS = 120.0


def main() -> None:
    """Measure and compare; exit code 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.station", description=__doc__)
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("images", type=Path, help="folder of good images, which are inspected and learnt from")
    parser.add_argument("--seconds", type=float, default=60.0, help="of inspections, quiet and beside each")
    parser.add_argument("--clients", type=int, default=1, help="that send images side by side")
    parser.add_argument("--pause", type=float, default=0.1, help="seconds from a verdict to the next image of a client")
    parser.add_argument("--preset", choices=("fast", "default"), default="default", help="of the training")
    parser.add_argument("--rate", type=float, default=0.05, help="false-reject rate of the training")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    arguments = parser.parse_args()
    found = measure(arguments)
    sys.stdout.write(json.dumps(found, indent=2) + "\n" if arguments.json else _text(found))
    sys.exit(0 if found["met"] else 1)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Inspect, quietly and beside a training."""
    images = [path.read_bytes() for path in collect_images([arguments.images]).paths]
    with (
        tempfile.TemporaryDirectory(prefix="differnet-station-") as name,
        service(arguments.model, Path(name) / "service") as port,
    ):
        product = _product(port, images, arguments)
        _latencies(port, images, arguments, _WARM_UP)
        quiet, _ = _latencies(port, images, arguments, arguments.seconds)
        job = _asked(port, "POST", f"/v1/products/{product}/train", b"{}", _JSON)["id"]
        before = _wait_until_learning(port, job)
        beside, errors = _latencies(port, images, arguments, arguments.seconds)
        after = _asked(port, "GET", f"/v1/jobs/{job}")
        if after["state"] in ("queued", "running"):
            _asked(port, "DELETE", f"/v1/jobs/{job}")
    p99, beside_p99 = quantile(quiet, 0.99), quantile(beside, 0.99)
    times = beside_p99 / p99
    return {
        "pictures_learnt": min(len(images), _MOST_PICTURES),
        "quiet_inspections": len(quiet),
        "quiet_p50_milliseconds": round(1000 * quantile(quiet, 0.5), 1),
        "quiet_p99_milliseconds": round(1000 * p99, 1),
        "beside_inspections": len(beside),
        "beside_p50_milliseconds": round(1000 * quantile(beside, 0.5), 1),
        "beside_p99_milliseconds": round(1000 * beside_p99, 1),
        "p99_times": round(times, 2),
        "errors": errors,
        "training_at": [before, after["state"] if after["progress"] is None else after["progress"]["share"]],
        "met": errors == 0 and times <= MOST_TIMES,
    }


def _product(port: int, images: list[bytes], arguments: argparse.Namespace) -> str:
    made = _asked(port, "POST", "/v1/products", b'{"name": "beside"}', _JSON)["id"]
    wish = json.dumps({"preset": arguments.preset, "false_reject_rate": arguments.rate}).encode()
    _asked(port, "POST", f"/v1/products/{made}/choices", wish, _JSON)
    for content in images[:_MOST_PICTURES]:
        _asked(port, "POST", f"/v1/products/{made}/pictures", content, {"Content-Type": "application/octet-stream"})
    return str(made)


def _wait_until_learning(port: int, job: str) -> float:
    """Until the training is past its start; gives its share."""
    end = time.monotonic() + _BEGIN_SECONDS
    while time.monotonic() < end:
        found = _asked(port, "GET", f"/v1/jobs/{job}")
        if found["state"] not in ("queued", "running"):
            raise RuntimeError(f"the training ended at once: {found['error']}")
        if found["progress"] is not None and found["progress"]["share"] > 0:
            return float(found["progress"]["share"])
        time.sleep(0.1)
    raise RuntimeError("the training does not begin")


def _latencies(
    port: int, images: list[bytes], arguments: argparse.Namespace, seconds: float
) -> tuple[list[float], int]:
    """Seconds of each inspection, and the number of those that failed."""
    found: list[float] = []
    errors: list[int] = []
    clients, address = arguments.clients, f"/v1/models/{arguments.model.stem}/inspect"
    started = time.perf_counter()

    def post(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        number = client
        while time.perf_counter() - started < seconds:
            body = images[number % len(images)] + uuid.uuid4().bytes
            number += clients
            sent = time.perf_counter()
            connection.request("POST", address, body, {"Content-Type": "application/octet-stream"})
            response = connection.getresponse()
            response.read()
            found.append(time.perf_counter() - sent)
            if response.status != 200:
                errors.append(response.status)
            time.sleep(arguments.pause)

    threads = [threading.Thread(target=post, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found, len(errors)


def _asked(
    port: int, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise RuntimeError(f"{method} {path}: {response.status} {content.decode()}")
    found: dict[str, Any] = json.loads(content)
    return found


def _text(found: dict[str, Any]) -> str:
    lines = [f"{name.replace('_', ' ')}: {value}" for name, value in found.items() if name != "met"]
    lines.append(
        f"{'met   ' if found['met'] else 'MISSED'} p99 beside a training at most {MOST_TIMES:g} x the quiet one"
    )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
