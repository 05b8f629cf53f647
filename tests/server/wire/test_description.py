"""What ``/openapi.json`` says of the service is what the service does."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.server.conftest import MakeClient, photo

OPEN = {"/healthz", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready"}
PRODUCT, PICTURE = "/v1/products/{product}", "/v1/products/{product}/pictures/{picture}"
VERSION, JOB = "/v1/products/{product}/versions/{number}", "/v1/jobs/{job}"
RELEASES = {f"{VERSION}/release", f"{PRODUCT}/rollback"}
OF_MAPS = {f"{VERSION}/suspects/{{picture}}", f"{JOB}/maps/{{number}}/{{inspection}}"}
WRITTEN = {f"{JOB}/comparison", f"{JOB}/file", f"{JOB}/report", f"{PRODUCT}/compare"}
WRITTEN |= {f"{VERSION}/export", f"{VERSION}/report"}
UNMADE = {"/v1/inspections/{identity}/heatmap.png", "/v1/inspections/{identity}/explanation"} | WRITTEN
REMOVED = UNMADE | {"/v1/inspections/{identity}/image", "/v1/inspections/{identity}/thumbnail"}
REMOVED |= {f"{PICTURE}/image", f"{PICTURE}/thumbnail", f"{VERSION}/model", f"{VERSION}/release"}
REMOVED |= {f"{place}/{kind}" for place in OF_MAPS for kind in ("heatmap.png", "explanation")}
CALIBRATE = "/v1/models/{name}/calibrate"
CONFLICTS = UNMADE | RELEASES | {CALIBRATE, "/v1/products", f"{PRODUCT}/pictures", f"{PRODUCT}/train"}
CONFLICTS |= {f"{PRODUCT}/take", f"{PRODUCT}/collection"}
REMOVALS = {PRODUCT, PICTURE, VERSION, JOB, f"{PRODUCT}/collection"}
INSPECTING = {"/v1/models/{name}/inspect", "/v1/models/{name}/inspect-camera", "/v2/models/{name}/infer"}
FAULT = {"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}}


def operations(client: TestClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of each."""
    paths = client.get("/openapi.json").json()["paths"]
    return [(method.upper(), path, about) for path, found in paths.items() for method, about in found.items()]


def test_refusals_are_named_where_they_are_given(client: TestClient) -> None:
    for method, path, about in operations(client):
        given = {int(status) for status in about["responses"]}
        expected = {200, 400, 403}
        expected |= {401, 503} if path not in OPEN else set()
        expected |= {503} if path in ("/readyz", "/v2/health/ready") else set()
        expected |= {404} if "{" in path or path == "/v1/inspections" else set()
        expected |= {409} if path in CONFLICTS - {"/v1/products", f"{PRODUCT}/pictures"} else set()
        expected |= {409} if method == "POST" and path in CONFLICTS else set()
        expected |= {409} if method == "DELETE" and path in REMOVALS else set()
        expected |= {410} if path in REMOVED else set()
        expected |= {422} if "{" in path or path in ("/v1/inspections", "/v1/sample") else set()
        expected |= {422} if method == "POST" else set()
        expected |= {408, 413, 415} if method == "POST" else set()
        expected |= {504} if path in INSPECTING else set()
        expected |= {507} if path in INSPECTING | {CALIBRATE} | RELEASES else set()
        assert given == expected, path
        for status in given - {200}:
            assert about["responses"][str(status)]["content"] == FAULT, (path, status)


def test_keys_are_described(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    schemes = description["components"]["securitySchemes"]
    assert schemes["key"].items() >= {"type": "apiKey", "in": "header", "name": "X-API-Key"}.items()
    assert schemes["bearer"].items() >= {"type": "http", "scheme": "bearer"}.items()
    for _, path, about in operations(client):
        assert about.get("security") == (None if path in OPEN else [{"key": []}, {"bearer": []}, {}])
    schemas = description["components"]["schemas"]
    assert "HTTPValidationError" not in schemas
    assert set(schemas["Fault"]["properties"]) == {"detail"}


def test_other_methods_are_refused_with_those_there_are(client: TestClient) -> None:
    every = operations(client)
    for path in {path for _, path, _ in every}:
        known = {method for method, each, _ in every if each == path}
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - known:
            answer = client.request(method, path.replace("{name}", "plates").replace("{identity}", "x"))
            assert answer.status_code == 405, (method, path)
            assert {each.strip() for each in answer.headers["Allow"].split(",")} == known
    assert client.post("/").headers["Allow"] == "GET, HEAD"


def test_answers_are_of_the_kind_that_is_described(client: TestClient) -> None:
    files = [("images", ("a.png", photo(), "image/png")), ("images", ("b.bmp", photo(1, kind="BMP"), "image/bmp"))]
    found = client.post("/v1/models/plates/inspect", files=files).json()["inspections"]
    for method, path, about in operations(client):
        if path == "/v1/events" or path in INSPECTING:
            continue
        body = {"review": "good"} if path.endswith("/review") else {}
        for inspection in found:
            address = path.replace("{name}", "plates").replace("{identity}", inspection["id"])
            for asked in (address, address.replace(inspection["id"], "none").replace("plates", "none")):
                answer = client.request(method, asked, json=body if method == "POST" else None)
                kinds = about["responses"][str(answer.status_code)]["content"]
                assert answer.headers["Content-Type"].partition(";")[0] in kinds, asked


@pytest.mark.parametrize("given", [{}, {"X-API-Key": "dn_guess"}])
def test_without_a_valid_key_the_answer_is_the_one_described(make_client: MakeClient, given: dict[str, str]) -> None:
    client = make_client(keys_required=True)
    # More wrong keys than twenty a minute are answered slowly.
    for method, path, _ in operations(client)[:: 3 if given else 1]:
        answer = client.request(method, path.replace("{name}", "plates").replace("{identity}", "x"), headers=given)
        assert answer.status_code == (200 if path in OPEN else 401), path
