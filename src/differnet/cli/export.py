"""``differnet export``: a model as one file for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import JsonOption, WeightsOption, print_json, say, warn

__all__ = ["export"]


def export(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .onnx, or .xml for OpenVINO.")],
    to: Annotated[str, typer.Option("--to", help="onnx or openvino.")] = "onnx",
    with_map: Annotated[bool, typer.Option("--map", help="The file gives heat maps too.")] = False,
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export a model to a file that needs neither torch nor differnet: pixels in, score and decision out."""
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.export.write import OPSET, export_model  # noqa: PLC0415

    if to not in ("onnx", "openvino"):
        raise typer.BadParameter(f"'{to}' is neither 'onnx' nor 'openvino'.", param_hint="--to")
    detector = DifferNet.load(model, device="cpu", weights=weights)
    say("Exporting takes about half a minute.")
    files = export_model(detector, output, to, with_map=with_map)  # type: ignore[arg-type]
    if detector.calibration is None:
        warn("the model has no threshold, so the file gives the score alone; run calibrate first.")
    precision = detector.manifest.training.precision if detector.manifest is not None else "float32"
    if precision != "float32":
        warn(
            f"the model was trained and calibrated in {precision}, the file computes in float32: scores differ a "
            "little, near the threshold decisions may. Train with --set extractor.precision=float32 to have both agree."
        )
    sizes = [{"file": str(file), "bytes": file.stat().st_size} for file in files]
    if as_json:
        print_json({"model": str(model), "format": to, "opset": OPSET, "map": with_map, "files": sizes})
        return
    for size in sizes:
        typer.echo(f"{size['file']}\t{size['bytes'] / 1e6:.1f} MB")  # type: ignore[operator]
