"""The commands export and verify."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from differnet import DifferNet
from differnet.cli.main import app
from differnet.errors import ModelFileError
from tests.export.files import Exported, exported, inspected

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, "plain")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for i, image in enumerate(inspected()):
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize("format_", ["onnx", "openvino"])
def test_verify_says_that_they_agree(plain: Exported, images: Path, format_: str) -> None:
    result = RUNNER.invoke(app, ["verify", str(plain.model), str(getattr(plain, format_)), str(images), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["agrees"]
    assert document["images"] == len(inspected())
    assert document["max_difference"] <= document["tolerance"] == 1e-3
    assert document["decisions_differing"] == 0
    assert document["median_exported_milliseconds"] > 0
    assert document["precision"] == "float32"


def test_verify_fails_where_they_do_not(plain: Exported, images: Path, tmp_path: Path) -> None:
    # The same model, its flow replaced: what a damaged or exchanged file would be.
    model = DifferNet.load(plain.model, device="cpu")
    for tensor in model.flow.parameters():
        tensor.data *= 1.01
    changed = tmp_path / "changed.safetensors"
    model.save(changed)
    result = RUNNER.invoke(app, ["verify", str(changed), str(plain.onnx), str(images)])
    assert result.exit_code == 1
    assert "differs" in result.stdout


def test_verify_names_images_that_it_skips(plain: Exported, images: Path) -> None:
    (images / "broken.png").write_bytes(b"not an image")
    result = RUNNER.invoke(app, ["verify", str(plain.model), str(plain.onnx), str(images), "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["agrees"]
    assert [Path(skipped["path"]).name for skipped in document["skipped"]] == ["broken.png"]


@pytest.mark.parametrize("wrong", [["--to", "tensorrt"], ["--precision", "int4"]], ids=["format", "precision"])
def test_wrong_options_are_wrong_usage(plain: Exported, tmp_path: Path, wrong: list[str]) -> None:
    result = RUNNER.invoke(app, ["export", str(plain.model), "-o", str(tmp_path / "m.onnx"), *wrong])
    assert result.exit_code == 2
    assert wrong[1] in result.stderr


def test_a_file_that_is_no_model_is_told(plain: Exported, tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["export", str(plain.onnx), "-o", str(tmp_path / "m.onnx")])
    assert isinstance(result.exception, ModelFileError)
