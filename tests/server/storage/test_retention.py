"""Images go by age and by size; verdicts stay."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from fastapi.testclient import TestClient

from differnet.server.storage.database import images, now
from differnet.server.storage.retention import Retention
from tests.server.conftest import MakeClient, photo, station_of

INSPECT = "/v1/models/plates/inspect"


def inspect(client: TestClient, seed: int) -> dict[str, str]:
    answer = client.post(INSPECT, content=photo(seed), headers={"Content-Type": "image/png"})
    found: dict[str, str] = answer.json()["inspections"][0]
    return found


def retention(client: TestClient, **limits: float | None) -> Retention:
    station = station_of(client)
    return Retention(station.database, station.files, station.metrics, **limits)  # type: ignore[arg-type]


def is_there(client: TestClient, inspection: dict[str, str]) -> bool:
    found = client.get(f"/v1/inspections/{inspection['id']}").json()
    status = client.get(f"/v1/inspections/{inspection['id']}/image").status_code
    assert (found["image_url"] is None) == (status == 410)
    assert found["score"] == inspection["score"]
    return status == 200


def make_older(client: TestClient, days: float) -> None:
    with station_of(client).database.writing() as connection:
        connection.execute(sa.update(images).values(last_used=now() - timedelta(days=days)))


def test_old_images_go_with_all_that_was_derived(client: TestClient, tmp_path: Path) -> None:
    old = inspect(client, 1)
    assert client.get(old["thumbnail_url"]).status_code == 200
    assert client.get(old["explanation_url"]).status_code == 200
    make_older(client, 3)
    new = inspect(client, 2)
    assert retention(client, days=2).sweep() == 1
    assert not is_there(client, old)
    assert is_there(client, new)
    files = [path for path in (tmp_path / "data").rglob("*") if path.is_file() and "differnet.db" not in path.name]
    assert len(files) == 1
    for address in ("image", "thumbnail", "heatmap.png", "explanation"):
        gone = client.get(f"/v1/inspections/{old['id']}/{address}")
        assert gone.status_code == 410
        assert "removed" in gone.json()["detail"]


def test_an_image_that_comes_again_is_there_again(client: TestClient) -> None:
    first = inspect(client, 1)
    make_older(client, 3)
    retention(client, days=2).sweep()
    assert not is_there(client, first)
    second = inspect(client, 1)
    assert is_there(client, first)
    assert is_there(client, second)


def test_beyond_a_size_the_oldest_go_first_and_reviewed_ones_last(client: TestClient) -> None:
    reviewed = inspect(client, 0)
    client.post(f"/v1/inspections/{reviewed['id']}/review", json={"review": "good"})
    others = [inspect(client, seed) for seed in range(1, 5)]
    size = sum(len(photo(seed)) for seed in range(5))
    assert retention(client, most_bytes=size).sweep() == 0
    assert retention(client, most_bytes=size - 1).sweep() == 1
    assert [is_there(client, one) for one in others] == [False, True, True, True]
    # What is derived counts too.
    client.get(others[1]["thumbnail_url"])
    assert retention(client, most_bytes=size - len(photo(1))).sweep() == 1
    assert [is_there(client, one) for one in others] == [False, False, True, True]
    assert retention(client, most_bytes=len(photo(0))).sweep() == 2
    assert is_there(client, reviewed)
    assert retention(client, most_bytes=10).sweep() == 1
    assert not is_there(client, reviewed)


def test_an_image_in_flight_is_not_removed(client: TestClient) -> None:
    station = station_of(client)
    found = inspect(client, 1)
    sha256 = station.records.get(found["id"])["sha256"]
    with station.files.pinned([sha256]):
        assert not station.files.remove(sha256)
    assert station.files.remove(sha256)


def test_files_that_a_killed_process_left_go(client: TestClient, tmp_path: Path) -> None:
    kept = inspect(client, 1)
    station = station_of(client)
    station.files.store({"ab" * 32: b"never recorded"})
    part = station.files.image("cd" * 32).with_suffix(".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    sweeper = retention(client)
    assert sweeper.sweep_strays() == 0  # they may still be in flight
    old = time.time() - 7200
    for path in (tmp_path / "data" / "images").rglob("*"):
        if path.is_file():
            os.utime(path, (old, old))
    assert sweeper.sweep_strays() == 2
    assert is_there(client, kept)
    assert not part.exists()


def test_the_service_sweeps_by_itself(make_client: MakeClient) -> None:
    client = make_client(keep_bytes=10)
    found = inspect(client, 1)
    station_of(client).retention.sweep()
    assert not is_there(client, found)
    assert "differnet_removed_images_total 1.0" in client.get("/metrics").text
