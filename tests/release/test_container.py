"""The image is built from the Dockerfile and serves: health, a verdict, a heat map, SIGTERM. `make test-container`.

It takes root, podman, runc and mmdebstrap of Debian, and ten minutes. The base image is made here, of Debian's
packages, under the name that the Dockerfile gives; where that can be pulled, Docker does the same with the real one.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from differnet import DifferNet
from differnet.settings import preset
from tests.conftest import SMALL, plate

PROJECT = Path(__file__).parents[2]
STORE = Path(os.environ.get("DIFFERNET_CONTAINER_STORE", "/var/tmp/differnet-containers"))
BASE, IMAGE = "docker.io/library/python:3.11-slim", "localhost/differnet:test"
PORT = 18437
LARGEST_IMAGE = 1.3e9

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("podman", "runc", "mmdebstrap")), reason="podman, runc and mmdebstrap"
)


def podman(*words: str | Path, check: bool = True, both: bool = False) -> str:
    """Run podman as it works without any service or kernel module: root, plain folders, runc."""
    store = ["--root", str(STORE / "root"), "--runroot", str(STORE / "run"), "--storage-driver", "vfs"]
    command = ["podman", *store, "--runtime", "runc", "--cgroup-manager", "cgroupfs", *map(str, words)]
    errors = subprocess.STDOUT if both else subprocess.PIPE
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=errors, text=True, check=False)
    if check and done.returncode != 0:
        raise AssertionError(
            f"podman {words[0]} ended with {done.returncode}:\n{done.stdout[-3000:]}{(done.stderr or '')[-3000:]}"
        )
    return done.stdout.strip()


def base_image() -> None:
    """Debian with Python, under the name of Docker's official image, unless it is there."""
    if podman("images", "-q", BASE):
        return
    tarball = STORE / "base.tar"
    without = [f"--dpkgopt=path-exclude=/usr/share/{part}/*" for part in ("doc", "man", "locale")]
    subprocess.run(
        ["mmdebstrap", "--mode=root", "--variant=minbase", '--aptopt=APT::Install-Recommends "false"', *without]
        + ["--include=ca-certificates,python3,python3-venv,python-is-python3", "bookworm", str(tarball)]
        + [str(file) for file in sorted(Path("/etc/apt/sources.list.d").glob("debian.sources"))],
        check=True,
        capture_output=True,
    )
    podman("import", tarball, BASE)
    tarball.unlink()


