"""``differnet evaluate``: metrics on labelled test images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from differnet.cli.console import fail_if_skipped, print_json, print_line
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
from differnet.cli.outputs import check_not_input, check_writable
from differnet.cli.progress import progress

if TYPE_CHECKING:
    from differnet.evaluation import Evaluation
    from differnet.evaluation.metrics import Figure

__all__ = ["evaluate", "write_scores"]


def evaluate(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    product: Annotated[Path, typer.Argument(help="Product: test/good and test/<kind>, OK and NG, a table, ...")],
    good: GoodOption = None,
    defective: DefectiveOption = None,
    masks: MasksOption = None,
    csv: Annotated[str | None, typer.Option(metavar="FILE", help="Write the score of every image as CSV.")] = None,
    maps: MapsOption = None,
    map_method: MapMethodOption = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure how well a model tells good test images from defective ones, and finds where they are defective."""
    from differnet.cli.calibration_images import warn_of_learnt_images  # noqa: PLC0415
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.evaluation import evaluate as evaluate_images  # noqa: PLC0415
    from differnet.images import read_test_images  # noqa: PLC0415

    if as_json and csv == "-":
        raise typer.BadParameter("--json has stdout for itself; write CSV to a file.")
    if csv and csv != "-":
        check_writable(Path(csv))
    images = read_test_images(product, good=good, defective=defective, masks=masks)
    say_masks(images)
    check_not_input([csv], [model, *(image.path for image in images)])
    detector = DifferNet.load(model, device=device, weights=weights)
    with progress() as listener:
        evaluation = evaluate_images(detector, images, listener, maps=maps, method=map_method)
    if csv:
        write_scores(evaluation, csv)
    if as_json:
        print_json({"model": str(model), "product": str(product), **evaluation.to_dict()})
    else:
        _print_table(evaluation)
    say_empty_masks(evaluation.empty_masks)
    warn_of_learnt_images(detector, evaluation)
    unlike = UnlikeImages()
    for entry in evaluation.scored:
        unlike.add(entry.verdict)
    unlike.warn()
    fail_if_skipped(evaluation.failures)


def write_scores(evaluation: Evaluation, path: str) -> None:
    """Write the score of every image as CSV."""
    from differnet.inspection.verdict import Verdict  # noqa: PLC0415
    from differnet.sinks import CsvSink  # noqa: PLC0415

    path_column, *others = Verdict.columns()
    with CsvSink(path, columns=[path_column, "kind", *others]) as sink:
        for entry in evaluation.scored:
            sink.write(entry.verdict, kind=entry.image.kind)


def _print_table(evaluation: Evaluation) -> None:
    rows = [("defect", "images", *(_heading(figure) for figure in evaluation.overall.figures.values()))]
    kinds = [*evaluation.per_defect.items(), ("all", evaluation.overall)]
    for kind, metrics in kinds if evaluation.per_defect else ():
        rows.append((kind, str(metrics.images), *(_format(figure) for figure in metrics.figures.values())))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows if evaluation.per_defect else ():
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print_line("  ".join(cells).rstrip())
    defects = evaluation.overall.images
    compared = f"against {evaluation.good_images} good images" if defects else f"{evaluation.good_images} good images"
    alone = "" if defects and evaluation.good_images else " alone, which show no AUROC"
    sys.stdout.write(
        f"{compared if evaluation.good_images else 'defective images'}{alone}, {evaluation.seconds:.1f} s\n"
    )
    for need, of_what in (
        ("decisions", "at the threshold"),
        ("masks", "heat maps"),
        ("density", "samples of the density beside good images"),
    ):
        figures = [figure for figure in evaluation.figures.values() if figure.metric.needs == need]
        if figures:
            said = ", ".join(f"{figure.metric.label} {_format(figure)}" for figure in figures)
            sys.stdout.write(f"{of_what}: {said}\n")
    for figure in evaluation.figures.values():
        if figure.metric.needs == "maps":
            sys.stdout.write(f"{figure.metric.label}: {_format(figure)}\n")


def _heading(figure: Figure) -> str:
    return figure.metric.label if figure.interval is None else f"{figure.metric.label} (95 % interval)"


def _format(figure: Figure) -> str:
    if figure.interval is None:
        return f"{figure.number:.4f}"
    low, high = figure.interval
    return f"{figure.number:.4f} ({low:.4f} to {high:.4f})"
