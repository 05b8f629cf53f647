"""Exported files, run by ONNX Runtime and by OpenVINO, say what the model says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from differnet import DifferNet, Failure
from differnet.errors import ModelFileError, OutputError, SettingsError
from differnet.export.parity import Comparison, Parity, compare
from differnet.export.seal import sealed
from differnet.export.targets import Engine, open_engine
from differnet.export.targets.onnx import OPSET
from differnet.export.write import export_model
from differnet.model_file.bundle import read_manifest
from differnet.model_file.manifest import Manifest
from tests.export.files import Exported, exported, inspected, tall


@pytest.fixture(params=["onnx", "openvino"])
def engine(request: pytest.FixtureRequest, files: Exported) -> Engine:
    return open_engine(getattr(files, request.param), threads=1)


@pytest.fixture
def model(files: Exported) -> DifferNet:
    return DifferNet.load(files.model, device="cpu")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, "plain")


def images_for(model: DifferNet) -> list[NDArray[np.uint8]]:
    return inspected() if model.region is None else [tall(image) for image in inspected()]


def test_scores_decisions_p_values_and_maps_agree(model: DifferNet, engine: Engine) -> None:
    parity = Parity([result for result in compare(model, engine, images_for(model)) if isinstance(result, Comparison)])
    outcome = parity.to_dict()
    assert outcome["images"] == len(inspected())
    assert outcome["agrees"], outcome
    assert outcome["max_difference"] < 1e-4
    assert outcome["max_p_value_difference"] < 1e-5
    assert outcome["max_map_difference"] < 1e-3
    # Not all images alike, or agreement would say little.
    assert len({image.decision for image in parity.images}) > 1


def test_images_of_any_size_agree(plain: Exported) -> None:
    model = DifferNet.load(plain.model, device="cpu")
    rng = np.random.default_rng(0)
    sizes = [(16, 16), (128, 128), (97, 300), (333, 90), (640, 480)]
    images = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]
    for file in (plain.onnx, plain.openvino):
        results = list(compare(model, open_engine(file, threads=1), images))
        assert all(isinstance(result, Comparison) and result.agrees for result in results), results


def test_the_file_says_what_it_is(files: Exported, engine: Engine) -> None:
    manifest = read_manifest(files.model)
    assert Manifest.model_validate(engine.manifest) == manifest
    assert engine.about["outputs"] == ["score", "p_value", "margin", "decision", "map"]
    assert engine.about["opset"] == OPSET
    assert engine.about["precision"] == "float32"


def test_the_onnx_file_is_one_valid_graph(files: Exported) -> None:
    graph = onnx.load(files.onnx)
    onnx.checker.check_model(graph)
    assert [(opset.domain, opset.version) for opset in graph.opset_import] == [("", OPSET)]
    assert [(i.name, i.type.tensor_type.elem_type) for i in graph.graph.input] == [("image", onnx.TensorProto.UINT8)]
    assert {file.name for file in files.onnx.parent.iterdir()} >= {"model.onnx", "model.xml", "model.bin"}
    assert not list(files.onnx.parent.glob(".model*"))  # nothing is left over


def test_another_model_and_a_later_calibration_are_told(
    plain: Exported, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = DifferNet.load(exported(tmp_path_factory, "local").model, device="cpu")
    with pytest.raises(ModelFileError, match="was made from the model"):
        next(compare(other, open_engine(plain.onnx), inspected()))
    model = DifferNet.load(plain.model, device="cpu")
    model.calibrate(false_reject_rate=0.4)
    with pytest.raises(ModelFileError, match="export it again"):
        next(compare(model, open_engine(plain.onnx), inspected()))


def test_a_difference_is_found(plain: Exported) -> None:
    model = DifferNet.load(plain.model, device="cpu")
    engine = open_engine(plain.onnx)
    for member in model.flow.parameters():
        member.data *= 1.01  # a model that scores otherwise, under the same name
    parity = Parity([result for result in compare(model, engine, inspected()) if isinstance(result, Comparison)])
    assert not parity.to_dict()["agrees"]
    assert parity.differing


def test_images_that_cannot_be_used_are_named_and_skipped(plain: Exported, tmp_path: Path) -> None:
    model = DifferNet.load(plain.model, device="cpu")
    results = list(compare(model, open_engine(plain.onnx), [tmp_path / "none.png", inspected()[0]]))
    assert isinstance(results[0], Failure)
    assert "no such file" in results[0].reason
    assert isinstance(results[1], Comparison)


def test_files_that_are_none_are_refused(tmp_path: Path, plain: Exported) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(plain.onnx.read_bytes()[:5000])
    foreign = tmp_path / "foreign.onnx"
    graph = onnx.load(plain.onnx)
    del graph.metadata_props[:]
    onnx.save(graph, foreign)
    newer = tmp_path / "newer.onnx"
    graph = onnx.load(plain.onnx)
    for entry in graph.metadata_props:
        if entry.key == "export":
            entry.value = json.dumps({**json.loads(entry.value), "export_version": 99})
    newer.write_bytes(sealed(graph.SerializeToString()))
    lonely = tmp_path / "lonely.xml"
    lonely.write_bytes(plain.openvino.read_bytes())
    for file, reason in [
        (tmp_path / "none.onnx", "no such file"),
        (plain.model, "neither .onnx nor .xml"),
        (broken, "cannot be opened"),
        (foreign, "was not exported by differnet"),
        (newer, "upgrade differnet"),
        (lonely, "cannot be opened"),
    ]:
        with pytest.raises(ModelFileError, match=reason) as raised:
            open_engine(file)
        assert str(file) in str(raised.value)


def test_what_cannot_be_exported_is_told(plain: Exported, tmp_path: Path) -> None:
    model = DifferNet.load(plain.model, device="cpu")
    with pytest.raises(SettingsError, match=r"named \*\.onnx"):
        export_model(model, tmp_path / "model.xml")
    with pytest.raises(SettingsError, match="no format"):
        export_model(model, tmp_path / "model.onnx", "tensorrt")
    with pytest.raises(SettingsError, match="no precision"):
        export_model(model, tmp_path / "model.onnx", precision="int8")
    with pytest.raises(OutputError, match="folder that exists"):
        export_model(model, tmp_path / "none" / "model.onnx")
