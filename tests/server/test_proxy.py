"""The service behind a real nginx, with the very configuration of the documentation; `make test-proxy` installs it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from differnet.server.storage.database import Database
from differnet.server.storage.keyring import KeyRing
from tests.server.certificates import make_certificate
from tests.server.conftest import photo
from tests.server.processes import Service

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SITE = Path(__file__).parents[2] / "docs" / "nginx.conf"
# Around the documented server: what a distribution's own nginx.conf says.
AROUND = """
daemon off; {user} pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
INSPECT = "/v1/models/plates/inspect"

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not installed; see 'make test-proxy'")


class Proxy:
    """A running nginx before a running service; a client elsewhere has another address than nginx."""

    client = "127.0.0.2"

    def __init__(self, service: Service, port: int, trusted: ssl.SSLContext) -> None:
        self.service, self.port, self._trusted = service, port, trusted
        self.name = f"station.example:{port}"
        self.secret = ""

    def connect(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=60, context=self._trusted, source_address=(self.client, 0)
        )

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of an answer; in names of headers that are given, ``_`` stands for ``-``."""
        given = {"Host": self.name, "X-API-Key": self.secret}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        connection = self.connect()
        try:
            connection.request(method, path, body, given)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()


@pytest.fixture(scope="module")
def proxy(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("proxy")
    (folder / "models").mkdir()
    shutil.copy(model_file, folder / "models" / "plates.safetensors")
    chain, key = make_certificate(folder, "station.example")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    options = ("--public-name", f"station.example:{port}", "--forwarded-allow-ips", "127.0.0.1")
    with Service(folder / "models", folder / "data", *options) as service:
        site = SITE.read_text()
        for documented, here in (
            ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
            ("/etc/ssl/station/chain.pem", str(chain)),
            ("/etc/ssl/station/key.pem", str(key)),
            ("http://127.0.0.1:8080;", f"http://127.0.0.1:{service.port};"),
        ):
            assert site.count(documented) == 1, documented
            site = site.replace(documented, here)
        (folder / "site.conf").write_text(site)
        user = "user root;" if os.geteuid() == 0 else ""  # pytest's folders are closed to others
        (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user=user))
        command = [str(NGINX), "-p", str(folder), "-c", str(folder / "nginx.conf")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as nginx:
            running = Proxy(service, port, ssl.create_default_context(cafile=str(chain)))
            for _ in range(200):
                try:
                    running.connect().connect()
                    break
                except OSError:
                    assert nginx.poll() is None, (folder / "error.log").read_text()
                    time.sleep(0.05)
            yield running
            nginx.terminate()


@pytest.fixture
def keyed(proxy: Proxy) -> Proxy:
    if not proxy.secret:
        database = Database.in_folder(proxy.service.data)
        proxy.secret = KeyRing(database).create("admin", "admin")[1]
        database.close()
    return proxy


def test_without_keys_nobody_comes_through(proxy: Proxy) -> None:
    assert proxy.secret == ""  # this test comes first
    for path in ("/", "/v1/models", "/healthz"):
        status, body, _ = proxy.ask("GET", path)
        assert (status, json.loads(body)["detail"].endswith(".")) == (403, True)
    assert proxy.ask("POST", INSPECT, photo())[0] == 403
    assert proxy.service.get("/v1/models")[0] == 200


def test_with_a_key_images_are_inspected_and_without_it_they_are_not(keyed: Proxy) -> None:
    status, body, _ = keyed.ask("POST", INSPECT, photo(), Content_Type="image/png")
    assert status == 200, body
    assert keyed.ask("POST", INSPECT, photo(), X_API_Key="")[0] == 401
    assert keyed.ask("GET", "/")[0] == 200


def test_address_and_scheme_are_the_clients(keyed: Proxy) -> None:
    _, _, headers = keyed.ask("GET", "/v1/models", X_Forwarded_For="203.0.113.9", X_Forwarded_Proto="ftp")
    assert keyed.service.logged(headers["x-request-id"])["client"] == keyed.client
    status, _, headers = keyed.ask("GET", "/v1/models/")
    assert (status, headers["location"]) == (307, f"https://{keyed.name}/v1/models")
    # Whoever is no trusted proxy is not believed.
    connection = http.client.HTTPConnection(
        "127.0.0.1", keyed.service.port, timeout=60, source_address=("127.0.0.3", 0)
    )
    connection.request("GET", "/v1/models", headers={"X-API-Key": keyed.secret, "X-Forwarded-For": "203.0.113.9"})
    identity = connection.getresponse().getheader("X-Request-Id")
    connection.close()
    assert keyed.service.logged(str(identity))["client"] == "127.0.0.3"


def test_host_and_origin_are_compared_with_the_public_name(keyed: Proxy) -> None:
    for host, origin, expected in (
        (keyed.name, f"https://{keyed.name}", 200),
        (keyed.name, f"http://127.0.0.1:{keyed.service.port}", 403),
        (keyed.name, "https://evil.example", 403),
        (keyed.name, "null", 403),
        ("evil.example", "https://evil.example", 403),
    ):
        status, _, _ = keyed.ask("POST", INSPECT, photo(), Host=host, Origin=origin, Content_Type="image/png")
        assert status == expected, (host, origin)


def test_large_uploads_pass_and_what_is_too_large_is_told_by_the_service(keyed: Proxy) -> None:
    assert keyed.ask("POST", INSPECT, photo() + bytes(20_000_000), Content_Type="image/png")[0] == 200
    status, body, _ = keyed.ask("POST", INSPECT, photo() + bytes(65 << 20), Content_Type="image/png")
    assert (status, "MiB" in json.loads(body)["detail"]) == (413, True)
    assert keyed.ask("POST", INSPECT, photo() + bytes(20_000_000), X_API_Key="dn_guess")[0] == 401


def test_events_come_as_they_happen(keyed: Proxy) -> None:
    connection = keyed.connect()
    connection.request("GET", "/v1/events", headers={"Host": keyed.name, "X-API-Key": keyed.secret})
    stream = connection.getresponse()
    assert stream.readline().startswith(b": hello")
    _, body, _ = keyed.ask("POST", INSPECT, photo(3), Content_Type="image/png")
    identity = json.loads(body)["inspections"][0]["id"]
    connection.sock.settimeout(10)
    while not (line := stream.readline()).startswith(b"data: "):
        assert line
    assert json.loads(line[6:])["id"] == identity
    connection.close()
