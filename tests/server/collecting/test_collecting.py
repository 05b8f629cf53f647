"""Good pictures from cameras and folders of the service's computer: those that were allowed, and no others."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from differnet.errors import SettingsError
from differnet.images import load_image
from differnet.server.collecting.sources import Sources
from tests.cameras.recordings import NetworkCamera, grey, make_video
from tests.server.conftest import MakeClient, held, photo, station_of
from tests.server.products.conftest import make_product


def until(client: TestClient, address: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The collection of a product once it is as wanted."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found: dict[str, Any] = client.get(address).json()["collection"]
        if wanted(found):
            return found
        time.sleep(0.02)
    raise AssertionError(found)


def over(found: dict[str, Any]) -> bool:
    return str(found["state"]) != "running"


def old(file: Path, content: bytes) -> None:
    """A file that was written a while ago."""
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (time.time() - 60,) * 2)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return make_video(tmp_path / "line.mkv", [grey(10 * number) for number in range(1, 21)], rate=10.0)


def test_a_recording_is_seen_and_taken_from(make_client: MakeClient, recording: Path) -> None:
    client = make_client(sources=Sources.named([f"line 1={recording}"]))
    address = make_product(client, seeds=())
    assert client.get("/v1/sources").json() == {"cameras": ["line 1"], "folders": []}
    seen = client.get("/v1/cameras/line 1/frame.jpg")
    assert (seen.headers["Content-Type"], seen.headers["Cache-Control"]) == ("image/jpeg", "no-store")
    assert load_image(seen.content).shape == (32, 32, 3)

    [taken] = client.post(f"{address}/take", json={"camera": "line 1"}).json()["pictures"]
    assert (taken["error"], taken["known"]) == (None, False)
    [picture] = client.get(f"{address}/pictures").json()["pictures"]
    pixels = load_image(client.get(picture["image_url"]).content)
    assert pixels.min() == pixels.max()
    assert pixels[0, 0, 0] % 10 == 0  # without loss

    begun = client.post(f"{address}/collection", json={"camera": "line 1", "every": 0.5, "until": 50})
    assert begun.json()["state"] == "running"
    found = until(client, address, over)
    assert (found["state"], found["added"] + found["known"]) == ("done", 4)  # of two seconds, then it has ended
    said = [
        (entry["action"], entry["about"].get("pictures"))
        for entry in client.get(f"{address}/history").json()["history"]
    ]
    assert said[:3] == [("collected", found["added"]), ("collect", None), ("add pictures", 1)]


def test_a_camera_is_taken_from_until_there_are_enough(make_client: MakeClient) -> None:
    network = NetworkCamera()
    client = make_client(sources=Sources.named([f"front={network.url}"]))
    address = make_product(client, seeds=())
    away = client.post(f"{address}/take", json={"camera": "front"})
    assert (away.status_code, away.headers["Retry-After"]) == (503, "1")
    assert "The camera 'front' gives no picture: is not there" in away.json()["detail"]
    assert "secret" not in away.text
    network.plug()
    client.post(f"{address}/collection", json={"camera": "front", "every": 0.1, "until": 3})
    assert client.post(f"{address}/collection", json={"camera": "front", "every": 1, "until": 3}).status_code == 409
    assert client.delete(address).status_code == 409
    found = until(client, address, over)
    assert (found["state"], found["added"]) == ("done", 3)
    client.post(f"{address}/collection", json={"camera": "front", "every": 0.1, "until": 5000})
    until(client, address, lambda found: found["added"] >= 1)
    assert client.delete(f"{address}/collection").json()["state"] == "stopped"
    assert client.delete(f"{address}/collection").status_code == 409
    network.unplug()


def test_a_folder_is_taken_from_and_watched(make_client: MakeClient, tmp_path: Path) -> None:
    folder = tmp_path / "good"
    for seed in range(3):
        old(folder / f"{seed}.png", photo(seed))
    old(folder / "broken.png", b"no picture")
    old(tmp_path / "secret.png", photo(9))
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    client = make_client(sources=Sources.named([], [f"good parts={folder}"]))
    address = make_product(client, seeds=(0,))
    client.post(f"{address}/collection", json={"folder": "good parts"})
    found = until(client, address, over)
    assert [found[name] for name in ("state", "added", "known", "refused")] == ["done", 2, 1, 1]
    assert found["said"] == "broken.png: The file is not a PNG, JPEG, BMP, TIFF or WebP image; convert it."
    client.post(f"{address}/collection", json={"folder": "good parts", "until": 1})
    old(folder / "new.png", photo(4))
    assert until(client, address, over)["added"] == 1
    assert len(client.get(f"{address}/pictures").json()["pictures"]) == 4


def test_it_goes_on_after_a_restart(make_client: MakeClient, tmp_path: Path) -> None:
    folder = tmp_path / "good"
    folder.mkdir()
    sources = Sources.named([], [f"good={folder}"])
    client = make_client(sources=sources)
    address = make_product(client, seeds=())
    client.post(f"{address}/collection", json={"folder": "good", "until": 1})
    station_of(client).workshop.collecting.stop()
    kept = station_of(client).workshop.pictures.folder(address.rpartition("/")[2]) / "collection.json"
    assert json.loads(kept.read_text())["state"] == "running"
    old(folder / "a.png", photo(1))
    again = make_client(sources=sources)
    assert until(again, address, over)["added"] == 1
    assert not kept.exists()


NOT_ALLOWED: list[dict[str, Any]] = [
    {"folder": "../../etc"},
    {"folder": "/etc"},
    {"camera": "http://127.0.0.1/", "every": 1, "until": 1},
    {"camera": "0", "every": 1, "until": 1},
]
NO_SENSE: list[dict[str, Any]] = [
    {},
    {"camera": "a", "folder": "b"},
    {"camera": "a", "every": 1},
    {"camera": "a", "every": 0, "until": 5},
    {"folder": "b", "every": 1},
]


def test_the_next_frame_is_inspected(make_client: MakeClient, recording: Path) -> None:
    client = make_client(sources=Sources.named([f"line 1={recording}"]))
    key = {"X-API-Key": station_of(client).keyring.create("line", "inspect")[1]}
    assert client.get("/v1/sources", headers=key).json()["cameras"] == ["line 1"]
    for number in range(2):
        answer = client.post("/v1/models/plates/inspect-camera", json={"camera": "line 1"}, headers=key)
        [inspection] = answer.json()["inspections"]
        assert inspection["filename"].startswith("line 1 0000")
        seen = client.get("/v1/inspections", headers=key).json()["inspections"]
        assert (seen[0]["id"], len(seen)) == (inspection["id"], number + 1)
    for name, camera in (("plates", "nowhere"), ("nothing", "line 1")):
        asked = client.post(f"/v1/models/{name}/inspect-camera", json={"camera": camera}, headers=key)
        assert asked.status_code == 404


def test_few_frames_of_a_camera_are_inspected_at_once(make_client: MakeClient, recording: Path) -> None:
    client = make_client(sources=Sources.named([f"line 1={recording}"]))
    asking = partial(client.post, "/v1/models/plates/inspect-camera", json={"camera": "line 1"})
    with ThreadPoolExecutor(8) as threads:
        with held(station_of(client)):
            waiting = [threads.submit(asking) for _ in range(8)]
            refused = [each.result() for each in wait(waiting, 30, FIRST_COMPLETED).done]
            assert {(each.status_code, each.headers["Retry-After"]) for each in refused} == {(503, "1")}
        found = Counter(each.result().status_code for each in waiting)
    assert found == {200: 4, 503: 4}


def test_what_was_not_allowed_is_not_there_and_taking_needs_an_administrator(client: TestClient) -> None:
    address = make_product(client, seeds=())
    assert client.get("/v1/sources").json() == {"cameras": [], "folders": []}
    assert client.get("/v1/cameras/0/frame.jpg").status_code == 404
    for bodies, status in ((NOT_ALLOWED, 404), (NO_SENSE, 422)):
        assert {client.post(f"{address}/collection", json=body).status_code for body in bodies} == {status}
    key = {"X-API-Key": station_of(client).keyring.create("reviewer", "review")[1]}
    for method, path in (
        ("POST", f"{address}/take"),
        ("POST", f"{address}/collection"),
        ("DELETE", f"{address}/collection"),
    ):
        assert client.request(method, path, headers=key).status_code == 403, path


@pytest.mark.parametrize(
    ("cameras", "folders", "told"),
    [
        (["0"], [], "--camera takes a name"),
        (["=0"], [], "--camera takes a name"),
        (["a/b=0"], [], "no name"),
        (["a=0", "a=1"], [], "given twice"),
        (["a=nowhere.avi"], [], "is no camera"),
        ([], ["good=/nowhere/at/all"], "no such folder"),
    ],
)
def test_options_that_name_none(cameras: list[str], folders: list[str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        Sources.named(cameras, folders)
