"""The open inference protocol gives what the service gives, to JSON, to binary tensors and to Triton's own client."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

from differnet import DifferNet
from differnet.images import load_image
from tests.server.conftest import photo
from tests.server.processes import Service

INFER = "/v2/models/plates/infer"


def outputs(answer: Any) -> dict[str, list[Any]]:  # noqa: ANN401 - httpx's
    assert answer.status_code == 200, answer.text
    return {output["name"]: output["data"] for output in answer.json()["outputs"]}


def test_all_forms_of_a_request_get_the_verdict_of_the_model(client: TestClient, fitted: DifferNet) -> None:
    photos = [photo(1), photo(2, "blot")]
    pixels = np.stack([load_image(each) for each in photos])
    scores = fitted.score(pixels)
    tensor = {"name": "image", "shape": [*pixels.shape], "datatype": "UINT8"}
    files = {"name": "image", "shape": [2], "datatype": "BYTES"}
    binary = json.dumps({"inputs": [tensor | {"parameters": {"binary_data_size": pixels.nbytes}}]}).encode()
    headers = {"Inference-Header-Content-Length": str(len(binary)), "Content-Type": "application/octet-stream"}
    encoded = [base64.b64encode(each).decode() for each in photos]
    for answer in (
        client.post(INFER, json={"id": "7", "inputs": [files | {"data": encoded}]}),
        client.post(INFER, content=binary + pixels.tobytes(), headers=headers),
        client.post(INFER, json={"inputs": [tensor | {"data": pixels[:, ::1].reshape(-1).tolist()}]}),
    ):
        found = outputs(answer)
        assert found["score"] == pytest.approx(scores.tolist(), rel=1e-4)
        assert found["decision"][1] == 2
        assert client.get(f"/v1/inspections/{found['id'][0]}").json()["score"] == found["score"][0]
    wanted = client.post(INFER, json={"inputs": [files | {"data": encoded}], "outputs": [{"name": "decision"}]})
    assert [*outputs(wanted)] == ["decision"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "with one input"),
        ([], "with one input"),
        ({"inputs": [{"name": "x", "shape": [1, 1, 1, 3], "datatype": "FP32", "data": [0, 0, 0]}]}, "is not taken"),
        ({"inputs": [{"name": "x", "shape": [2, 2, 3], "datatype": "UINT8", "data": [1, 2]}]}, "2 values"),
        ({"inputs": [{"name": "x", "shape": [1, 1, 3], "datatype": "UINT8", "data": [1, 2, 300]}]}, "0 to 255"),
        ({"inputs": [{"name": "x", "shape": [1, 1, 3], "datatype": "UINT8", "data": [0.5, 1, 0]}]}, "whole numbers"),
        ({"inputs": [{"name": "x", "shape": [1, 1, 3], "datatype": "UINT8", "data": ["1", "2", "3"]}]}, "one input"),
        ({"inputs": [{"name": "x", "shape": [1.5, 1, 3], "datatype": "UINT8", "data": [1, 2, 3]}]}, "one input"),
        (
            {"id": "\ud800", "inputs": [{"name": "x", "shape": [1, 1, 3], "datatype": "UINT8", "data": [1, 2, 3]}]},
            "one input",
        ),
        ({"inputs": [{"name": "x", "shape": [-1, 1, 3], "datatype": "UINT8", "data": []}]}, "The shape must be"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["%"]}]}, "base64"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["aaaa"]}], "outputs": 5}, "one input"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "BYTES", "data": ["aaaa"]}], "outputs": [5]}, "one input"),
    ],
)
def test_what_is_no_request_is_refused(client: TestClient, body: object, told: str) -> None:
    answer = client.post(INFER, content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert told in answer.json()["detail"]


def test_many_tiny_images_are_refused_before_any_is_made(client: TestClient) -> None:
    data = bytes(4 * 1_000_000)
    for kind, shape in (("UINT8", [1_000_000, 1, 1, 4]), ("BYTES", [1_000_000])):
        tensor = {"name": "x", "shape": shape, "datatype": kind, "parameters": {"binary_data_size": len(data)}}
        head = json.dumps({"inputs": [tensor]}).encode()
        answer = client.post(INFER, content=head + data, headers={"Inference-Header-Content-Length": str(len(head))})
        assert (answer.status_code, "64 images" in answer.json()["detail"]) == (413, True)


def test_health_and_what_there_is(client: TestClient) -> None:
    assert client.get("/v2").json()["name"] == "differnet"
    assert client.get("/v2/health/live").status_code == client.get("/v2/health/ready").status_code == 200
    assert client.get("/v2/models/plates").json()["inputs"][0]["datatype"] == "UINT8"
    assert client.get("/v2/models/plates/ready").json()["ready"]
    assert client.get("/v2/models/none").status_code == 404
    length = {"Inference-Header-Content-Length": "99"}
    assert client.post(INFER, json={}, headers=length).status_code == 400


def test_the_client_of_triton_understands_it(service: Service, fitted: DifferNet) -> None:
    triton: Any = pytest.importorskip("tritonclient.http")
    client = triton.InferenceServerClient(f"127.0.0.1:{service.port}", network_timeout=120.0, connection_timeout=120.0)
    assert client.is_server_live()
    assert client.is_model_ready("plates")
    pixels = np.stack([load_image(photo(1)), load_image(photo(2, "blot"))])
    tensor = triton.InferInput("image", [*pixels.shape], "UINT8")
    tensor.set_data_from_numpy(pixels)
    files = triton.InferInput("image", [2], "BYTES")
    files.set_data_from_numpy(np.array([photo(1), photo(2, "blot")], object))
    for given in (tensor, files):
        result = client.infer("plates", [given])
        assert result.as_numpy("score").tolist() == pytest.approx(fitted.score(pixels).tolist(), rel=1e-4)
        assert result.as_numpy("decision").tolist()[1] == 2
