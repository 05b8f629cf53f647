"""Any damage to a model file is seen when it is loaded."""

from __future__ import annotations

import json
import logging
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from differnet import DifferNet
from differnet.errors import ModelFileError
from differnet.model_file.bundle import read_bundle, read_manifest, write_bundle
from tests.conftest import plate


def with_metadata(source: Path, target: Path, changes: dict[str, str | None]) -> Path:
    """Write a model file again with other metadata; None removes an entry."""
    with safe_open(source, "pt") as file:
        metadata = {name: value for name, value in {**file.metadata(), **changes}.items() if value is not None}
        save_file({name: file.get_tensor(name) for name in file.keys()}, target, metadata)  # noqa: SIM118 - not a dict
    return target


def test_a_flipped_bit_anywhere_is_refused_or_changes_nothing(model_file: Path, tmp_path: Path) -> None:
    content = model_file.read_bytes()
    manifest, tensors = read_bundle(model_file)
    header = struct.unpack("<Q", content[:8])[0] + 8
    rng = np.random.default_rng(0)
    places = [*rng.integers(0, header, 100), *rng.integers(header, len(content), 100)]
    file, refused = tmp_path / "m.safetensors", 0
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        try:
            read = read_bundle(file)
        except ModelFileError:
            refused += 1
            continue
        assert read[0] == manifest
        assert read[1].keys() == tensors.keys()
        assert all(torch.equal(read[1][name], tensor) for name, tensor in tensors.items())
    assert refused > 190


def test_tensors_and_manifest_of_other_models_are_refused(model_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    manifest, tensors = read_bundle(model_file)
    write_bundle(tmp_path / "other.safetensors", manifest, tensors | {"calibration.peaks": torch.ones(3)})
    with safe_open(tmp_path / "other.safetensors", "pt") as other:
        digest = other.metadata()["tensors_sha256"]
    with pytest.raises(ModelFileError, match="tensors"):
        read_bundle(with_metadata(model_file, file, {"tensors_sha256": digest}))
    text = manifest.model_dump_json().replace('"seed":0', '"seed":1')
    with pytest.raises(ModelFileError, match="manifest"):
        read_manifest(with_metadata(model_file, file, {"manifest": text}))
    for lost in ("manifest_sha256", "tensors_sha256"):
        with pytest.raises(ModelFileError, match="digests"):
            read_manifest(with_metadata(model_file, file, {lost: None}))


def test_a_file_of_before_loads_with_a_word_and_scores_the_same(
    model_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    without: dict[str, str | None] = {"manifest_sha256": None, "tensors_sha256": None}
    earlier = with_metadata(model_file, tmp_path / "m.safetensors", without)
    image = plate(np.random.default_rng(3))
    with caplog.at_level(logging.WARNING):
        expected = DifferNet.load(model_file, device="cpu").inspect(image)
        assert not caplog.records
        assert DifferNet.load(earlier, device="cpu").inspect(image).score == expected.score
    assert "without a digest" in caplog.text


@pytest.mark.parametrize(
    "changes", [{"features": 10**9}, {"features": 10**9, "training": {"members": 50}}, {"training": {"members": 50}}]
)
def test_sizes_are_compared_with_the_tensors_before_memory_is_taken(
    model_file: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    manifest, tensors = read_bundle(model_file)
    fields = json.loads(manifest.model_dump_json())
    for name, value in changes.items():
        fields[name] = fields[name] | value if isinstance(value, dict) else value
    write_bundle(tmp_path / "m.safetensors", type(manifest).model_validate(fields), tensors)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match="train again"):
            DifferNet.load(tmp_path / "m.safetensors", device="cpu")
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_model_that_can_only_give_nan_is_refused(model_file: Path, tmp_path: Path, value: float) -> None:
    manifest, tensors = read_bundle(model_file)
    weight = tensors["flow.blocks.1.subnet2.2.weight"].clone()
    weight[0, 0] = value
    write_bundle(tmp_path / "m.safetensors", manifest, tensors | {"flow.blocks.1.subnet2.2.weight": weight})
    with pytest.raises(ModelFileError, match=r"subnet2\.2\.weight"):
        DifferNet.load(tmp_path / "m.safetensors", device="cpu")


@pytest.mark.parametrize("change", [(0, -1), (0, 10**9), (0, 2**62), (0, 1)])
def test_a_permutation_that_is_none_is_refused(model_file: Path, tmp_path: Path, change: tuple[int, int]) -> None:
    manifest, tensors = read_bundle(model_file)
    permutation = tensors["flow.blocks.0.permutation"].clone()
    permutation[change[0]] = permutation[1] if change[1] == 1 else change[1]
    write_bundle(tmp_path / "m.safetensors", manifest, tensors | {"flow.blocks.0.permutation": permutation})
    with pytest.raises(ModelFileError, match="permutation"):
        DifferNet.load(tmp_path / "m.safetensors", device="cpu")


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000 + "]" * 100_000, '{"a":' * 5000 + "1" + "}" * 5000, '{"format_version": 1e999}', '"3"', "9" * 5000],
)
def test_a_manifest_made_to_break_its_reader_is_refused(model_file: Path, tmp_path: Path, text: str) -> None:
    changes: dict[str, str | None] = {"manifest": text, "manifest_sha256": None, "tensors_sha256": None}
    with pytest.raises(ModelFileError, match="manifest is damaged"):
        read_manifest(with_metadata(model_file, tmp_path / "m.safetensors", changes))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_is_no_model_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.safetensors")
    for read in (read_manifest, read_bundle):
        with pytest.raises(ModelFileError, match="ordinary file"):
            read(tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError):
        read_manifest("a\0b.safetensors")


def test_a_file_larger_than_the_memory_is_refused_unread(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, file = model_file.read_bytes(), tmp_path / "m.safetensors"
    length = struct.unpack("<Q", content[:8])[0]
    table = json.loads(content[8 : 8 + length])
    end, size = len(content) - 8 - length, 400 << 20
    table["flow.more"] = {"dtype": "U8", "shape": [size - end], "data_offsets": [end, size]}
    header = json.dumps(table).encode()
    file.write_bytes(struct.pack("<Q", len(header)) + header + content[8 + length :])
    os.truncate(file, 8 + len(header) + size)  # of which the disk has nothing
    monkeypatch.setattr("differnet.model_file.bundle.available_memory", lambda: 1 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(ModelFileError, match=r"has 0.4 GB, for which the 1.1 GB of memory that are free"):
            read_bundle(file)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()
