"""Heat maps, regions and thumbnails: made from the stored image when first asked for."""

from __future__ import annotations

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from differnet import DifferNet
from differnet.images import load_image
from differnet.localization.overlay import blend_heat, heat_layer
from tests.server.conftest import photo, station_of
from tests.server.inspecting.test_model_repository import eventually

INSPECT = "/v1/models/plates/inspect"


def inspect(client: TestClient, content: bytes) -> dict[str, str]:
    found: dict[str, str] = client.post(INSPECT, content=content).json()["inspections"][0]
    return found


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def test_the_heat_map_is_the_models_own(client: TestClient, fitted: DifferNet) -> None:
    content = photo(5, "blot")
    found = inspect(client, content)
    explanation = next(iter(fitted.explain_stream([content])))
    layer = client.get(found["heat_map_url"], params={"style": "heat"})
    assert layer.headers["Content-Type"] == "image/png"
    difference = np.abs(pixels(layer.content).astype(int) - heat_layer(explanation.heat))  # type: ignore[union-attr]
    assert difference.max() <= 2
    overlay = pixels(client.get(found["heat_map_url"]).content)
    expected = blend_heat(load_image(content), explanation.heat)  # type: ignore[union-attr]
    assert np.abs(overlay.astype(int) - expected).max() <= 3
    told = client.get(found["explanation_url"]).json()
    assert told["scale"] == "fixed"
    assert told["hottest"] == pytest.approx(float(explanation.heat.max()), rel=1e-3)  # type: ignore[union-attr]
    regions = [(region.x, region.y, region.width, region.height) for region in explanation.regions]  # type: ignore[union-attr]
    assert [(box["x"], box["y"], box["width"], box["height"]) for box in told["regions"]] == regions


def test_it_is_computed_once_however_many_ask(client: TestClient) -> None:
    found = inspect(client, photo(1))
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: client.get(found["explanation_url"]), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    client.get(found["heat_map_url"])
    inspect(client, photo(1))
    assert "differnet_explanations_total 1.0" in client.get("/metrics").text


def test_thumbnails_are_small_jpegs(client: TestClient) -> None:
    wide = np.zeros((400, 1000, 3), np.uint8)
    wide[:, 500:] = 200
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "TIFF")
    found = inspect(client, buffer.getvalue())
    for _ in range(2):
        answer = client.get(found["thumbnail_url"])
        assert answer.headers["Content-Type"] == "image/jpeg"
        assert pixels(answer.content).shape == (102, 256, 3)
    original = client.get(str(found["image_url"]))
    assert (original.headers["Content-Type"], original.content) == ("image/tiff", buffer.getvalue())
    shown = client.get(str(found["image_url"]), params={"display": "true"})
    assert shown.headers["Content-Type"] == "image/png"
    assert (pixels(shown.content) == wide).all()


def test_a_new_calibration_makes_a_new_heat_map(client: TestClient, models: Path, model_file: Path) -> None:
    found = inspect(client, photo(5, "blot"))
    before = client.get(found["explanation_url"]).json()["hottest"]
    model = DifferNet.load(model_file, device="cpu")
    model.calibrate(false_reject_rate=0.5)
    model.save(models / "plates.safetensors")
    eventually(lambda: client.get("/v1/models/plates").json()["calibration"]["false_reject_rate"] == 0.5)
    assert client.get(found["explanation_url"]).json()["hottest"] > before


def test_when_the_model_has_gone_what_was_kept_is_shown_and_nothing_else(client: TestClient, models: Path) -> None:
    seen, unseen = inspect(client, photo(1)), inspect(client, photo(2))
    kept = client.get(seen["heat_map_url"]).content
    shutil.move(models / "plates.safetensors", models / "plates.bak")
    eventually(lambda: not station_of(client).shelf.places())
    assert client.get(seen["heat_map_url"]).content == kept
    gone = client.get(unseen["heat_map_url"])
    assert gone.status_code == 409
    assert "no longer there" in gone.json()["detail"]
    # Under another name it is the same model.
    shutil.move(models / "plates.bak", models / "renamed.safetensors")
    eventually(lambda: bool(station_of(client).shelf.places()))
    assert client.get(unseen["heat_map_url"]).status_code == 200


def test_on_a_full_disk_pictures_are_made_all_the_same(client: TestClient, tmp_path: Path) -> None:
    found = inspect(client, photo(5, "blot"))
    derived = tmp_path / "data" / "derived"
    shutil.rmtree(derived)
    derived.write_text("nothing can be written below this")
    for address in ("thumbnail_url", "heat_map_url", "explanation_url"):
        for _ in range(2):
            assert client.get(found[address]).status_code == 200


def test_readyz_tells_of_a_disk_that_takes_nothing(client: TestClient, tmp_path: Path) -> None:
    found = inspect(client, photo(6))
    shutil.move(tmp_path / "data" / "images", tmp_path / "data" / "elsewhere")
    station_of(client)._disk_tried = -float("inf")  # as after five seconds
    answer = client.get("/readyz")
    assert (answer.status_code, "cannot be kept" in answer.json()["detail"]) == (503, True)
    assert client.get(f"/v1/inspections/{found['id']}").status_code == 200
    assert client.get("/healthz").status_code == 200
    shutil.move(tmp_path / "data" / "elsewhere", tmp_path / "data" / "images")
    station_of(client)._disk_tried = -float("inf")
    assert client.get("/readyz").status_code == 200
