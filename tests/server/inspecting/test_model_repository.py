"""Model files come, change, break and go while the service runs."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fastapi.testclient import TestClient

from differnet import DifferNet
from differnet.errors import SettingsError
from differnet.model_file.bundle import read_bundle, sign_bundle, write_bundle
from differnet.model_file.signing import SigningKey, TrustedKeys, make_key
from differnet.server.inspecting.model_repository import Shelf
from tests.server.conftest import MakeClient, photo, station_of

INSPECT = "/v1/models/{}/inspect"


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about within 30 s")


def card(client: TestClient, name: str) -> dict[str, object]:
    found: dict[str, object] = client.get(f"/v1/models/{name}").json()
    return found


def test_cards_say_what_is_served(client: TestClient, fitted: DifferNet, models: Path) -> None:
    (models / "plates.html").write_text("<h1>report</h1>")
    eventually(lambda: card(client, "plates")["report_url"] is not None)
    cards = client.get("/v1/models").json()["models"]
    assert [found["name"] for found in cards] == ["plates"]
    found = card(client, "plates")
    assert fitted.manifest is not None
    assert fitted.calibration is not None
    assert (found["status"], found["error"], found["model_id"]) == ("ready", None, fitted.manifest.model_id)
    assert (found["extractor"], found["image_size"], found["views"]) == ("alexnet", 128, 4)
    assert found["held_out_scores"] == sorted(fitted.held_out_scores.tolist())
    calibration = found["calibration"]
    assert isinstance(calibration, dict)
    assert calibration["threshold"] == fitted.calibration.threshold
    assert calibration["images"] == len(fitted.calibration.scores)
    report = client.get(str(found["report_url"]))
    assert report.text == "<h1>report</h1>"
    assert "sandbox" in report.headers["Content-Security-Policy"]
    (models / "plates.html").unlink()
    eventually(lambda: card(client, "plates")["report_url"] is None)
    assert client.get("/v1/models/plates/report").status_code == 404


def test_a_report_that_leads_to_another_file_is_not_given_away(
    make_client: MakeClient, models: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("a key")
    (tmp_path / "shared.html").write_text("<h1>report</h1>")
    (models / "plates.html").symlink_to(tmp_path / "secret")
    client = make_client()
    assert client.get("/v1/models/plates/report").status_code == 404
    (models / "plates.html").unlink()
    (models / "plates.html").symlink_to(tmp_path / "shared.html")
    eventually(lambda: client.get("/v1/models/plates/report").text == "<h1>report</h1>")


def test_a_new_file_is_served_and_a_removed_one_no_more(client: TestClient, models: Path) -> None:
    shutil.copy(models / "plates.safetensors", models / ".hidden.safetensors")
    shutil.copy(models / "plates.safetensors", models / "other one.safetensors")
    eventually(lambda: client.get("/v1/models/other%20one").status_code == 200)
    assert client.post(INSPECT.format("other%20one"), content=photo()).status_code == 200
    (models / "other one.safetensors").unlink()
    eventually(lambda: client.get("/v1/models/other%20one").status_code == 404)
    assert len(client.get("/v1/models").json()["models"]) == 1


def test_a_changed_file_is_taken_up(client: TestClient, models: Path, model_file: Path) -> None:
    model = DifferNet.load(model_file, device="cpu")
    model.calibrate(false_reject_rate=0.3)
    model.save(models / "plates.safetensors")
    assert model.calibration is not None
    threshold = model.calibration.threshold
    eventually(lambda: card(client, "plates")["calibration"]["threshold"] == threshold)  # type: ignore[index]
    answer = client.post(INSPECT.format("plates"), content=photo()).json()["inspections"][0]
    assert answer["threshold"] == threshold


def test_a_broken_file_is_told_and_the_old_one_kept(client: TestClient, models: Path, model_file: Path) -> None:
    whole = model_file.read_bytes()
    (models / "plates.safetensors").write_bytes(whole[: len(whole) // 2])
    eventually(lambda: card(client, "plates")["error"] is not None)
    found = card(client, "plates")
    assert "damaged" in str(found["error"])
    assert found["status"] == "ready"
    assert client.post(INSPECT.format("plates"), content=photo()).status_code == 200
    assert client.get("/readyz").status_code == 200
    shutil.copy(model_file, models / "new")
    (models / "new").replace(models / "plates.safetensors")
    eventually(lambda: card(client, "plates")["error"] is None)


def test_a_file_that_never_could_be_read_is_told(client: TestClient, models: Path) -> None:
    (models / "text.safetensors").write_text("this is no model")
    eventually(lambda: client.get("/v1/models/text").status_code == 200)
    assert card(client, "text")["status"] == "error"
    answer = client.post(INSPECT.format("text"), content=photo())
    assert answer.status_code == 503
    assert "text.safetensors" in answer.json()["detail"]
    assert client.post(INSPECT.format("plates"), content=photo()).status_code == 200


def test_a_file_that_is_still_being_copied_is_let_be(models: Path, model_file: Path) -> None:
    loaded = []

    class Watched(Shelf):
        def load(self, file: Path) -> DifferNet:
            loaded.append(file.name)
            return super().load(file)

    shelf = Watched(models, device="cpu", interval=0.2)
    shelf.start()
    assert shelf.scanned.wait(60)
    whole = model_file.read_bytes()
    with (models / "slow.safetensors").open("wb") as file:
        for start in range(0, len(whole), len(whole) // 10):
            file.write(whole[start : start + len(whole) // 10])
            file.flush()
            time.sleep(0.1)
    eventually(lambda: "slow" in shelf.places())
    shelf.stop()
    assert loaded == ["plates.safetensors", "slow.safetensors"]
    assert shelf.get("slow").model_id == shelf.get("plates").model_id


def test_the_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such folder"):
        Shelf(tmp_path / "nowhere")


def test_without_a_model_the_service_is_alive_but_not_ready(models: Path, client: TestClient) -> None:
    assert client.get("/readyz").status_code == 200
    (models / "plates.safetensors").unlink()
    eventually(lambda: client.get("/readyz").status_code == 503)
    assert "no model" in client.get("/readyz").json()["detail"]
    assert client.get("/healthz").status_code == 200
    assert not station_of(client).shelf.places()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_holds_nothing_up(client: TestClient, models: Path) -> None:
    os.mkfifo(models / "pipe.safetensors")
    eventually(lambda: client.get("/v1/models/pipe").status_code == 200)
    assert "ordinary file" in str(card(client, "pipe")["error"])
    assert client.post(INSPECT.format("plates"), content=photo()).status_code == 200


def test_a_drive_that_does_not_answer_holds_up_its_own_model_alone(models: Path, model_file: Path) -> None:
    answers = threading.Event()

    class OnADeadDrive(Shelf):
        def load(self, file: Path) -> DifferNet:
            if file.name == "dead.safetensors":
                answers.wait(60)
            return super().load(file)

    shutil.copy(model_file, models / "dead.safetensors")
    shelf = OnADeadDrive(models, device="cpu", interval=0.05, load_seconds=0.5)
    shelf.start()
    eventually(lambda: shelf.scanned.is_set() and "dead" in shelf.places())
    assert "drive" in str(shelf.place("dead").error)
    eventually(lambda: shelf.place("plates").served is not None)
    shelf.refresh()
    assert shelf.place("dead").served is None
    answers.set()
    eventually(lambda: shelf.place("dead").error is None)
    assert shelf.get("dead").model_id == shelf.get("plates").model_id
    shelf.stop()


def test_a_model_that_gives_no_number_is_not_served(client: TestClient, models: Path, model_file: Path) -> None:
    manifest, tensors = read_bundle(model_file)
    huge = {name: torch.full_like(tensor, 3e38) for name, tensor in tensors.items() if name.endswith("0.bias")}
    write_bundle(models / "huge.safetensors", manifest, tensors | huge)
    eventually(lambda: client.get("/v1/models/huge").status_code == 200)
    assert "no score" in str(card(client, "huge")["error"])
    assert client.post(INSPECT.format("huge"), content=photo()).status_code == 503
    assert client.post(INSPECT.format("plates"), content=photo()).status_code == 200


def test_with_trusted_keys_only_signed_models_are_served(
    make_client: MakeClient, models: Path, model_file: Path, tmp_path: Path
) -> None:
    private, public = make_key(tmp_path / "plant.key")
    shutil.copy(model_file, models / "ours.safetensors")
    sign_bundle(models / "ours.safetensors", SigningKey(private))
    client = make_client(trusted=TrustedKeys([public]))
    assert client.post(INSPECT.format("ours"), content=photo()).status_code == 200
    assert "not signed" in str(card(client, "plates")["error"])
    assert client.post(INSPECT.format("plates"), content=photo()).status_code == 503
