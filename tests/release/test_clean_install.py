"""What a user gets from an index: the wheels, built, checked, installed in clean environments, and used."""

from __future__ import annotations

import functools
import http.server
import json
import os
import subprocess
import sys
import tarfile
import threading
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import plate

PROJECT = Path(__file__).parents[2]
TOOLS = Path(sys.executable).parent
HOME = "https://forge.example/differnet"
# torch's CPU build alone is 0.79 GB of it.
LARGEST_INSTALL = 1.2e9


def run(*words: str | Path, **environment: str) -> str:
    env = {**os.environ, **environment}
    env.pop("PYTHONPATH", None)  # the checkout's own code must not be what is tested
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False, env=env, cwd="/")
    assert done.returncode == 0, f"{words}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    for project in (PROJECT, PROJECT / "runtime"):
        run(sys.executable, "-m", "build", "--quiet", "--outdir", folder, project, DIFFERNET_REPOSITORY=HOME)
    return folder


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files, without a line for each."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def index(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A package index on this machine, beside the usual one."""
    root = tmp_path_factory.mktemp("index")
    for wheel in dist.glob("*.whl"):
        folder = root / wheel.name.split("-")[0].replace("_", "-")
        folder.mkdir()
        (folder / wheel.name).write_bytes(wheel.read_bytes())
    handler = functools.partial(Quiet, directory=str(root))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def install(folder: Path, index: str, *requirements: str) -> Path:
    """A new environment with these packages; returns the folder of its commands."""
    venv.create(folder, with_pip=True)
    commands = folder / ("Scripts" if os.name == "nt" else "bin")
    listed = run(sys.executable, "-m", "pip", "config", "get", "global.extra-index-url") if has_extra_index() else ""
    extra = " ".join([index, listed.strip()]).strip()
    words = [
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
        "-c",
        str(PROJECT / "constraints.txt"),
    ]
    run(commands / "python", "-m", "pip", *words, *requirements, PIP_EXTRA_INDEX_URL=extra)
    return commands


def has_extra_index() -> bool:
    command = [sys.executable, "-m", "pip", "config", "get", "global.extra-index-url"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_distributions_pass_the_checks_of_an_index(dist: Path) -> None:
    files = sorted(dist.iterdir())
    assert len(files) == 4
    run(TOOLS / "twine", "check", "--strict", *files)
    run(TOOLS / "check-wheel-contents", *dist.glob("*.whl"))


def test_wheels_hold_the_package_its_licence_and_whole_metadata(dist: Path) -> None:
    for wheel in dist.glob("*.whl"):
        with zipfile.ZipFile(wheel) as file:
            names = file.namelist()
            metadata = message_from_bytes(file.read(next(name for name in names if name.endswith("/METADATA"))))
        assert any(name.endswith("licenses/LICENSE") for name in names)
        assert any(name.endswith("py.typed") for name in names)
        assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]
        assert metadata["Author"] == "differnet developers"
        assert metadata["License-Expression"] == "Apache-2.0"
        assert metadata.get_all("Project-URL")
        assert metadata.get_payload()
    whole = next(dist.glob("differnet-*.whl"))
    assert whole.stat().st_size < 2e6
    with zipfile.ZipFile(whole) as file:
        text = file.read(next(name for name in file.namelist() if name.endswith("/METADATA"))).decode()
        assert any(name.endswith("web/index.html") for name in file.namelist())
    assert f"]({HOME}/raw/main/docs/images/demo-explained.png)" in text
    assert "](docs/" not in text


def test_the_source_distribution_holds_what_its_tests_need_and_no_strays(dist: Path) -> None:
    sdist = next(dist.glob("differnet-*.tar.gz"))
    assert sdist.stat().st_size < 8e6
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
    assert {"Makefile", "LICENSE", "constraints.txt", "tests/conftest.py", "runtime/pyproject.toml"} <= names
    assert not [name for name in names if "__pycache__" in name or ".hypothesis" in name or name.endswith(".pyc")]


def test_one_line_brings_what_training_scoring_and_explaining_need(index: str, tmp_path: Path) -> None:
    commands = install(tmp_path / "environment", index, "differnet==0.1.0", "torch")
    size = sum(file.lstat().st_size for file in (tmp_path / "environment").rglob("*") if file.is_file())
    print(f"\nthe environment has {size / 1e9:.2f} GB")
    assert size <= LARGEST_INSTALL  # without bytecode, which pip adds unless told not to
    rng = np.random.default_rng(0)
    good = tmp_path / "good"
    good.mkdir()
    for i in range(24):
        Image.fromarray(plate(rng)).save(good / f"{i:02}.png")
    defective = tmp_path / "defective.png"
    Image.fromarray(plate(rng, "blot")).save(defective)
    model, program = tmp_path / "plate.safetensors", commands / "differnet"
    caches = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "TORCH_HOME": str(tmp_path / "cache")}
    doctor = json.loads(run(program, "doctor", "--json", **caches))
    assert doctor["ok"], doctor
    run(program, "train", good, "-o", model, "--set", "training.epochs=2", **caches)
    verdict = run(program, "score", model, defective, **caches)
    assert "defective.png" in verdict
    run(program, "explain", model, defective, "-o", tmp_path / "maps", **caches)
    assert [*(tmp_path / "maps").glob("*.png")]


def test_the_light_runtime_installs_without_torch(index: str, tmp_path: Path) -> None:
    commands = install(tmp_path / "environment", index, "differnet-runtime==0.1.0")
    assert "usage" in run(commands / "differnet-inspect", "--help").lower()
    listed = run(commands / "python", "-m", "pip", "list", "--disable-pip-version-check")
    assert "torch" not in listed
