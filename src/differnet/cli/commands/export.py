"""``differnet export``: a model as one file for other runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import print_json, say, warn
from differnet.cli.options import JsonOption, WeightsOption
from differnet.export.targets import TARGETS

__all__ = ["check_precision", "export"]


def check_precision(precision: str) -> None:
    """Make sure that an option names a precision."""
    if precision not in ("auto", "float32", "bfloat16"):
        raise typer.BadParameter(f"'{precision}' is none of auto, float32, bfloat16.", param_hint="--precision")


def export(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write: .onnx, or .xml for OpenVINO.")],
    to: Annotated[str, typer.Option("--to", help=f"{' or '.join(TARGETS)}.")] = "onnx",
    with_map: Annotated[bool, typer.Option("--map", help="The file gives heat maps too.")] = False,
    precision: Annotated[
        str, typer.Option(help="float32, bfloat16, or auto: what the model was trained and calibrated in.")
    ] = "auto",
    threshold_input: Annotated[
        bool, typer.Option("--threshold-input", help="The file (ONNX) also takes another threshold with an image.")
    ] = False,
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export a model to a file that needs neither torch nor differnet: pixels in, score and decision out."""
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.export.precision import as_trained  # noqa: PLC0415
    from differnet.export.targets.onnx import OPSET  # noqa: PLC0415
    from differnet.export.write import export_model  # noqa: PLC0415

    check_precision(precision)
    if to not in TARGETS:
        formats = " nor ".join(f"'{name}'" for name in TARGETS)
        raise typer.BadParameter(f"'{to}' is neither {formats}.", param_hint="--to")
    detector = DifferNet.load(model, device="cpu", weights=weights)
    say("Exporting takes about half a minute.")
    files = export_model(detector, output, to, with_map=with_map, precision=precision, threshold_input=threshold_input)
    if detector.calibration is None:
        warn("the model has no threshold, so the file gives the score alone; run calibrate first.")
    trained, chosen = as_trained(detector), as_trained(detector, precision)
    if trained != chosen:
        warn(
            f"the threshold was measured in {trained}, the file computes in {chosen}: its scores are others, and the "
            "false-reject rate will not be the stated one."
        )
    sizes = [{"file": str(file), "bytes": file.stat().st_size} for file in files]
    if as_json:
        print_json(
            {"model": str(model), "format": to, "opset": OPSET, "map": with_map, "precision": chosen, "files": sizes}
        )
        return
    for size in sizes:
        typer.echo(f"{size['file']}\t{size['bytes'] / 1e6:.1f} MB")  # type: ignore[operator]
