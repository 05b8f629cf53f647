"""``differnet report``: one HTML page about a model and how it does on labelled test images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import fail_if_skipped, print_json, say
from differnet.cli.describe import UnlikeImages, say_empty_masks, say_masks
from differnet.cli.options import (
    DefectiveOption,
    DeviceOption,
    GoodOption,
    JsonOption,
    MapMethodOption,
    MapsOption,
    MasksOption,
    WeightsOption,
)
from differnet.cli.outputs import check_writable
from differnet.cli.progress import progress

__all__ = ["report"]


def report(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    product: Annotated[Path, typer.Argument(help="Product: test/good and test/<kind>, OK and NG, a table, ...")],
    good: GoodOption = None,
    defective: DefectiveOption = None,
    masks: MasksOption = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="HTML file to write.")] = Path("report.html"),
    title: Annotated[str | None, typer.Option(help="Heading; the product's folder if left out.")] = None,
    maps: MapsOption = None,
    map_method: MapMethodOption = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model and write one HTML page: figures, error rates, the worst mistakes with their heat maps.

    The page holds everything itself: it needs no network and can be sent as it is.
    """
    from differnet.cli.calibration_images import warn_of_learnt_images  # noqa: PLC0415
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.evaluation import evaluate  # noqa: PLC0415
    from differnet.images import read_test_images  # noqa: PLC0415
    from differnet.report import require_extra, write_report  # noqa: PLC0415

    require_extra()
    check_writable(output)
    images = read_test_images(product, good=good, defective=defective, masks=masks)
    say_masks(images)
    detector = DifferNet.load(model, device=device, weights=weights)
    with progress() as listener:
        evaluation = evaluate(detector, images, listener, maps=maps, method=map_method)
        write_report(
            detector,
            evaluation,
            output,
            title=title or product.resolve().name,
            method=map_method,
            listener=listener,
        )
    if as_json:
        print_json({"model": str(model), "product": str(product), "report": str(output), **evaluation.to_dict()})
    say(f"{output}: the report; open it in a browser.")
    say_empty_masks(evaluation.empty_masks)
    warn_of_learnt_images(detector, evaluation)
    unlike = UnlikeImages()
    for entry in evaluation.scored:
        unlike.add(entry.verdict)
    unlike.warn()
    fail_if_skipped(evaluation.failures)
