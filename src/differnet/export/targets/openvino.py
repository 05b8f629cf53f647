"""OpenVINO: a graph in ``.xml`` with its weights in ``.bin`` beside it, converted from ONNX."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differnet.compute.openvino_runtime import import_openvino
from differnet.export.targets.onnx import OnnxTarget, write_onnx
from differnet.export.targets.target import (
    Engine,
    ExportTarget,
    Outputs,
    changed_file,
    damaged_file,
    missing_runtime,
    parse_metadata,
    without_digest,
)
from differnet.files import staging

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from differnet.export.graph import InspectionGraph

__all__ = ["OpenVinoTarget", "convert_to_openvino"]

# The last line of the .xml, a comment: the digest of the .bin and of the lines before.
_SEAL = re.compile(rb"<!-- sha256 ([0-9a-f]{64}) -->\n$")
_ABOUT = ("format", "export", "manifest")


class OpenVinoTarget(ExportTarget):
    """OpenVINO's intermediate representation, version 11."""

    name = "openvino"
    suffix = ".xml"
    packages = (*OnnxTarget.packages, "openvino")

    def write(self, graph: InspectionGraph, file: Path, metadata: Mapping[str, str]) -> tuple[Path, ...]:
        """The weights and the graph."""
        with staging(file) as folder:
            written = folder / f"model{OnnxTarget.suffix}"
            write_onnx(graph, written, metadata)
            return convert_to_openvino(written, file)

    def open(self, file: Path, threads: int | None) -> Engine:
        """By OpenVINO's runtime."""
        return _OpenVino(file, threads)


def convert_to_openvino(onnx_file: str | os.PathLike[str], path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Convert an exported ONNX file, with what it says of itself.

    Args:
        onnx_file: What `differnet.export.write.export_model` wrote.
        path: The ``.xml`` file to write, with ``.bin`` beside it.

    Returns:
        The two files.

    Raises:
        MissingExtraError: If OpenVINO is not installed.
        OutputError: If a file cannot be written.
    """
    OpenVinoTarget().check_packages()
    import onnx  # noqa: PLC0415

    openvino = import_openvino()

    file = Path(path)
    converted = openvino.convert_model(onnx_file)
    for entry in onnx.load(onnx_file).metadata_props:
        if entry.key in _ABOUT:
            converted.set_rt_info(entry.value, ["differnet", entry.key])
    with staging(file) as folder:
        staged = folder / "model.xml"
        # Not compressed to float16, which save_model does unless told otherwise.
        openvino.save_model(converted, staged, compress_to_fp16=False)
        _seal(staged)
        # The weights first: a graph is not to be seen without them.
        files = file.with_suffix(".bin"), file
        for final in files:
            staged.with_suffix(final.suffix).replace(final)
    return files


class _OpenVino:
    name = "OpenVINO"

    def __init__(self, file: Path, threads: int | None) -> None:
        try:
            openvino = import_openvino()
        except ImportError:
            raise missing_runtime("openvino") from None
        self._file = file
        # Where the processor has bfloat16 OpenVINO would take that, and scores would be others.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            sound = _is_sound(file)
            if sound is False:
                raise changed_file(file)
            model = openvino.Core().read_model(file)
            self.about, self.manifest = parse_metadata(file, _rt_info(model))
            self._compiled = openvino.compile_model(model, "CPU", settings)
        except (OSError, RuntimeError) as error:
            raise damaged_file(file, error) from None
        if sound is None:
            without_digest(file, self.about)

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        try:
            results = self._compiled(image)
        except RuntimeError as error:
            raise damaged_file(self._file, error) from None
        return {name: results[name] for name in self.about["outputs"]}


def _rt_info(model: Any) -> dict[str, str]:  # noqa: ANN401 - an openvino.Model
    if not model.has_rt_info("differnet"):
        return {}
    found = model.get_rt_info("differnet").value
    return {name: str(getattr(value, "value", value)) for name, value in found.items()}


def _seal(file: Path) -> None:
    """Put the digest of a graph and its weights behind the graph."""
    graph = file.read_bytes()
    graph += b"" if graph.endswith(b"\n") else b"\n"
    file.write_bytes(graph + b"<!-- sha256 %s -->\n" % _digest(file, graph))


def _is_sound(file: Path) -> bool | None:
    """Whether a graph and its weights are as they were written; None if there is no digest, as in older files."""
    content = file.read_bytes()
    seal = _SEAL.search(content, max(0, len(content) - 100))
    return None if seal is None else seal[1] == _digest(file, content[: seal.start()])


def _digest(file: Path, graph: bytes) -> bytes:
    weights = hashlib.sha256(file.with_suffix(".bin").read_bytes())
    weights.update(graph)
    return weights.hexdigest().encode()