def pip_as_here() -> list[str]:
    """What makes pip in the build find what pip finds here: its configuration, and the folders that it names."""
    lines, places = ["[global]"], []
    for name in ("cert", "find-links", "extra-index-url", "index-url", "timeout"):
        command = [sys.executable, "-m", "pip", "config", "get", f"global.{name}"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        value = os.environ.get(f"PIP_{name.upper().replace('-', '_')}") or asked.stdout.strip()
        if value:
            lines.append(f"{name} = {value}")
            words = value.split()
            places += [Path(word) for word in words if word.startswith("/")]
            # Beside an index lie the files that it names.
            places += [Path(word.removeprefix("file://")).parent for word in words if word.startswith("file:///")]
    if len(lines) == 1:
        return []
    (STORE / "pip.conf").write_text("\n".join([*lines, ""]))
    volumes = [f"{STORE / 'pip.conf'}:/etc/pip.conf:ro", *(f"{place}:{place}:ro" for place in places if place.exists())]
    return [word for volume in volumes for word in ("--volume", volume)] + ["--build-arg", "PIP_EXTRA_INDEX_URL="]


@pytest.fixture(scope="module")
def image() -> str:
    STORE.mkdir(parents=True, exist_ok=True)
    if os.environ.get("DIFFERNET_CONTAINER_BUILT"):  # by an earlier run, which is to be looked at again
        return IMAGE
    base_image()
    started = time.monotonic()
    # Docker's format, for the other one has no health check. Plain folders hold a layer as a whole copy: one layer a
    # stage keeps them below 10 GB.
    podman(
        "build", "--format", "docker", "--layers=false", "--network", "host", *pip_as_here(), "--tag", IMAGE, PROJECT
    )
    podman("image", "prune", "--force")
    size = int(podman("image", "inspect", "--format", "{{.Size}}", IMAGE))
    print(f"\nbuilt in {time.monotonic() - started:.0f} s, {size / 1e9:.2f} GB")
    return IMAGE


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of the default's extractor, trained outside, which user 10001 may read."""
    rng = np.random.default_rng(0)
    settings = preset("default").with_overrides({**SMALL, "extractor.name": "efficientnet-lite0"})
    model = DifferNet(settings, device="cpu").fit([plate(rng) for _ in range(24)])
    folder = Path(tmp_path_factory.mktemp("models"))
    model.save(folder / "plate.safetensors")
    for place in (folder, *folder.parents[:2]):
        place.chmod(0o755)
    return folder


@pytest.fixture
def container(image: str, models: Path) -> Iterator[str]:
    name = f"differnet-{uuid.uuid4().hex[:8]}"
    data = f"{name}-data"
    # Podman raises the limits to its own, which takes a capability.
    limits = ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
    isolated = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL", *limits]
    common = ["--network", "host", "--volume", f"{data}:/data", *isolated]
    key = json.loads(podman("run", "--rm", *common, image, "keys", "create", "--role", "admin", "--json"))
    options = ["--volume", f"{models}:/models:ro", "--env", f"DIFFERNET_PORT={PORT}", "--health-interval", "disable"]
    podman("run", "--detach", "--name", name, *common, *options, image)
    yield f"{name} {key['key']}"
    podman("rm", "--force", name, check=False)
    podman("volume", "rm", data, check=False)


def log_of(name: str) -> str:
    """What the service said, on both of its outputs."""
    return podman("logs", name, both=True)


def ask(path: str, key: str, body: bytes | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}{path}", body, {"X-API-Key": key})
    if body is not None:
        request.add_header("Content-Type", "image/png")
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        return 0, str(error).encode()


def until_ready(key: str, name: str) -> None:
    for _ in range(120):
        if ask("/readyz", key)[0] == 200:
            return
        time.sleep(0.5)
    raise AssertionError(f"{ask('/readyz', key)}\n{log_of(name)}")


def test_the_image_is_small(image: str) -> None:
    assert int(podman("image", "inspect", "--format", "{{.Size}}", image)) <= LARGEST_IMAGE


def test_an_image_is_inspected_and_explained_and_the_service_stops_in_order(container: str, tmp_path: Path) -> None:
    name, key = container.split()
    until_ready(key, name)
    podman("healthcheck", "run", name)
    file = tmp_path / "part.png"
    Image.fromarray(plate(np.random.default_rng(5), "scratch")).save(file)
    status, body = ask("/v1/models/plate/inspect", key, file.read_bytes())
    assert status == 200, body
    (verdict,) = json.loads(body)["inspections"]
    print(f"verdict: {verdict}")
    assert verdict["decision"] == "reject"
    status, heat = ask(f"/v1/inspections/{verdict['id']}/heatmap.png", key)
    assert status == 200
    assert heat[:8] == b"\x89PNG\r\n\x1a\n"
    assert ask("/", key)[0] == 200
    started = time.monotonic()
    podman("stop", "--time", "60", name)
    assert time.monotonic() - started < 30
    assert podman("inspect", "--format", "{{.State.ExitCode}}", name) == "0"
    log = log_of(name)
    print(log[-3000:])


def test_a_service_without_a_model_it_can_serve_is_not_healthy(container: str, models: Path) -> None:
    name, key = container.split()
    until_ready(key, name)
    hidden = models / "plate.hidden"
    (models / "plate.safetensors").rename(hidden)
    try:
        poll = functools.partial(ask, "/readyz", key)
        for _ in range(40):
            if poll()[0] == 503:
                break
            time.sleep(0.5)
        assert ask("/healthz", key)[0] == 200
        with pytest.raises(AssertionError, match="healthcheck ended with 1:"):
            podman("healthcheck", "run", name)
    finally:
        hidden.rename(models / "plate.safetensors")
