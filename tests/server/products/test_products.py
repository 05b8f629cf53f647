"""From good pictures to a model in service, and back, as the page does it."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.server.conftest import MakeClient, photo, station_of
from tests.server.products.conftest import CHOICES, QUICK, add, ended, make_product


def check_that_it_sets_no_threshold(worst: dict[str, Any], version: dict[str, Any]) -> None:
    assert (worst["far_off"], worst["uncounted"], worst["left_out"]) == (True, True, False)
    assert len(version["held_out_scores"]) == 12
    assert worst["score"] > version["calibration"]["threshold"]
    assert any("do not count for the threshold: scratch.png" in remark for remark in version["remarks"])


def test_train_release_compare_and_roll_back(make_client: MakeClient) -> None:
    client = make_client(training_changes=QUICK)
    address = make_product(client)
    add(client, address, {"scratch.png": photo(50, "scratch")})
    before = client.get(address).json()["in_service"]
    assert before["version"] is None  # the model that was in the folder all along

    done = ended(client, client.post(f"{address}/train", json={}).json())
    assert (done["state"], done["error"]) == ("done", None)
    [version] = client.get(address).json()["versions_list"]
    assert version["pictures"] == version["images"] == 13
    assert version["calibration"]["threshold"] == pytest.approx(sorted(version["held_out_scores"])[-1])
    worst = version["suspects"][0]
    assert worst["filename"] == "scratch.png"
    check_that_it_sets_no_threshold(worst, version)
    heat = client.get(f"{address}/versions/1/suspects/{worst['sha256']}/heatmap.png")
    assert heat.headers["Content-Type"] == "image/png"
    assert client.get(f"{address}/versions/1/suspects/{worst['sha256']}/explanation").json()["scale"] == "fixed"
    marked = {each["filename"]: each["deviations"] for each in client.get(f"{address}/pictures").json()["pictures"]}
    assert marked.pop("scratch.png") == worst["deviations"]

    # The defective one is left out, and the training that follows is without it.
    client.post(f"{address}/leave-out", json={"pictures": [worst["sha256"]]})
    assert ended(client, client.post(f"{address}/train", json={}).json())["result"] == {"version": 2}
    newest = client.get(address).json()["versions_list"][0]
    assert (newest["number"], newest["pictures"]) == (2, 12)

    stale = client.post(f"{address}/versions/2/release", json={"seen": "another-model"})
    assert stale.status_code == 409
    released = client.post(f"{address}/versions/2/release", json={"seen": before["token"]})
    assert released.status_code == 200, released.text
    assert released.json()["in_service"]["version"] == 2
    assert client.get("/v1/models/plates").json()["model_id"] == newest["model_id"]
    again = client.post(f"{address}/versions/1/release", json={"seen": before["token"]})
    assert again.status_code == 409  # somebody else has released meanwhile

    assert client.post(f"{address}/compare", json={"versions": [1, 2]}).status_code == 409  # nothing is reviewed
    for seed, defect, review in ((90, None, "good"), (91, "scratch", "defective"), (3, None, "good")):
        files = {"images": ("part.png", photo(seed, defect), "image/png")}
        [found] = client.post("/v1/models/plates/inspect", files=files).json()["inspections"]
        client.post(f"/v1/inspections/{found['id']}/review", json={"review": review})
    compared = ended(client, client.post(f"{address}/compare", json={"versions": [1, 2]}).json())
    assert compared["state"] == "done", compared
    told = client.get(f"/v1/jobs/{compared['id']}/comparison").json()
    assert told["learnt"] == 1  # seed 3 is a picture that both learnt
    assert [(each["good"], each["defective"], each["number"]) for each in told["versions"]] == [(1, 1, 1), (1, 1, 2)]
    assert told["versions"][1]["escapes"] == 0
    for inspection in told["mapped"]:
        assert client.get(f"/v1/jobs/{compared['id']}/maps/1/{inspection}/heatmap.png").status_code == 200

    check_report(client, address)

    back = client.post(f"{address}/rollback", json={"seen": released.json()["in_service"]["token"]})
    assert back.json()["in_service"] == before
    assert client.post(f"{address}/rollback", json={"seen": before["token"]}).status_code == 409
    said = [entry["action"] for entry in client.get(f"{address}/history").json()["history"]]
    assert said[:3] == ["roll back", "remove version", "release"]
    assert said[-2:] == ["choose", "create"]
    assert client.delete(address).status_code == 200
    assert not station_of(client).workshop.pictures.folder(address.rpartition("/")[2]).exists()


def check_report(client: TestClient, address: str) -> None:
    """Of version 1, on two reviewed parts; then it is removed."""
    made = ended(client, client.post(f"{address}/versions/1/report", json={}).json())
    assert (made["state"], made["result"]) == ("done", {"file": "report.html", "images": 2}), made
    page = client.get(f"/v1/jobs/{made['id']}/report")
    assert "plates, version 1" in page.text
    assert "sandbox" in page.headers["Content-Security-Policy"]
    check_removal(client, address)


def check_removal(client: TestClient, address: str) -> None:
    """Of version 1; version 2 is in service."""
    refused = client.delete(f"{address}/versions/2")
    assert (refused.status_code, "is in service" in refused.json()["detail"]) == (409, True)
    folder = station_of(client).workshop.pictures.folder(address.rpartition("/")[2])
    assert len(list((folder / "versions").iterdir())) == 2
    assert client.delete(f"{address}/versions/1").status_code == 200
    assert client.get(f"{address}/versions/1/model").status_code == 404
    assert len(list((folder / "versions").iterdir())) == 1
    assert [each["number"] for each in client.get(address).json()["versions_list"]] == [2]


def test_too_few_pictures_are_told_with_what_to_do(make_client: MakeClient) -> None:
    client = make_client()
    address = make_product(client, seeds=range(4))
    answer = client.post(f"{address}/train", json={})
    assert answer.status_code == 409
    assert "at least 9 good pictures, there are 4: add 5 more" in answer.json()["detail"]


def test_a_training_that_fails_says_why_and_leaves_nothing(make_client: MakeClient) -> None:
    client = make_client(training_changes={**QUICK, "extractor.name": "none-such"})
    address = make_product(client, seeds=range(9))
    job = ended(client, client.post(f"{address}/train", json={}).json())
    assert job["state"] == "failed"
    assert "none-such" in job["error"]
    assert client.get(address).json()["versions_list"] == []
    folder = station_of(client).workshop.pictures.folder(address.rpartition("/")[2])
    assert list((folder / "versions").iterdir()) == []


def test_one_at_a_time_and_what_is_cancelled_is_gone(make_client: MakeClient) -> None:
    client = make_client(training_changes=QUICK)
    first, second = make_product(client, seeds=range(9)), make_product(client, "tiles", range(9))
    running = client.post(f"{first}/train", json={}).json()
    assert client.post(f"{first}/train", json={}).status_code == 409
    waiting = client.post(f"{second}/train", json={}).json()
    states = [(job["id"], job["state"]) for job in client.get("/v1/jobs").json()["jobs"]]
    assert (waiting["id"], "queued") == states[-1]
    [picture] = [each["sha256"] for each in client.get(f"{first}/pictures").json()["pictures"]][:1]
    assert client.delete(f"{first}/pictures/{picture}").status_code == 409  # the training reads it
    assert client.delete(first).status_code == 409
    assert client.delete(f"/v1/jobs/{waiting['id']}").json()["state"] == "cancelled"
    assert client.delete(f"/v1/jobs/{running['id']}").status_code == 200
    assert ended(client, running)["state"] == "cancelled"
    assert client.delete(f"/v1/jobs/{running['id']}").status_code == 409
    assert client.delete(f"{first}/pictures/{picture}").status_code == 200
    assert client.get(f"{first}/pictures/{picture}/image").status_code == 404


@pytest.mark.parametrize("region", [[0, 0, 9, 50], [-1, 0, 50, 50]])
def test_a_region_that_cannot_be_is_refused(make_client: MakeClient, region: list[int]) -> None:
    client = make_client()
    address = make_product(client, seeds=())
    assert client.post(f"{address}/choices", json={**CHOICES, "region": region}).status_code == 422
