"""Roles, headers, the page, and the description of it all."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import pytest
from fastapi.testclient import TestClient

from differnet.server.incoming import access
from differnet.server.storage.keyring import KeyRing
from tests.server.conftest import MakeClient, photo, station_of

ROLES = ("inspect", "review", "admin")


@pytest.fixture
def secrets(client: TestClient) -> dict[str, str]:
    """A secret of every role, and one that was revoked."""
    ring = KeyRing(station_of(client).database)
    made = {role: ring.create(role, role) for role in ROLES}
    key, revoked = ring.create("old", "admin")
    ring.revoke(key.id)
    station_of(client).keyring._read_at = -float("inf")  # as after two seconds
    return {role: secret for role, (_, secret) in made.items()} | {"revoked": revoked}


def test_everyone_may_do_what_the_role_says(client: TestClient, secrets: Mapping[str, str]) -> None:
    headers = {"X-API-Key": secrets["inspect"]}
    found = client.post("/v1/models/plates/inspect", content=photo(), headers=headers).json()["inspections"][0]
    inspection = f"/v1/inspections/{found['id']}"
    needed: list[tuple[str, str, dict[str, Any] | None, str]] = [
        ("GET", address, None, "inspect")
        for address in (
            "/v1/models",
            "/v1/models/plates",
            "/v1/models/plates/statistics",
            "/v1/inspections",
            "/v1/sample",
            inspection,
            f"{inspection}/image",
            f"{inspection}/thumbnail",
            f"{inspection}/heatmap.png",
            f"{inspection}/explanation",
            "/v1/session",
            "/metrics",
        )
    ]
    needed += [
        ("POST", f"{inspection}/review", {"review": "good"}, "review"),
        ("POST", "/v1/models/plates/calibrate", {"false_reject_rate": 0.5}, "admin"),
    ]
    for method, address, body, least in needed:
        for secret in (None, "dn_guess", "", secrets["revoked"]):
            given = {} if secret is None else {"X-API-Key": secret}
            answer = client.request(method, address, json=body, headers=given)
            assert answer.status_code == 401, (address, secret)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert answer.json()["detail"].endswith(".")
        for role in ROLES:
            answer = client.request(method, address, json=body, headers={"Authorization": f"Bearer {secrets[role]}"})
            allowed = ROLES.index(role) >= ROLES.index(least)
            assert answer.status_code == (200 if allowed else 403), (address, role, answer.text)
    assert client.post("/v1/models/plates/inspect", content=photo()).status_code == 401
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    session = client.get("/v1/session", headers={"X-API-Key": secrets["review"]}).json()
    assert (session["role"], session["key_required"]) == ("review", True)


def test_a_review_keeps_the_id_of_its_key(client: TestClient, secrets: Mapping[str, str]) -> None:
    headers = {"X-API-Key": secrets["review"]}
    found = client.post("/v1/models/plates/inspect", content=photo(), headers=headers).json()["inspections"][0]
    client.post(f"/v1/inspections/{found['id']}/review", json={"review": "good"}, headers=headers)
    key = station_of(client).keyring.find(secrets["review"])
    assert key is not None
    with station_of(client).database.reading() as connection:
        assert connection.exec_driver_sql("SELECT key FROM reviews").scalars().all() == [key.id]


def test_whoever_tries_many_wrong_keys_is_answered_slowly(
    client: TestClient, secrets: Mapping[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(secret: str) -> tuple[int, float]:
        started = time.monotonic()
        status = client.get("/v1/session", headers={"X-API-Key": secret}).status_code
        return status, time.monotonic() - started

    monkeypatch.setattr(access, "_SLOWED_SECONDS", 1.0)
    assert sum(ask(f"dn_guess{i}")[1] for i in range(20)) < 10  # the first are answered at once
    status, seconds = ask("dn_one_more")
    assert status == 401
    assert seconds >= 1.0
    status, seconds = ask(secrets["admin"])  # whoever has a key beside the one who guesses, such as behind a proxy
    assert status == 200
    assert seconds < 1.0


def test_beyond_loopback_a_key_is_needed_though_there_is_none(make_client: MakeClient) -> None:
    client = make_client(keys_required=True)
    assert client.get("/v1/models").status_code == 401
    assert client.get("/v1/session").status_code == 401


def test_without_keys_pages_of_other_sites_are_kept_away(client: TestClient) -> None:
    assert client.get("/v1/session").json()["key_required"] is False
    for host in ("localhost", "127.0.0.1:8080", "[::1]:8080", "127.1.2.3"):
        assert client.get("/v1/models", headers={"Host": host}).status_code == 200
    for host in ("evil.example", "127.0.0.1.evil.example", ""):
        assert client.get("/v1/models", headers={"Host": host}).status_code == 403
    post = "/v1/models/plates/inspect"
    own, foreign = {"Origin": "http://localhost"}, {"Origin": "http://evil.example"}
    assert client.post(post, content=photo(), headers=own).status_code == 200
    assert client.post(post, content=photo(), headers=foreign).status_code == 403


def test_every_answer_has_security_headers(client: TestClient) -> None:
    for address in ("/", "/healthz", "/v1/models", "/nowhere", "/openapi.json"):
        headers = client.get(address).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
    assert client.get("/v1/models").headers["Cache-Control"] == "no-store"


def test_the_page_is_served_and_asks_nobody_else(client: TestClient) -> None:
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert "https://" not in page.text


def test_the_description_has_examples_and_no_outside_addresses(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert "://" not in json.dumps(description)
    body = description["paths"]["/v1/models/{name}/inspect"]["post"]["requestBody"]["content"]
    assert set(body) >= {"multipart/form-data", "image/png", "application/octet-stream"}
    schemas = description["components"]["schemas"]
    for name in ("Inspection", "ReviewRequest", "CalibrateRequest"):
        assert schemas[name]["examples"]
    assert client.get("/docs").status_code == 404


@pytest.mark.parametrize(
    ("method", "address", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/v1/inspections/unknown", 404),
        ("GET", "/v1/inspections/unknown/image", 404),
        ("GET", "/v1/models/unknown/statistics", 404),
        ("GET", "/v1/inspections?limit=0", 422),
        ("GET", "/v1/inspections?decision=maybe", 422),
        ("GET", "/v1/inspections?since=yesterday", 422),
        ("GET", "/v1/inspections?before=unknown", 404),
        ("GET", "/v1/models/plates/inspect", 405),
        ("DELETE", "/v1/models", 405),
        ("POST", "/v1/inspections/unknown/review", 422),
    ],
)
def test_every_error_is_one_sentence(client: TestClient, method: str, address: str, status: int) -> None:
    answer = client.request(method, address)
    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}
    assert answer.json()["detail"].endswith(".")


@pytest.mark.parametrize("body", [{"review": "fine"}, {}, {"review": "good", "note": "x" * 3000}, {"reviewed": "good"}])
def test_reviews_are_checked(client: TestClient, body: dict[str, str]) -> None:
    found = client.post("/v1/models/plates/inspect", content=photo()).json()["inspections"][0]
    answer = client.post(f"/v1/inspections/{found['id']}/review", json=body)
    assert answer.status_code == 422
    assert client.get(f"/v1/inspections/{found['id']}").json()["review"] is None
