"""Any damage to an exported file is seen when it is opened, here and by the light runtime."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

from differnet.errors import ModelFileError
from differnet.export.seal import SEAL_BYTES, is_sound
from differnet.export.targets import open_engine
from differnet_runtime import Inspector
from differnet_runtime import ModelFileError as RuntimeModelFileError
from tests.export.files import Exported, exported, inspected


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return exported(tmp_path_factory, "plain")


def test_a_flipped_bit_anywhere_is_seen(plain: Exported, tmp_path: Path) -> None:
    content = plain.onnx.read_bytes()
    assert is_sound(content)
    rng = np.random.default_rng(0)
    file = tmp_path / "m.onnx"
    for place in [*rng.integers(0, len(content) - SEAL_BYTES, 20), *range(-SEAL_BYTES, 0, 10)]:
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        file.write_bytes(damaged)
        with pytest.raises(RuntimeModelFileError, match="damaged"):
            Inspector(file)
        with pytest.raises(ModelFileError):
            open_engine(file)
    file.write_bytes(content[:-SEAL_BYTES])  # a whole ONNX file, which says that it had a digest
    with pytest.raises(RuntimeModelFileError, match="was changed"):
        Inspector(file)


def test_damaged_graphs_and_weights_of_openvino_are_seen(plain: Exported, tmp_path: Path) -> None:
    files = [tmp_path / "m.xml", tmp_path / "m.bin"]
    for file in files:
        shutil.copy(plain.openvino.with_suffix(file.suffix), file)
    open_engine(tmp_path / "m.xml")
    for file in files:
        content = file.read_bytes()
        file.write_bytes(content[:3000] + bytes([content[3000] ^ 1]) + content[3001:])
        with pytest.raises(ModelFileError, match="damaged"):
            open_engine(tmp_path / "m.xml")
        file.write_bytes(content)


def test_a_file_of_before_opens_with_a_word_and_says_the_same(
    plain: Exported, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    graph = onnx.load(plain.onnx)
    kept = {entry.key: entry.value.replace(', "has_digest": true', "") for entry in graph.metadata_props}
    del kept["sha256"]
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, kept)
    onnx.save(graph, tmp_path / "m.onnx")
    image = inspected()[0]
    with caplog.at_level(logging.WARNING):
        expected = Inspector(plain.onnx, threads=1).inspect(image).score
        assert not caplog.records
        assert Inspector(tmp_path / "m.onnx", threads=1).inspect(image).score == expected
        open_engine(tmp_path / "m.onnx")
    assert caplog.text.count("without a digest") == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_is_no_exported_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.onnx")
    with pytest.raises(RuntimeModelFileError, match="ordinary file"):
        Inspector(tmp_path / "m.onnx")
    with pytest.raises(ModelFileError, match="no such file"):
        open_engine(tmp_path / "m.onnx")
