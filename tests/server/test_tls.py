"""The service speaks HTTPS by itself, with a certificate of one's own."""

from __future__ import annotations

import datetime
import ipaddress
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.server.conftest import photo
from tests.server.processes import Service


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "station")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "key.pem").write_bytes(private)
    return folder / "cert.pem", folder / "key.pem"


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
    command = [sys.executable, "-m", "differnet", "serve", str(tmp_path / "models"), "--data", str(tmp_path / "data")]
    for chain, key in ((certificate[1], certificate[1]), (tmp_path / "none", certificate[1])):
        given = [*command, "--port", "0", "--tls-cert", str(chain), "--tls-key", str(key)]
        done = subprocess.run(given, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "cannot be used" in done.stderr
        assert "Traceback" not in done.stderr
