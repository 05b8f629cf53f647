"""ONNX: one file with graph, weights and metadata, run by ONNX Runtime."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differnet.errors import ModelFileError, SettingsError
from differnet.export.seal import is_sound, sealed
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
from differnet.export.threshold_input import add_threshold_input
from differnet.files import staging

if TYPE_CHECKING:
    import numpy as np
    import onnx
    import onnx_ir
    from numpy.typing import NDArray

    from differnet.export.graph import InspectionGraph

__all__ = ["OPSET", "OnnxTarget", "write_onnx"]

OPSET = 20
"""The ONNX operator set of exported files: ONNX Runtime 1.17 and later, OpenVINO 2024.0 and later."""

# A protobuf, which an ONNX file is, cannot hold more.
_MOST_BYTES = 2_000_000_000


class OnnxTarget(ExportTarget):
    """Open Neural Network Exchange, for ONNX Runtime and whatever else reads it."""

    name = "onnx"
    suffix = ".onnx"
    packages = ("onnx", "onnxscript")

    def write(self, graph: InspectionGraph, file: Path, metadata: Mapping[str, str]) -> tuple[Path, ...]:
        """One file."""
        with staging(file) as folder:
            written = folder / f"model{self.suffix}"
            write_onnx(graph, written, metadata)
            written.replace(file)
        return (file,)

    def open(self, file: Path, threads: int | None) -> Engine:
        """By ONNX Runtime."""
        return _OnnxRuntime(file, threads)


class _OnnxRuntime:
    name = "ONNX Runtime"

    def __init__(self, file: Path, threads: int | None) -> None:
        try:
            import onnxruntime  # noqa: PLC0415
        except ImportError:
            raise missing_runtime("onnxruntime") from None
        self._file, self._run_options = file, onnxruntime.RunOptions()
        self._run_options.log_severity_level = 4  # what fails is said by an error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        options.log_severity_level = 3
        try:
            # Opened by Python, since the runtime does not take every file name.
            content = file.read_bytes()
            sound = is_sound(content)
            if sound is False:
                raise changed_file(file)
            self._session = onnxruntime.InferenceSession(
                content,
                options,
                providers=["CPUExecutionProvider"],
                enable_fallback=0,  # it would print of a second try, on stdout
            )
        except ModelFileError:
            raise
        except Exception as error:
            raise damaged_file(file, error) from None
        self.about, self.manifest = parse_metadata(file, self._session.get_modelmeta().custom_metadata_map)
        if sound is None:
            without_digest(file, self.about)

    def __call__(self, image: NDArray[np.uint8]) -> Outputs:
        try:
            outputs = self._session.run(None, {"image": image}, self._run_options)
        except MemoryError:
            raise
        except Exception as error:  # the runtime's exceptions have no common base
            raise damaged_file(self._file, error) from None
        return dict(zip(self.about["outputs"], outputs, strict=True))


def write_onnx(graph: InspectionGraph, file: Path, metadata: Mapping[str, str]) -> None:
    """Write a graph where nobody reads yet.

    Raises:
        SettingsError: If it has more weights than the format holds, or torch cannot export a user's own extractor.
        OSError: If it cannot be written.
    """
    import onnx  # noqa: PLC0415
    import torch  # noqa: PLC0415

    weights = sum(tensor.nbytes for tensor in graph.state_dict().values())
    if weights > _MOST_BYTES:
        raise SettingsError(
            f"The model has {weights / 1e9:.1f} GB of weights, and an ONNX file holds 2 GB; train one with fewer "
            "members (calibration.folds) or a narrower flow (flow.hidden)."
        )
    sizes: dict[int, Any] = {}
    if graph.region is None:
        height, width = 240, 320
        sizes = {0: torch.export.Dim("height", min=16), 1: torch.export.Dim("width", min=16)}
    else:
        width, height = graph.region.size
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                graph,
                (torch.zeros(height, width, 3, dtype=torch.uint8),),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes={"image": sizes} if sizes else None,
                input_names=["image"],
                output_names=list(graph.outputs),
                external_data=False,
                optimize=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = (str(error.__cause__ or error).strip().splitlines() or [type(error).__name__])[0]
        raise SettingsError(
            f"torch cannot export the model's extractor ({reason}); train with one of the catalogue, or with a network "
            "whose code torch.export follows and which takes images of any size as a whole."
        ) from error
    if program is None:
        raise SettingsError("The exporter gave nothing; report this with the model's settings.")
    _simplify(program.model)
    exported: onnx.ModelProto = program.model_proto
    if graph.judge is not None and graph.threshold_input:
        add_threshold_input(exported, graph.judge.threshold)
    onnx.helper.set_model_props(exported, dict(metadata))
    file.write_bytes(sealed(exported.SerializeToString()))


def _simplify(model: onnx_ir.Model) -> None:
    """What the exporter would do to its graph without ``optimize=False``, but for looking for patterns.

    That took over a quarter of the time of an export, and a runtime looks for its own whenever it opens a file.
    """
    import onnxscript.optimizer  # noqa: PLC0415
    from onnx_ir.passes import Sequential, common  # noqa: PLC0415

    common.InlinePass()(model)
    onnxscript.optimizer.fold_constants(model)
    Sequential(
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.LiftSubgraphInitializersToMainGraphPass(),
        common.DeduplicateInitializersPass(),
        common.CommonSubexpressionEliminationPass(),
        # The exporter leaves a constant that nothing uses, of which ONNX Runtime would warn at every start.
        common.RemoveUnusedNodesPass(),
        common.OutputFixPass(),
        common.NameFixPass(),
    )(model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of its own progress, and of packages that are not needed; errors are raised all the same."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
