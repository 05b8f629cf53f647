"""Thresholds from reviewed images: tried first, then put into the model file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from differnet import DifferNet
from differnet.server.storage.files import FileStore
from tests.server.conftest import MakeClient, photo, station_of

CALIBRATE = "/v1/models/plates/calibrate"


def inspect(client: TestClient, seeds: range, defect: str | None = None) -> list[dict[str, Any]]:
    files = [("images", (f"{seed}.png", photo(seed, defect))) for seed in seeds]
    answer = client.post("/v1/models/plates/inspect", files=files)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["inspections"]
    return found


def review(client: TestClient, inspections: list[dict[str, Any]], word: str) -> None:
    for one in inspections:
        answer = client.post(f"/v1/inspections/{one['id']}/review", json={"review": word})
        assert answer.json()["review"] == word


def calibrate(client: TestClient, **wanted: object) -> dict[str, Any]:
    answer = client.post(CALIBRATE, json=wanted)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def reviewed(client: TestClient) -> TestClient:
    """A service with 12 images reviewed good and 3 defective ones."""
    review(client, inspect(client, range(100, 112)), "good")
    review(client, inspect(client, range(200, 203), "blot"), "defective")
    return client


def test_a_preview_tells_what_would_change_and_changes_nothing(
    reviewed: TestClient, models: Path, model_file: Path, tmp_path: Path
) -> None:
    before = (models / "plates.safetensors").read_bytes()
    found = calibrate(reviewed, false_reject_rate=0.1, review_rate=0.3)
    assert (found["dry_run"], found["images"]) == (True, 12)
    # The same by hand.
    rows = reviewed.get("/v1/inspections", params={"review": "good", "limit": 50}).json()["inspections"]
    files = FileStore(tmp_path / "data")
    hashes = [str(station_of(reviewed).records.get(row["id"])["sha256"]) for row in rows]
    model = DifferNet.load(model_file, device="cpu")
    old = model.calibration
    new = model.calibrate([files.image(sha256) for sha256 in hashes], false_reject_rate=0.1, review_rate=0.3)
    assert old is not None
    assert found["old"]["threshold"] == old.threshold
    assert found["new"]["threshold"] == pytest.approx(new.threshold, rel=1e-5)
    assert found["new"]["review_threshold"] == pytest.approx(new.review_threshold, rel=1e-5)
    assert (found["new"]["images"], found["new"]["source"]) == (12, "images")
    interval = new.rate_interval()
    assert interval is not None
    assert found["new"]["rate_interval"] == pytest.approx(list(interval))
    everything = reviewed.get("/v1/inspections", params={"limit": 50}).json()["inspections"]
    after = [new.decide(row["score"]) for row in everything]
    assert found["decisions"]["before"] == {
        word: sum(row["decision"] == word for row in everything) for word in ("accept", "review", "reject")
    }
    assert sum(found["decisions"]["after"].values()) == 15
    assert found["decisions"]["changed"] == sum(
        row["decision"] != word for row, word in zip(everything, after, strict=True)
    )
    assert (models / "plates.safetensors").read_bytes() == before


def test_put_into_the_file_it_is_served_at_once(reviewed: TestClient, models: Path) -> None:
    preview = calibrate(reviewed, false_reject_rate=0.2)
    done = calibrate(reviewed, false_reject_rate=0.2, dry_run=False)
    assert done["new"] == preview["new"]
    card = reviewed.get("/v1/models/plates").json()
    assert card["calibration"] == done["new"]
    assert card["model_id"] == done["model_id"]
    model = DifferNet.load(models / "plates.safetensors", device="cpu")
    assert model.calibration is not None
    assert model.calibration.threshold == done["new"]["threshold"]
    assert inspect(reviewed, range(5, 6))[0]["threshold"] == done["new"]["threshold"]
    assert calibrate(reviewed, false_reject_rate=0.2)["old"] == done["new"]


def test_scores_of_training_can_be_taken_along_every_time_anew(reviewed: TestClient, fitted: DifferNet) -> None:
    trained = len(fitted.held_out_scores)
    first = calibrate(reviewed, false_reject_rate=0.2, include_training=True, dry_run=False)
    assert (first["images"], first["new"]["images"]) == (12, trained + 12)
    second = calibrate(reviewed, false_reject_rate=0.1, include_training=True)
    assert second["new"]["images"] == trained + 12
    calibrate(reviewed, false_reject_rate=0.2, dry_run=False)
    third = calibrate(reviewed, false_reject_rate=0.2, include_training=True)
    assert third["new"] == first["new"]


def test_an_image_is_scored_once_by_a_model_whatever_is_reviewed_later(reviewed: TestClient, tmp_path: Path) -> None:
    first = calibrate(reviewed, false_reject_rate=0.2, dry_run=False)
    stored = [path for path in (tmp_path / "data" / "images").rglob("*") if path.is_file()]
    assert len(stored) == 15
    for path in stored:
        path.write_bytes(b"")  # what would be read again would be missed
    assert calibrate(reviewed, false_reject_rate=0.2)["new"] == first["new"]
    review(reviewed, inspect(reviewed, range(112, 114)), "good")
    assert calibrate(reviewed, false_reject_rate=0.2)["new"]["images"] == 14


def test_whoever_asks_is_answered_in_time_and_goes_on_by_asking_again(
    reviewed: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station_of(reviewed).recalibration, "_seconds", 0.0)
    answer = reviewed.post(CALIBRATE, json={"false_reject_rate": 0.2})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["detail"] == "8 of 12 reviewed images are scored so far; ask again."
    assert calibrate(reviewed, false_reject_rate=0.2)["new"]["images"] == 12


def test_too_few_images_say_how_many_more(client: TestClient) -> None:
    none = client.post(CALIBRATE, json={})
    assert none.status_code == 409
    assert "No image" in none.json()["detail"]
    review(client, inspect(client, range(100, 103)), "good")
    few = client.post(CALIBRATE, json={"false_reject_rate": 0.1})
    assert few.status_code == 409
    assert "at least 9 good images, there are 3: review 6 more" in few.json()["detail"]
    assert calibrate(client, false_reject_rate=0.25)["new"]["images"] == 3


@pytest.mark.parametrize(
    "wanted",
    [
        {"false_reject_rate": 0.0},
        {"false_reject_rate": 1.5},
        {"false_reject_rate": "much"},
        {"false_reject_rate": 0.4, "review_rate": 0.2},
        {"rate": 0.1},
    ],
)
def test_rates_that_are_none_are_refused(reviewed: TestClient, wanted: dict[str, object]) -> None:
    answer = reviewed.post(CALIBRATE, json=wanted)
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(".")


def test_a_sample_that_was_picked_is_warned_of(client: TestClient) -> None:
    accepted = [one for one in inspect(client, range(100, 124)) if one["decision"] == "accept"]
    flagged = [one for one in inspect(client, range(200, 203), "blot") if one["decision"] == "reject"]
    review(client, flagged, "good")
    review(client, accepted[:5], "good")
    picked = calibrate(client, false_reject_rate=0.2)["warning"]
    assert "had been flagged" in picked
    review(client, accepted, "good")
    assert calibrate(client, false_reject_rate=0.2)["warning"] is None
    review(client, flagged, "unsure")
    flagless = calibrate(client, false_reject_rate=0.2)["warning"]
    assert "None of the images reviewed good had been flagged" in flagless


def test_a_folder_that_cannot_be_written_leaves_all_as_it_was(reviewed: TestClient, models: Path) -> None:
    station = station_of(reviewed)
    served = station.shelf.get("plates")
    kept = models.parent / "data" / "trained"
    kept.write_text("a file where a folder should be")
    answer = reviewed.post(CALIBRATE, json={"false_reject_rate": 0.2, "dry_run": False})
    assert answer.status_code == 507
    assert station.shelf.get("plates") is served


def test_a_model_put_in_place_meanwhile_is_not_overwritten(
    make_client: MakeClient, models: Path, model_file: Path, tmp_path: Path
) -> None:
    client = make_client(poll_seconds=60.0)
    review(client, inspect(client, range(100, 112)), "good")
    newer = DifferNet.load(model_file, device="cpu")
    newer.calibrate(false_reject_rate=0.3)
    wanted = {"false_reject_rate": 0.1, "dry_run": False}

    def put(write: Callable[[Path], object]) -> bytes:
        write(tmp_path / "new")
        (tmp_path / "new").replace(models / "plates.safetensors")
        return (models / "plates.safetensors").read_bytes()

    for write in (newer.save, lambda file: file.write_bytes(b"still being copied")):
        content = put(write)
        answer = client.post(CALIBRATE, json=wanted)
        assert answer.status_code == 409, answer.text
        assert (models / "plates.safetensors").read_bytes() == content
        assert not (tmp_path / "data" / "trained").exists() or not [*(tmp_path / "data" / "trained").iterdir()]
    (models / "plates.safetensors").unlink()
    assert client.post(CALIBRATE, json=wanted).status_code == 409
    assert not [*models.iterdir()]
