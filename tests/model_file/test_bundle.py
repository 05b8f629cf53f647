"""The model file: nothing lost, nothing executed, every damage named."""

from __future__ import annotations

import json
import os
import pickle
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from differnet.errors import ModelFileError, OutputError, WeightsError
from differnet.extractors.alexnet import AlexNet
from differnet.extractors.checkpoints import read_checkpoint
from differnet.model_file.bundle import read_bundle, read_manifest, write_bundle
from differnet.model_file.manifest import FORMAT_VERSION, Manifest, TrainingRecord
from differnet.settings import preset


def make_manifest() -> Manifest:
    return Manifest(
        package_version="0.1.0",
        created=datetime(2026, 1, 2, tzinfo=timezone.utc),
        settings=preset("paper"),
        features=4,
        extractor_sha256="0" * 64,
        model_id="0" * 12,
        training=TrainingRecord(origin="trained", images=3, loss=-1.5),
    )


def write_raw(path: Path, metadata: dict[str, str] | None) -> None:
    save_file({"a": torch.zeros(2)}, path, metadata)


def manifest_fields() -> dict[str, object]:
    fields: dict[str, object] = json.loads(make_manifest().model_dump_json())
    return fields


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    tensors = {"a": torch.randn(3, 2).t(), "b": torch.arange(4), "empty": torch.empty(0)}
    write_bundle(file, make_manifest(), tensors)
    manifest, read = read_bundle(file)
    assert manifest == make_manifest() == read_manifest(file)
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(read[name], tensor)
        assert read[name].dtype == tensor.dtype


def test_what_was_read_does_not_change_with_the_file(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    write_bundle(file, make_manifest(), {"a": torch.ones(100_000)})
    read = read_bundle(file)[1]["a"]
    with file.open("r+b") as stream:  # in place, as cp does
        stream.write(bytes(file.stat().st_size))
    assert read.eq(1).all()
    file.write_bytes(b"")  # mapped memory would now end the process
    assert read.eq(1).all()


def test_writing_replaces_a_file_whole_and_leaves_no_parts(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_text("old")
    write_bundle(file, make_manifest(), {"a": torch.zeros(1)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]
    assert read_manifest(file) == make_manifest()


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    folder = tmp_path / "m.safetensors"
    folder.mkdir()
    with pytest.raises(OutputError, match=r"m\.safetensors"):
        write_bundle(folder, make_manifest(), {"a": torch.zeros(1)})
    assert [entry.name for entry in tmp_path.iterdir()] == ["m.safetensors"]


def test_an_output_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists"):
        write_bundle(tmp_path / "none" / "m.safetensors", make_manifest(), {})


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    with pytest.raises(ModelFileError, match="no such model file"):
        read_manifest(file)
    with pytest.raises(ModelFileError, match=str(tmp_path)):
        read_manifest(tmp_path)
    write_raw(file, None)
    with pytest.raises(ModelFileError, match="not written by differnet"):
        read_bundle(file)
    write_raw(file, {"format": "pt"})
    with pytest.raises(ModelFileError, match="not written by differnet"):
        read_bundle(file)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.99])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, share: float) -> None:
    file = tmp_path / "m.safetensors"
    write_bundle(file, make_manifest(), {"a": torch.zeros(1000)})
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelFileError, match="damaged"):
        read_bundle(file)


def test_a_pickle_is_refused_and_not_executed(tmp_path: Path) -> None:
    witness = tmp_path / "executed"

    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (str(witness),)

    file = tmp_path / "m.safetensors"
    file.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(ModelFileError):
        read_bundle(file)
    assert not witness.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": FORMAT_VERSION + 1}, "upgrade"),
        ({"format_version": FORMAT_VERSION - 1}, "train the model again"),
        ({"format_version": "x"}, "damaged"),
        ({"features": 1}, "features"),
        ({"extractor_sha256": "xyz"}, "extractor_sha256"),
        ({"training": {"origin": "elsewhere"}}, "training.origin"),
        ({"unknown": 1}, "unknown"),
        ({"settings": {"flow": {"hidden": -1}}}, "settings.flow.hidden"),
    ],
)
def test_every_field_of_the_manifest_is_checked(tmp_path: Path, change: dict[str, object], message: str) -> None:
    file = tmp_path / "m.safetensors"
    write_raw(file, {"format": "differnet", "manifest": json.dumps(manifest_fields() | change)})
    with pytest.raises(ModelFileError, match=message):
        read_manifest(file)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "{}", "null", '{"format_version": 1}', '{"format_version": 1e999}', '{"format_version": NaN}'),
        pytest.param("[" * 100_000 + "]" * 100_000, id="deep lists"),
        pytest.param('{"a":' * 10_000 + "1" + "}" * 10_000, id="deep tables"),
        pytest.param('{"format_version": ' + "9" * 5000 + "}", id="huge number"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "m.safetensors"
    write_raw(file, {"format": "differnet", "manifest": text})
    with pytest.raises(ModelFileError, match="manifest"):
        read_manifest(file)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no permissions to speak of")
def test_a_file_that_may_not_be_read_is_not_called_missing() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "m.safetensors"
        write_bundle(file, make_manifest(), {"a": torch.ones(2)})
        read_manifest(file)  # whatever is imported late
        Path(folder).chmod(0o755)
        file.chmod(0)
        me = os.geteuid()
        if me == 0:  # root may read everything
            os.seteuid(65534)
        try:
            with pytest.raises(ModelFileError, match="may not read it"):
                read_bundle(file)
            with pytest.raises(WeightsError, match="may not read it"):
                read_checkpoint(file, AlexNet)
        finally:
            os.seteuid(me)
