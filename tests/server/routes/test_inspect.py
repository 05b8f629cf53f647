"""Images go in, recorded verdicts come out, the same as by hand."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from differnet import DifferNet
from differnet.images import load_image
from differnet.server.limits import Limits
from tests.server.conftest import MakeClient, held, photo, station_of

INSPECT = "/v1/models/plates/inspect"


def test_several_images_are_answered_in_order_as_the_model_itself_does(client: TestClient, fitted: DifferNet) -> None:
    photos = [photo(1), photo(2, "blot"), photo(3, kind="BMP"), photo(4, "scratch"), photo(5, kind="JPEG")]
    files = [("images", (f"part{i}", content)) for i, content in enumerate(photos)]
    answer = client.post(INSPECT, files=files)
    assert answer.status_code == 200
    found = answer.json()["inspections"]
    assert [entry["filename"] for entry in found] == [f"part{i}" for i in range(5)]
    for entry, content in zip(found, photos, strict=True):
        verdict = fitted.inspect(load_image(content))
        assert entry["score"] == pytest.approx(verdict.score, rel=1e-4)
        assert entry["decision"] == verdict.decision
        assert entry["model_id"] == verdict.model_id
        assert (entry["width"], entry["height"], entry["views"]) == (96, 96, verdict.views)
        assert entry["margin"] == pytest.approx(entry["score"] - entry["threshold"])
        assert client.get(entry["image_url"]).content == content
        assert client.get(f"/v1/inspections/{entry['id']}").json() == entry


def test_a_raw_body_is_one_image(client: TestClient) -> None:
    for kind in ("image/png", "application/octet-stream"):
        answer = client.post(f"{INSPECT}?filename=a.png", content=photo(), headers={"Content-Type": kind})
        assert answer.status_code == 200
        assert [entry["filename"] for entry in answer.json()["inspections"]] == ["a.png"]
    unnamed = client.post(INSPECT, content=photo(), headers={"Content-Type": "image/png"}).json()["inspections"][0]
    assert unnamed["filename"] is None
    assert unnamed["path"] == unnamed["id"]


def test_an_unusable_image_does_not_hide_the_others(client: TestClient) -> None:
    files = [("images", ("bad.png", photo()[:200])), ("image", ("good.png", photo(1))), ("images", ("no.txt", b"text"))]
    answer = client.post(INSPECT, files=files)
    assert answer.status_code == 200
    bad, good, text = answer.json()["inspections"]
    assert bad["filename"] == "bad.png"
    assert "damaged or truncated" in bad["error"]
    assert good["decision"] is not None
    assert "not a PNG" in text["error"]
    assert client.get("/v1/inspections").json()["total"] == 1


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\parts\\a.png", "a.png"),
        ("a\x00b\n.png", "ab.png"),
        ("x" * 400 + ".png", "x" * 251 + ".png"),
        ("..", None),
        ("Stück 1.png", "Stück 1.png"),
    ],
)
def test_names_are_for_reading_only(client: TestClient, tmp_path: Path, given: str, shown: str | None) -> None:
    answer = client.post(INSPECT, content=photo(), headers={"Content-Type": "image/png"}, params={"filename": given})
    assert answer.json()["inspections"][0]["filename"] == shown
    stored = [path for path in (tmp_path / "data" / "images").rglob("*") if path.is_file()]
    assert [len(path.name) for path in stored] == [64]


def test_the_same_image_is_kept_once_and_recorded_every_time(client: TestClient, tmp_path: Path) -> None:
    ids = {
        client.post(INSPECT, content=photo(), headers={"Content-Type": "image/png"}).json()["inspections"][0]["id"]
        for _ in range(3)
    }
    assert len(ids) == 3
    assert client.get("/v1/inspections").json()["total"] == 3
    assert sum(path.is_file() for path in (tmp_path / "data" / "images").rglob("*")) == 1


def test_an_unknown_model_is_named(client: TestClient) -> None:
    answer = client.post("/v1/models/plate/inspect", content=photo())
    assert answer.status_code == 404
    assert "'plate'" in answer.json()["detail"]


def test_what_is_ready_is_judged_in_few_goes(client: TestClient) -> None:
    station = station_of(client)
    with ThreadPoolExecutor(6) as pool:
        with held(station):
            posts = [
                pool.submit(client.post, INSPECT, content=photo(i), headers={"Content-Type": "image/png"})
                for i in range(6)
            ]
            while station.batcher.waiting < 6:
                time.sleep(0.01)
        assert all(post.result().status_code == 200 for post in posts)
    metrics = client.get("/metrics").text
    assert "differnet_batch_images_sum 6.0" in metrics
    goes = next(line for line in metrics.splitlines() if line.startswith("differnet_batch_images_count"))
    assert float(goes.split()[1]) <= 3  # 4 and 2, if no worker is slow


def test_a_full_queue_refuses_and_tells_when_to_come_again(make_client: MakeClient) -> None:
    client = make_client(limits=Limits(waiting=2, seconds=120.0))
    station = station_of(client)
    headers = {"Content-Type": "image/png"}
    with ThreadPoolExecutor(2) as pool:
        with held(station):
            posts = [pool.submit(client.post, INSPECT, content=photo(i), headers=headers) for i in range(2)]
            while station.batcher.waiting < 2:
                time.sleep(0.01)
            refused = client.post(INSPECT, content=photo(9), headers=headers)
            assert refused.status_code == 503
            assert int(refused.headers["Retry-After"]) >= 1
            assert "busy" in refused.json()["detail"]
            assert client.get("/healthz").status_code == 200
        assert all(post.result().status_code == 200 for post in posts)
    assert client.post(INSPECT, content=photo(9), headers=headers).status_code == 200
    assert client.get("/v1/inspections").json()["total"] == 3


def test_a_request_that_can_never_fit_is_not_told_to_come_again(make_client: MakeClient) -> None:
    client = make_client(limits=Limits(waiting=2))
    answer = client.post(INSPECT, files=[("images", (f"{i}.png", photo(i))) for i in range(3)])
    assert answer.status_code == 413
    assert "Retry-After" not in answer.headers


def test_a_request_that_takes_too_long_is_given_up_and_not_recorded(make_client: MakeClient) -> None:
    client = make_client(limits=Limits(seconds=1.0))
    station = station_of(client)
    with held(station):
        answer = client.post(INSPECT, content=photo(), headers={"Content-Type": "image/png"})
        assert answer.status_code == 504
        assert "1 s" in answer.json()["detail"]
        assert station.batcher.waiting == 0
    assert client.post(INSPECT, content=photo(1), headers={"Content-Type": "image/png"}).status_code == 200
    assert client.get("/v1/inspections").json()["total"] == 1


def test_an_image_with_too_many_pixels_is_told_and_not_kept(make_client: MakeClient, tmp_path: Path) -> None:
    client = make_client(limits=Limits(pixels=5000))
    answer = client.post(INSPECT, content=photo(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 422
    assert "96 x 96" in answer.json()["detail"]
    assert not any(path.is_file() for path in (tmp_path / "data" / "images").rglob("*"))


def test_bytes_of_all_requests_together_are_bounded(make_client: MakeClient) -> None:
    size = len(photo(1))
    client = make_client(limits=Limits(received_bytes=size + size // 2, seconds=120.0))
    station = station_of(client)
    headers = {"Content-Type": "image/png"}
    with ThreadPoolExecutor(1) as pool:
        with held(station):
            first = pool.submit(client.post, INSPECT, content=photo(1), headers=headers)
            while station.batcher.waiting < 1:
                time.sleep(0.01)
            refused = client.post(INSPECT, content=photo(1), headers=headers)
            assert refused.status_code == 503
            assert "Retry-After" in refused.headers
        assert first.result().status_code == 200
    assert client.post(INSPECT, content=photo(1), headers=headers).status_code == 200


def test_the_same_request_is_inspected_once(client: TestClient) -> None:
    key = {"Idempotency-Key": "line 3, part 17"}
    files = [("images", ("a.png", photo(1))), ("images", ("b.png", photo(2)))]
    first = client.post(INSPECT, files=files, headers=key).json()
    assert client.post(INSPECT, files=files, headers=key).json() == first
    assert client.get("/v1/inspections").json()["total"] == 2
    other = client.post(INSPECT, files=files[::-1], headers=key)
    assert (other.status_code, "Idempotency-Key" in other.json()["detail"]) == (422, True)
    more = client.post(INSPECT, files=[*files, ("images", ("c.png", photo(3)))], headers=key).json()["inspections"]
    assert more[:2] == first["inspections"]
    assert client.get("/v1/inspections").json()["total"] == 3
    assert client.post(INSPECT, files=files, headers={"Idempotency-Key": "x" * 300}).status_code == 422


def test_the_same_request_at_once_is_recorded_once(client: TestClient) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda _: client.post(INSPECT, content=photo(9), headers={"Idempotency-Key": "one"}).json(), range(6)
            )
        )
    assert len({answer["inspections"][0]["id"] for answer in answers}) == 1
    assert client.get("/v1/inspections").json()["total"] == 1


def test_of_requests_with_one_key_side_by_side_none_gets_anothers_verdict(make_client: MakeClient) -> None:
    client = make_client()

    def send(seed: int) -> tuple[int, str, str]:
        answer = client.post(INSPECT, content=photo(seed), headers={"Idempotency-Key": "one"})
        found = answer.json()["inspections"][0]["id"] if answer.status_code == 200 else ""
        return seed, found, answer.text

    with ThreadPoolExecutor(8) as pool:
        with held(station_of(client)):
            coming = [pool.submit(send, seed % 2) for seed in range(8)]
            while station_of(client).batcher.waiting < 8:
                time.sleep(0.01)
        answers = [each.result() for each in coming]
    assert len({seed for seed, found, _ in answers if found}) == 1
    assert all("came with other images" in text for _, found, text in answers if not found)
    assert sum(bool(found) for _, found, _ in answers) == 4
