"""A product with good pictures, and trainings that take seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from fastapi.testclient import TestClient

from tests.server.conftest import photo

QUICK = {
    "views.size": 96,
    "training.epochs": 2,
    "localization.cells": 100,
    "flow.hidden": 16,
}
CHOICES = {"false_reject_rate": 0.1, "preset": "fast", "views": "none", "region": None}


def make_product(client: TestClient, name: str = "plates", seeds: Sequence[int] = range(12)) -> str:
    """A product with good pictures; gives its address."""
    made = client.post("/v1/products", json={"name": name})
    assert made.status_code == 200, made.text
    address = f"/v1/products/{made.json()['id']}"
    assert client.post(f"{address}/choices", json=CHOICES).status_code == 200
    if seeds:
        add(client, address, {f"good {seed}.png": photo(seed) for seed in seeds})
    return address


def add(client: TestClient, address: str, pictures: dict[str, bytes]) -> list[dict[str, Any]]:
    """Add pictures by their names."""
    files = [("images", (name, content, "image/png")) for name, content in pictures.items()]
    answer = client.post(f"{address}/pictures", files=files)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["pictures"]
    return found


def ended(client: TestClient, job: dict[str, Any], seconds: float = 240.0) -> dict[str, Any]:
    """A job once it is over."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job['id']}").json()
        if found["state"] not in ("queued", "running"):
            return found
        time.sleep(0.05)
    raise AssertionError(found)
