"""The service speaks HTTPS by itself, with a certificate of one's own."""

from __future__ import annotations

import os
import shutil
import ssl
import threading
from pathlib import Path

import pytest

from differnet.server.certificate import check_certificate
from tests.prepared import run_prepared
from tests.server.certificates import make_certificate
from tests.server.conftest import photo
from tests.server.processes import Service


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def test_it_speaks_https(model_file: Path, tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    (tmp_path / "models").mkdir()
    shutil.copy(model_file, tmp_path / "models" / "plates.safetensors")
    chain, key = map(str, certificate)
    service = Service(tmp_path / "models", tmp_path / "data", "--tls-cert", chain, "--tls-key", key)
    service.trusted = ssl.create_default_context(cafile=chain)
    with service:
        assert service.inspect(photo())[0] == 200
        own = {"Origin": f"https://127.0.0.1:{service.port}", "Content-Type": "application/octet-stream"}
        assert service.request("POST", "/v1/models/plates/inspect", photo(), own)[0] == 200
        assert service.stop() == 0


def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    (tmp_path / "models").mkdir()
    words = ["serve", str(tmp_path / "models"), "--data", str(tmp_path / "data")]
    for chain, key in ((certificate[1], certificate[1]), (tmp_path / "none", certificate[1])):
        given = [*words, "--port", "0", "--tls-cert", str(chain), "--tls-key", str(key)]
        done = run_prepared(given, os.environ)
        assert done.returncode == 1
        assert "cannot be used" in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("begins", "fault"), [(-3, "has expired"), (1, "is not valid yet"), (-1, None)])
def test_a_certificate_out_of_date_is_told_of(
    begins: int, fault: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_certificate(*make_certificate(tmp_path, begins=begins))
    assert all(str(fault) in message for message in caplog.messages)
    assert len(caplog.messages) == (fault is not None)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_for_a_certificate_is_not_waited_for(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    (tmp_path / "models").mkdir()
    os.mkfifo(tmp_path / "chain.pem")
    words = ["serve", str(tmp_path / "models"), "--data", str(tmp_path / "data"), "--port", "0"]
    given = [*words, "--tls-cert", str(tmp_path / "chain.pem"), "--tls-key", str(certificate[1])]
    # Who reads it all the same finds its end after a while.
    end = threading.Timer(30.0, os.close, (os.open(tmp_path / "chain.pem", os.O_RDWR),))
    end.start()
    done = run_prepared(given, os.environ)
    end.cancel()
    assert done.returncode == 1
    assert "not an ordinary file" in done.stderr
