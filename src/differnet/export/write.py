"""Writing an exported model: a graph with the model's manifest in one ONNX file, or in a pair of OpenVINO."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch

from differnet.compute.openvino_runtime import import_openvino
from differnet.detector import DifferNet
from differnet.errors import MissingExtraError, NotFittedError, SettingsError
from differnet.export.graph import InspectionGraph
from differnet.export.precision import as_trained
from differnet.files import staging

if TYPE_CHECKING:
    import onnx

__all__ = ["EXPORT_VERSION", "OPSET", "Target", "convert_to_openvino", "export_model"]

OPSET = 20
"""The ONNX operator set of exported files: ONNX Runtime 1.17 and later, OpenVINO 2024.0 and later."""

EXPORT_VERSION = 1
"""Of the outputs and the metadata; readers refuse a newer one."""

Target: TypeAlias = Literal["onnx", "openvino"]
SUFFIXES: dict[Target, str] = {"onnx": ".onnx", "openvino": ".xml"}

# A protobuf, which an ONNX file is, cannot hold more.
_MOST_BYTES = 2_000_000_000


def export_model(
    model: DifferNet,
    path: str | os.PathLike[str],
    target: Target = "onnx",
    *,
    with_map: bool = False,
    precision: str = "auto",
) -> tuple[Path, ...]:
    """Export a fitted model.

    The graph takes ``image``, uint8 (height, width, 3) RGB, and gives float32 ``score``, and for calibrated models
    float64 ``p_value`` and ``margin`` and int64 ``decision`` (0 accept, 1 review, 2 reject), all (); with maps also
    ``map``, float32 (height, width). Any size is taken, unless the model has a region of interest. All is computed in
    float32, but for a model that was trained in bfloat16 the extractor's results are rounded as that does.

    Args:
        model: A fitted model.
        path: The file to write; ``.onnx``, or ``.xml`` for OpenVINO, which puts the weights into ``.bin`` beside it.
        target: The format.
        with_map: Whether the graph gives the heat map too.
        precision: ``float32``, ``bfloat16``, or ``auto`` for what the model was trained and calibrated in.

    Returns:
        The files.

    Raises:
        NotFittedError: If the model has learnt nothing.
        SettingsError: If the file's name does not suit the format, or the model cannot be exported.
        MissingExtraError: If a package that this takes is not installed.
        OutputError: If a file cannot be written.
    """
    if target not in SUFFIXES:
        raise SettingsError(f"There is no format '{target}'; choose one of {', '.join(SUFFIXES)}.")
    file = Path(path)
    if file.suffix != SUFFIXES[target]:
        raise SettingsError(f"{file}: a file for {target} is named *{SUFFIXES[target]}; choose such a name.")
    _check_packages(target)
    if model.manifest is None:
        raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
    graph = InspectionGraph(model, with_map=with_map, precision=as_trained(model, precision)).eval()
    weights = sum(tensor.nbytes for tensor in graph.state_dict().values())
    if weights > _MOST_BYTES:
        raise SettingsError(
            f"The model has {weights / 1e9:.1f} GB of weights, and an ONNX file holds 2 GB; train one with fewer "
            "members (calibration.folds) or a narrower flow (flow.hidden)."
        )
    metadata = _metadata(model, graph)
    with staging(file) as folder:
        written = folder / f"model{SUFFIXES['onnx']}"
        _write_onnx(graph, written, metadata)
        if target == "openvino":
            return convert_to_openvino(written, file)
        written.replace(file)
    return (file,)


def convert_to_openvino(onnx_file: str | os.PathLike[str], path: str | os.PathLike[str]) -> tuple[Path, ...]:
    """Convert an exported ONNX file, with what it says of itself.

    Args:
        onnx_file: What `export_model` wrote.
        path: The ``.xml`` file to write, with ``.bin`` beside it.

    Returns:
        The two files.

    Raises:
        MissingExtraError: If OpenVINO is not installed.
        OutputError: If a file cannot be written.
    """
    _check_packages("openvino")
    import onnx  # noqa: PLC0415

    openvino = import_openvino()

    file = Path(path)
    converted = openvino.convert_model(onnx_file)
    for entry in onnx.load(onnx_file).metadata_props:
        converted.set_rt_info(entry.value, ["differnet", entry.key])
    with staging(file) as folder:
        staged = folder / "model.xml"
        # Not compressed to float16, which save_model does unless told otherwise.
        openvino.save_model(converted, staged, compress_to_fp16=False)
        # The weights first: a graph is not to be seen without them.
        files = file.with_suffix(".bin"), file
        for final in files:
            staged.with_suffix(final.suffix).replace(final)
    return files


def _check_packages(target: Target) -> None:
    import importlib.util  # noqa: PLC0415

    needed = ["onnx", "onnxscript", *(["openvino"] if target == "openvino" else [])]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"Exporting to {target} needs {' and '.join(missing)}; install with: pip install 'differnet[export]'"
        )


def _metadata(model: DifferNet, graph: InspectionGraph) -> dict[str, str]:
    """What the file says of itself, all of it text."""
    size = None if graph.region is None else list(graph.region.size)
    about: dict[str, Any] = {
        "export_version": EXPORT_VERSION,
        "package_version": version("differnet"),
        "opset": OPSET,
        "precision": graph.precision,
        "outputs": list(graph.outputs),
        "views": len(graph.views),
        "image_size": size,
        "map_scale_is_fixed": graph.scale_is_fixed,
    }
    manifest = "" if model.manifest is None else model.manifest.model_dump_json()
    return {"format": "differnet-export", "export": json.dumps(about), "manifest": manifest}


def _write_onnx(graph: InspectionGraph, file: Path, metadata: dict[str, str]) -> None:
    import onnx  # noqa: PLC0415
    from onnx_ir.passes.common import RemoveUnusedNodesPass  # noqa: PLC0415

    if graph.region is None:
        height, width = 240, 320
        sizes = {0: torch.export.Dim("height", min=16), 1: torch.export.Dim("width", min=16)}
    else:
        width, height = graph.region.size
        sizes = {}
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
            verbose=False,
        )
    if program is None:
        raise SettingsError("The exporter gave nothing; report this with the model's settings.")
    # The exporter leaves a constant that nothing uses, of which ONNX Runtime would warn at every start.
    RemoveUnusedNodesPass()(program.model)
    exported: onnx.ModelProto = program.model_proto
    onnx.helper.set_model_props(exported, metadata)
    onnx.save_model(exported, str(file))


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
