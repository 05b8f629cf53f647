"""A broker that is away: ``python -m benchmarks.broker MODEL IMAGES [--seconds 120] [--away 60] [--a-second 5]``.

``differnet serve --to mqtt://`` inspects images at a steady pace, while its broker (mosquitto) is killed, is away for
so long, and comes back. A subscriber must have every verdict at the end, none out of order. Exit code 1 if not.
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

from tests.sinks.broker import Broker, Subscriber, broker

from benchmarks.service import quantile, service
from differnet.images import collect_images

_PATIENCE = 120.0


def main() -> None:
    """Measure, and tell."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.broker", description=__doc__)
    parser.add_argument("model", type=Path, help="model file")
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("--seconds", type=float, default=120.0, help="of inspections")
    parser.add_argument("--away", type=float, default=60.0, help="seconds for which the broker is away")
    parser.add_argument("--a-second", type=float, default=5.0, help="inspections")
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    arguments = parser.parse_args()
    found = measure(arguments)
    if arguments.json:
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{name.replace('_', ' ')}: {value}\n" for name, value in found.items()))
    sys.exit(0 if found["met"] else 1)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Inspect, with the broker away in the middle."""
    images = [path.read_bytes() for path in collect_images([arguments.images]).paths]
    with tempfile.TemporaryDirectory(prefix="differnet-broker-") as name:
        folder = Path(name)
        with (
            broker(folder) as running,
            Subscriber(running) as subscriber,
            service(arguments.model, folder / "service", "--to", f"mqtt://127.0.0.1:{running.port}/line1") as port,
        ):
            interruption = threading.Thread(target=_interrupt, args=(running, arguments), daemon=True)
            interruption.start()
            identities, latencies = _inspect(port, arguments, images)
            interruption.join()
            waited = _wait_for_all(subscriber, len(identities))
            told = [(body["sequence"], body["id"]) for body in subscriber.bodies()]
    sequences = [sequence for sequence, _ in told]
    missing = set(identities) - {identity for _, identity in told}
    return {
        "inspections": len(identities),
        "a_second": round(len(identities) / arguments.seconds, 2),
        "p99_milliseconds": round(1000 * quantile(latencies, 0.99), 1),
        "broker_away_seconds": arguments.away,
        "verdicts_that_arrived": len(set(told)),
        "twice": len(told) - len(set(told)),
        "lost": len(missing),
        "in_order": sequences == sorted(sequences),
        "all_there_seconds_after_the_last": round(waited, 1),
        "met": not missing and sequences == sorted(sequences) and len(set(told)) == len(identities),
    }


def _interrupt(running: Broker, arguments: argparse.Namespace) -> None:
    time.sleep((arguments.seconds - arguments.away) / 2)
    running.kill()
    time.sleep(arguments.away)
    running.start()


def _inspect(port: int, arguments: argparse.Namespace, images: list[bytes]) -> tuple[list[str], list[float]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    begun, identities, latencies = time.monotonic(), [], []
    for number in range(round(arguments.seconds * arguments.a_second)):
        due = begun + number / arguments.a_second
        time.sleep(max(0.0, due - time.monotonic()))
        body = images[number % len(images)] + uuid.uuid4().bytes
        sent = time.monotonic()
        address = f"/v1/models/{arguments.model.stem}/inspect"
        connection.request("POST", address, body, {"Content-Type": "application/octet-stream"})
        answer = json.loads(connection.getresponse().read())
        latencies.append(time.monotonic() - sent)
        identities.append(str(answer["inspections"][0]["id"]))
    return identities, latencies


def _wait_for_all(subscriber: Subscriber, number: int) -> float:
    begun = time.monotonic()
    while time.monotonic() < begun + _PATIENCE and len({body["id"] for body in subscriber.bodies()}) < number:
        time.sleep(0.1)
    return time.monotonic() - begun


if __name__ == "__main__":
    main()
