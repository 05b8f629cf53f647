"""Writing an exported model: a graph with the model's manifest, in one of the formats of `differnet.export.targets`."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import Any

from differnet.detector import DifferNet
from differnet.errors import NotFittedError, SettingsError
from differnet.export.graph import InspectionGraph
from differnet.export.precision import as_trained
from differnet.export.targets import TARGETS
from differnet.export.targets.onnx import OPSET
from differnet.export.targets.target import EXPORT_VERSION, FORMAT

__all__ = ["export_model"]


def export_model(
    model: DifferNet,
    path: str | os.PathLike[str],
    target: str = "onnx",
    *,
    with_map: bool = False,
    precision: str = "auto",
    threshold_input: bool = False,
) -> tuple[Path, ...]:
    """Export a fitted model.

    The graph takes ``image``, uint8 (height, width, 3) RGB, and gives float32 ``score``, and for calibrated models
    float64 ``p_value`` and ``margin`` and int64 ``decision`` (0 accept, 1 review, 2 reject), all (); with maps also
    ``map``, float32 (height, width). Any size is taken, unless the model has a region of interest. All is computed in
    float32, but for a model that was trained in bfloat16 the extractor's results are rounded as that does.

    Args:
        model: A fitted model.
        path: The file to write; ``.onnx``, or ``.xml`` for OpenVINO, which puts the weights into ``.bin`` beside it.
        target: The format, one of `differnet.export.targets.TARGETS`: ``onnx`` or ``openvino``.
        with_map: Whether the graph gives the heat map too.
        precision: ``float32``, ``bfloat16``, or ``auto`` for what the model was trained and calibrated in.
        threshold_input: Whether an ONNX file also takes another ``threshold``, float64 (), which may be left out; see
            `differnet.export.threshold_input`.

    Returns:
        The files.

    Raises:
        NotFittedError: If the model has learnt nothing.
        SettingsError: If the file's name does not suit the format, or the model cannot be exported.
        MissingExtraError: If a package that this takes is not installed.
        OutputError: If a file cannot be written.
    """
    chosen = TARGETS.find(target)
    file = Path(path)
    if file.suffix != chosen.suffix:
        raise SettingsError(f"{file}: a file for {target} is named *{chosen.suffix}; choose such a name.")
    if threshold_input and target != "onnx":
        raise SettingsError(f"A file for {target} takes no other threshold; compare its score, or export to onnx.")
    chosen.check_packages()
    if model.manifest is None:
        raise NotFittedError("The model has not learnt anything yet; call fit() or load() first.")
    chosen_precision = as_trained(model, precision)
    graph = InspectionGraph(
        model, with_map=with_map, precision=chosen_precision, threshold_input=threshold_input
    ).eval()
    return chosen.write(graph, file, _metadata(model, graph))


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
        "region_box": None if graph.region is None else list(graph.region.box),
        "threshold_input": graph.threshold_input,
        "map_scale_is_fixed": graph.scale_is_fixed,
        "has_digest": True,
    }
    manifest = "" if model.manifest is None else model.manifest.model_dump_json()
    return {"format": FORMAT, "export": json.dumps(about), "manifest": manifest}
