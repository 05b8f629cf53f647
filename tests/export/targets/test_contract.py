"""What every export target keeps, and that a new one is one class and one registration."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from differnet import DifferNet
from differnet.cli.main import app
from differnet.errors import MissingExtraError, ModelFileError
from differnet.export.graph import InspectionGraph
from differnet.export.targets import TARGETS, Engine, ExportTarget, open_engine
from differnet.export.targets.onnx import OnnxTarget, write_onnx
from differnet.files import staging
from differnet.model_file.bundle import read_manifest
from differnet.settings import preset
from tests.conftest import SMALL
from tests.export.files import Exported, exported, inspected, plates

RUNNER = CliRunner()


class PackedTarget(ExportTarget):
    """An ONNX file, compressed."""

    name = "packed"
    suffix = ".packed"
    packages = OnnxTarget.packages

    def write(self, graph: InspectionGraph, file: Path, metadata: Mapping[str, str]) -> tuple[Path, ...]:
        with staging(file) as folder:
            write_onnx(graph, folder / "model.onnx", metadata)
            (folder / "packed").write_bytes(gzip.compress((folder / "model.onnx").read_bytes(), 1))
            (folder / "packed").replace(file)
        return (file,)

    def open(self, file: Path, threads: int | None) -> Engine:
        with staging(file) as folder:
            (folder / "model.onnx").write_bytes(gzip.decompress(file.read_bytes()))
            return OnnxTarget().open(folder / "model.onnx", threads)


@pytest.fixture
def packed() -> Iterator[ExportTarget]:
    target = PackedTarget()
    TARGETS.register(target)
    yield target
    del TARGETS[target.name]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, "plain")


@pytest.fixture(scope="module")
def without_threshold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("no-threshold") / "model.safetensors"
    settings = preset("default").with_overrides({**SMALL, "training.epochs": 1, "calibration.method": "none"})
    DifferNet(settings, device="cpu").fit(plates(24)).save(file)
    return file


# What is written as ONNX the packed target writes too.
@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        *((name, ["score", "map"]) for name in TARGETS if name != "onnx"),
        ("packed", ["score", "p_value", "margin", "decision", "map"]),
    ],
)
@pytest.mark.usefixtures("packed")
def test_what_a_target_wrote_it_opens_again_and_it_agrees(
    name: str, outputs: list[str], plain: Exported, without_threshold: Path, tmp_path: Path
) -> None:
    file, model = tmp_path / f"m{TARGETS[name].suffix}", plain.model if "decision" in outputs else without_threshold
    done = RUNNER.invoke(app, ["export", str(model), "-o", str(file), "--to", name, "--map", "--json"])
    assert done.exit_code == 0, done.output
    assert ("no threshold" in done.stderr) == (model is without_threshold)
    document = json.loads(done.stdout)
    assert document["format"] == name
    written = [Path(entry["file"]) for entry in document["files"]]
    assert written[-1] == file
    assert [entry["bytes"] for entry in document["files"]] == [path.stat().st_size for path in written]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    images = tmp_path / "images"
    images.mkdir()
    for i, image in enumerate(inspected()):
        Image.fromarray(image).save(images / f"{i}.png")
    verified = RUNNER.invoke(app, ["verify", str(model), str(file), str(images), "--json"])
    assert verified.exit_code == 0, verified.output
    assert json.loads(verified.stdout)["agrees"]
    engine = open_engine(file, threads=1)
    assert engine.manifest["model_id"] == read_manifest(model).model_id
    found = engine(inspected()[0])
    assert list(found) == engine.about["outputs"] == outputs
    assert np.isfinite(found["score"])


@pytest.mark.parametrize("name", list(TARGETS))
def test_a_file_that_is_damaged_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"broken{TARGETS[name].suffix}"
    file.write_bytes(b"nothing")
    with pytest.raises(ModelFileError, match=r"broken.* cannot be opened"):
        open_engine(file)


def test_names_and_suffixes_are_given_once() -> None:
    assert len({target.suffix for target in TARGETS.values()}) == len(TARGETS)
    assert all(target.name == name for name, target in TARGETS.items())


def test_a_package_that_is_not_there_is_named_with_its_extra() -> None:
    class Demanding(PackedTarget):
        packages = ("onnx", "no_such_package")

    with pytest.raises(MissingExtraError, match=r"packed needs no_such_package; .*differnet\[export\]"):
        Demanding().check_packages()


def test_targets_are_named_without_importing_what_they_need() -> None:
    program = (
        "import sys, differnet.export.targets\n"
        "print(*{'torch', 'numpy', 'onnx', 'onnxruntime', 'openvino'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
