"""The service as a process: killed under load, told to stop, and kept from those who may not."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from differnet.cli.main import app
from differnet.server.storage.database import Database, inspections
from differnet.server.storage.files import FileStore
from tests.prepared import run_prepared
from tests.server.conftest import photo
from tests.server.processes import Service

CLIENTS = 4


@pytest.fixture
def folder(model_file: Path, tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    shutil.copy(model_file, tmp_path / "models" / "plates.safetensors")
    return tmp_path


class Load:
    """Clients that post ever new images until the service is gone."""

    def __init__(self, service: Service) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self.sent: list[bytes] = []
        self._service = service
        self._photo = photo()
        self._threads = [threading.Thread(target=self._post, args=(client,)) for client in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(60)

    def _post(self, client: int) -> None:
        number = 0
        connection = http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=60)
        while True:
            content = self._photo + f"{client} {number}".encode()
            number += 1
            self.sent.append(content)
            try:
                connection.request(
                    "POST", "/v1/models/plates/inspect", content, {"Content-Type": "application/octet-stream"}
                )
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException):
                return
            if response.status != 200:
                return
            self.acknowledged[json.loads(body)["inspections"][0]["id"]] = content


def test_killed_under_load_it_loses_nothing_acknowledged_and_doubles_nothing(folder: Path, database_url: str) -> None:
    options = ("--database-url", database_url)
    with Service(folder / "models", folder / "data", *options) as service:
        load = Load(service)
        while len(load.acknowledged) < 25:
            time.sleep(0.01)
        assert service.stop(signal.SIGKILL) == -signal.SIGKILL
        load.wait()
    with Service(folder / "models", folder / "data", *options) as service:
        assert service.inspect(photo(1))[0] == 200
        assert service.stop() == 0
    database = Database(database_url)
    with database.reading() as connection:
        rows = connection.execute(sa.select(inspections.c.id, inspections.c.sha256)).all()
    database.close()
    recorded = {row.id: row.sha256 for row in rows}
    assert len(recorded) == len(rows)
    files = FileStore(folder / "data")
    for identity, content in load.acknowledged.items():
        assert recorded[identity] == sha256(content).hexdigest()
        assert files.image(recorded[identity]).read_bytes() == content
    # What was recorded but not acknowledged any more was sent all the same, and each content only once.
    assert max(Counter(row.sha256 for row in rows).values()) == 1
    known = {sha256(content).hexdigest() for content in (*load.sent, photo(1))}
    assert set(recorded.values()) <= known


def test_told_to_stop_it_finishes_what_is_in_flight(folder: Path) -> None:
    service = Service(folder / "models", folder / "data")
    service.preparation = lambda: None  # as users start it, in an interpreter of its own
    with service:
        listener = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        listener.request("GET", "/v1/events")
        events = listener.getresponse()
        assert events.readline() == b": hello\n"
        _, inspected = service.inspect(photo(99))
        assert [events.readline() for _ in range(2)] == [b"\n", b"event: inspection\n"]
        assert json.loads(events.readline().removeprefix(b"data: ")) == inspected["inspections"][0]
        files = b"".join(
            b'--e\r\nContent-Disposition: form-data; name="images"; filename="%d"\r\n\r\n%s\r\n' % (i, photo(i))
            for i in range(40)
        )
        answers: list[tuple[int, bytes, dict[str, str]]] = []
        headers = {"Content-Type": "multipart/form-data; boundary=e"}
        body = files + b"--e--\r\n"
        post = threading.Thread(
            target=lambda: answers.append(service.request("POST", "/v1/models/plates/inspect", body, headers))
        )
        post.start()
        while "differnet_waiting_images 0.0" in service.request("GET", "/metrics")[1].decode():
            time.sleep(0.01)
        assert service.stop() == 0
        post.join(60)
        status, answer, _ = answers[0]
        assert status == 200
        assert sum("decision" in entry for entry in json.loads(answer)["inspections"]) == 40
        events.read()  # its end has come too
    database = Database.in_folder(folder / "data")
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(inspections)) == 41
    database.close()


def test_it_does_not_listen_to_others_without_a_key(folder: Path) -> None:
    words = ["serve", str(folder / "models"), "--host", "0.0.0.0", "--port", "0", "--data", str(folder / "data")]
    done = run_prepared(words, os.environ)
    assert done.returncode == 1
    assert f"differnet keys create --role admin --data {folder / 'data'}" in done.stderr


def test_keys_come_from_the_command_line_and_work_at_once(folder: Path) -> None:
    def keys(*words: str) -> str:
        result = CliRunner().invoke(app, ["keys", *words, "--data", str(folder / "data")])
        assert result.exit_code == 0, result.output
        return result.stdout

    secret = keys("create", "--role", "inspect", "--name", "line 3").strip()
    with Service(folder / "models", folder / "data") as service:
        assert service.get("/v1/models")[0] == 401
        assert service.request("GET", "/v1/models", headers={"X-API-Key": secret})[0] == 200
        assert service.request("GET", "/v1/models", headers={"Authorization": f"Bearer {secret}"})[0] == 200
        listed = keys("list")
        assert "inspect" in listed and "line 3" in listed and secret not in listed
        keys("revoke", listed.split("\t")[0])
        for _ in range(100):
            status, body, _ = service.request("GET", "/v1/models", headers={"X-API-Key": secret})
            if status == 401:
                break
            time.sleep(0.1)
        # The last key is gone: the service must not be open because of that.
        assert (status, json.loads(body)["detail"][:3]) == (401, "The")
        assert service.get("/v1/models")[0] == 401
        assert service.stop() == 0
        assert secret not in service.log.read_text()
    for file in (folder / "data").glob("differnet.db*"):
        assert secret.encode() not in file.read_bytes()


def test_a_client_that_sends_slowly_or_goes_away_holds_up_nobody(folder: Path) -> None:
    head = b"POST /v1/models/plates/inspect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50000000\r\n\r\n"
    with Service(folder / "models", folder / "data", "--max-waiting", "4") as service:
        slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(40)]
        for connection in slow:
            connection.sendall(head + photo()[:1000])
        assert service.inspect(photo())[0] == 200
        for connection in slow:
            connection.close()
        assert service.inspect(photo(1))[0] == 200
        # A body that is announced too large is refused, and the client hears it though it is still sending.
        status, body, _ = service.request("POST", "/v1/models/plates/inspect", bytes(80 << 20))
        assert (status, b"MiB" in body) == (413, True)
        assert service.stop() == 0


def test_the_log_is_json_and_tells_who_asked_what(folder: Path) -> None:
    with Service(folder / "models", folder / "data") as service:
        service.inspect(photo())
        service.get("/nowhere")
        assert service.stop() == 0
        lines = [json.loads(line) for line in service.log.read_text().splitlines() if line != "stopped."]
    requests = [line for line in lines if line["event"] == "request"]
    posted = next(line for line in requests if line["method"] == "POST")
    assert (posted["path"], posted["status"], posted["client"]) == ("/v1/models/plates/inspect", 200, "127.0.0.1")
    assert posted["milliseconds"] > 0
    assert any(line["status"] == 404 for line in requests)
    assert any(line["event"] == "model loaded" and line["model"] == "plates" for line in lines)


def test_one_service_to_a_folder_and_json_alone_on_stderr(folder: Path) -> None:
    with Service(folder / "models", folder / "data") as service:
        words = ["serve", str(folder / "models"), "--data", str(folder / "data"), "--port", "0"]
        other = run_prepared(words, os.environ)
        assert other.returncode == 1
        assert "another service uses this data folder" in other.stderr
        damaged = bytearray(photo(1, kind="TIFF"))
        damaged[40:60] = bytes(20)
        damaged[-30:] = bytes(30)
        service.inspect(bytes(damaged))
        service.inspect(photo(2, kind="JPEG")[:-400] + b"\xff\xd9")
        assert service.inspect(photo(3))[0] == 200
        assert service.stop() == 0
        lines = service.log.read_text().splitlines()
        assert lines
        for line in lines:
            assert json.loads(line)["event"], line
    for name in ("differnet.db", "differnet.db-wal"):
        file = folder / "data" / name
        assert not file.exists() or file.stat().st_mode & 0o777 == 0o600
