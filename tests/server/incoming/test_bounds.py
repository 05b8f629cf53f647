"""Whoever has no key costs little: bodies are not read, headers and idle connections are bounded."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from differnet.server.storage.database import Database
from differnet.server.storage.keyring import KeyRing
from tests.server.conftest import photo, station_of
from tests.server.processes import Service

MOST = 30 << 20


@pytest.fixture(scope="module")
def keyed(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "models").mkdir()
    shutil.copy(model_file, folder / "models" / "plates.safetensors")
    database = Database.in_folder(folder / "data")
    KeyRing(database).create("admin", "admin")
    database.close()
    with Service(folder / "models", folder / "data") as running:
        yield running


def spoken(service: Service, *parts: bytes, seconds: float = 30.0) -> bytes:
    """What the service answers to bytes on a connection, until it closes it or stops reading."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=seconds) as connection:
        try:
            for part in parts:
                connection.sendall(part)
            answer = b""
            while b"\r\n\r\n" not in answer and (more := connection.recv(65536)):
                answer += more
        except (ConnectionError, TimeoutError):
            return b""
        return answer


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer else 0


@pytest.mark.parametrize(
    "path", ["/v1/inspections/x/review", "/v1/models/plates/calibrate", "/v1/models/plates/inspect"]
)
def test_without_a_key_no_body_is_read(keyed: Service, path: str) -> None:
    before = keyed.memory()
    chunk = b"%x\r\n%s\r\n" % (1 << 20, b'["a",' * 200_000 + bytes((1 << 20) - 1_000_000))
    # It is read to its end, else the service waits for what never comes.
    for length in (b"Content-Length: %d" % (40 * len(chunk) + 5), b"Transfer-Encoding: chunked"):
        head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n\r\n"
        answer = spoken(keyed, head % (path.encode(), length), *[chunk] * 40, b"0\r\n\r\n")
        assert status(answer) in (401, 0)
    assert (
        status(spoken(keyed, b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}" % path.encode()))
        == 401
    )
    assert keyed.memory() < before + MOST


@pytest.mark.parametrize(
    "parts",
    [
        [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n", *[b"X-A: %s\r\n" % (b"a" * 1000) * 1000] * 30],
        [b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-A: ", *[b"a" * 1_000_000] * 30],
        [b"GET /", *[b"a" * 1_000_000] * 30],
        [
            b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n",
            *[b"X-A: %s\r\n" % (b"a" * 1000) * 1000] * 30,
        ],
        [
            b"POST /v1/models HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;",
            *[b"a" * 1_000_000] * 30,
        ],
    ],
    ids=["many", "one", "address", "trailers", "extension"],
)
def test_headers_are_bounded(keyed: Service, parts: list[bytes]) -> None:
    before = keyed.memory()
    assert status(spoken(keyed, *parts)) in (431, 400, 405, 401, 0)
    assert keyed.memory() < before + MOST
    assert keyed.get("/healthz")[0] == 200


def test_idle_connections_lock_nobody_out(model_file: Path, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    (tmp_path / "models").mkdir()
    shutil.copy(model_file, tmp_path / "models" / "plates.safetensors")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    service = Service(tmp_path / "models", tmp_path / "data")
    service.preparation = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
    with service:
        idle = [socket.create_connection(("127.0.0.1", service.port), timeout=5) for _ in range(200)]
        for connection in idle[::2]:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
        time.sleep(0.5)
        assert service.get("/healthz")[0] == 200
        assert service.inspect(photo())[0] == 200
        for connection in idle:
            connection.close()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_json_is_read_within_bounds(client: TestClient) -> None:
    found = client.post("/v1/models/plates/inspect", content=photo()).json()["inspections"][0]
    address = f"/v1/inspections/{found['id']}/review"
    as_json = {"Content-Type": "application/json"}
    for body, headers, expected in (
        (b'{"review": "good", "note": "%s"}' % (b"x" * 70_000), as_json, 413),
        (b"[" * 30_000 + b"]" * 30_000, as_json, 422),
        (b'{"review": "good"', as_json, 422),
        (b'{"review": NaN}', as_json, 422),
        (b'"good"', as_json, 422),
        (b'{"review": "good"}', {"Content-Type": "text/plain"}, 415),
        (b'{"review": "good"}', {}, 415),
        (b'{"review": "good", "note": "\\ud800"}', as_json, 422),
        (b'{"review": "good"}', {"Content-Type": "application/json; charset=utf-8"}, 200),
    ):
        answer = client.post(address, content=body, headers=headers)
        assert answer.status_code == expected, (body[:40], answer.text)
        assert expected == 200 or set(answer.json()) == {"detail"}


def test_a_key_that_is_revoked_ends_its_streams(keyed: Service) -> None:
    database = Database.in_folder(keyed.data)
    ring = KeyRing(database)
    key, secret = ring.create("listener", "inspect")
    with socket.create_connection(("127.0.0.1", keyed.port), timeout=30) as stream:
        time.sleep(2.1)  # until the service has asked for the keys again
        head = b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-API-Key: %s\r\n\r\n"
        stream.sendall(head % secret.encode())
        assert b"hello" in stream.recv(65536) + stream.recv(65536)
        ring.revoke(key.id)
        ended = time.monotonic()
        while stream.recv(65536):
            assert time.monotonic() < ended + 20
    database.close()


def test_nobody_is_believed_to_come_from_elsewhere(keyed: Service) -> None:
    given = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    status, _, headers = keyed.request("GET", "/v1/models", headers=given)
    assert status == 401
    assert keyed.logged(headers["x-request-id"])["client"] == "127.0.0.1"


def test_the_first_key_counts_at_once(client: TestClient) -> None:
    assert client.get("/v1/models").status_code == 200
    station = station_of(client)
    other = Database.in_folder(station.files._images.parent)
    _, secret = KeyRing(other).create("first", "inspect")
    assert client.get("/v1/models").status_code == 401
    named = {"Host": "station.example", "X-API-Key": secret}
    assert client.get("/v1/models", headers=named).status_code == 200
    other.close()


@pytest.mark.parametrize("since", ["0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00"])
def test_times_beyond_the_calendar_are_told(client: TestClient, since: str) -> None:
    answer = client.get(f"/v1/inspections?since={since}")
    assert answer.status_code == 422
    assert "calendar" in answer.json()["detail"]


def test_hosts_and_zeros_that_cannot_be_read_are_told(service: Service) -> None:
    for head, expected in (
        (b"GET /v1/models HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
        (b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", 400),
        (b"POST /v1/models/plates/inspect HTTP/1.1\r\nHost: localhost\r\nOrigin: http://[\r\n\r\n", 403),
        (b"GET /v1/inspections/a%00b HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    ):
        assert status(spoken(service, head)) == expected, head
    parts = b"".join(b'--e\r\nContent-Disposition: form-data; name="z"\r\n\r\n\r\n' for _ in range(200))
    kind = {"Content-Type": "multipart/form-data; boundary=e"}
    code, body, _ = service.request("POST", "/v1/models/plates/inspect", parts + b"--e--\r\n", kind)
    assert (code, "parts" in json.loads(body)["detail"]) == (413, True)
