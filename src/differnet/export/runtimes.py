"""Running exported files: ONNX Runtime for ``.onnx``, OpenVINO for ``.xml``, both on the CPU."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from differnet.compute.openvino_runtime import import_openvino
from differnet.errors import MissingExtraError, ModelFileError

__all__ = ["Engine", "Outputs", "open_engine"]

Outputs: TypeAlias = Mapping[str, NDArray[Any]]

_FORMAT = "differnet-export"
_NEWEST = 1


class Engine(Protocol):
    """An exported file, ready to run.

    Attributes:
        name: Of the runtime.
        about: What the file says of its outputs, see `differnet.export.write`.
        manifest: The manifest of the model that was exported.
    """

    name: str
    about: dict[str, Any]
    manifest: dict[str, Any]

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        """Run the graph on a uint8 (height, width, 3) image; the outputs by name."""
        ...


def open_engine(path: str | os.PathLike[str], threads: int | None = None) -> Engine:
    """Open an exported file.

    Args:
        path: ``.onnx``, or ``.xml`` with its ``.bin``.
        threads: How many threads the runtime takes; None lets it choose.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign, or newer than this version.
        MissingExtraError: If the runtime is not installed.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelFileError(f"{file}: no such file; check the path.")
    if file.suffix == ".xml":
        return _OpenVino(file, threads)
    if file.suffix == ".onnx":
        return _OnnxRuntime(file, threads)
    raise ModelFileError(f"{file}: is neither .onnx nor .xml; give a file that 'differnet export' made.")


class _OnnxRuntime:
    name = "ONNX Runtime"

    def __init__(self, file: Path, threads: int | None) -> None:
        try:
            import onnxruntime  # noqa: PLC0415
        except ImportError:
            raise _missing("onnxruntime") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        try:
            # Opened by Python, since the runtime does not take every file name.
            self._session = onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _damaged(file, error) from None
        self.about, self.manifest = _parsed(file, self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        outputs = self._session.run(None, {"image": image})
        return dict(zip(self.about["outputs"], outputs, strict=True))


class _OpenVino:
    name = "OpenVINO"

    def __init__(self, file: Path, threads: int | None) -> None:
        try:
            openvino = import_openvino()
        except ImportError:
            raise _missing("openvino") from None
        # Where the processor has bfloat16 OpenVINO would take that, and scores would be others.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        if threads:
            settings["INFERENCE_NUM_THREADS"] = threads
        try:
            model = openvino.Core().read_model(file)
            self.about, self.manifest = _parsed(file, _rt_info(model))
            self._compiled = openvino.compile_model(model, "CPU", settings)
        except RuntimeError as error:
            raise _damaged(file, error) from None

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        results = self._compiled(image)
        return {name: results[name] for name in self.about["outputs"]}


def _rt_info(model: Any) -> dict[str, str]:  # noqa: ANN401 - an openvino.Model
    if not model.has_rt_info("differnet"):
        return {}
    found = model.get_rt_info("differnet").value
    return {name: str(getattr(value, "value", value)) for name, value in found.items()}


def _parsed(file: Path, metadata: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    if metadata.get("format") != _FORMAT:
        raise ModelFileError(f"{file}: was not exported by differnet; give a file that 'differnet export' made.")
    try:
        about, manifest = json.loads(metadata["export"]), json.loads(metadata["manifest"])
        version = int(about["export_version"])
    except (KeyError, ValueError, TypeError):
        raise ModelFileError(f"{file}: what it says of itself is damaged; export the model again.") from None
    if version > _NEWEST:
        raise ModelFileError(
            f"{file}: has export version {version}, this differnet reads {_NEWEST}; upgrade differnet."
        )
    return about, manifest


def _missing(package: str) -> MissingExtraError:
    return MissingExtraError(
        f"Running this file needs {package}; install with: pip install {package}, or 'differnet[export]'"
    )


def _damaged(file: Path, error: Exception) -> ModelFileError:
    reason = str(error).strip().splitlines()[-1][:200] if str(error).strip() else type(error).__name__
    return ModelFileError(f"{file}: cannot be opened ({reason}); export the model again.")
