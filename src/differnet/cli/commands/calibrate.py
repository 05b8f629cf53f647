"""``differnet calibrate``: set the threshold from good images, without training again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from differnet.cli.console import fail_if_skipped, print_json, say, warn
from differnet.cli.describe import calibration_sentence, calibration_summary, say_unlike
from differnet.cli.options import DeviceOption, GoodOption, JsonOption, WeightsOption
from differnet.cli.outputs import check_not_input, check_writable, keep_backup
from differnet.cli.progress import progress

__all__ = ["calibrate"]


def calibrate(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    good_images: Annotated[
        Path | None,
        typer.Argument(
            help="Good images that training did not see: a folder, a product (its train/good is read) or a list file. "
            "Left out: the scores that training kept for this."
        ),
    ] = None,
    good: GoodOption = None,
    false_reject_rate: Annotated[
        float | None, typer.Option(help="Share of good parts that may be refused.  [default: 0.05]")
    ] = None,
    review_rate: Annotated[
        float | None, typer.Option(help="Share of good parts that may be refused or sent to review.")
    ] = None,
    tail: Annotated[
        str,
        typer.Option(
            help="conformal, which keeps the rate, or generalized-pareto, which extrapolates from few images."
        ),
    ] = "conformal",
    add: Annotated[
        bool, typer.Option("--add", help="Add the images to the scores that the model has, instead of replacing them.")
    ] = False,
    threshold: Annotated[
        float | None,
        typer.Option(help="A raw threshold by hand, instead of one for a rate; scores above it are refused."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Model file to write; the same file if left out. What was there is kept as NAME.bak."
        ),
    ] = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the threshold for a stated false-reject rate, from good images alone."""
    import numpy as np  # noqa: PLC0415

    from differnet.calibration import calibrate as calibrate_scores  # noqa: PLC0415
    from differnet.cli.calibration_images import (  # noqa: PLC0415
        each_content_once,
        far_above,
        named,
        remarks_on_scores,
    )
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.images import read_good_images  # noqa: PLC0415
    from differnet.inspection.measuring import measure_images  # noqa: PLC0415

    if good and good_images is None:
        raise typer.BadParameter("names folders in a product; give that too.", param_hint="--good")
    if add and good_images is None:
        raise typer.BadParameter("adds good images; name them.", param_hint="--add")
    if threshold is not None and (false_reject_rate is not None or review_rate is not None or tail != "conformal"):
        raise typer.BadParameter("is set by hand, or follows from a rate; give one of them.", param_hint="--threshold")
    target = output or model
    if output is not None:
        check_writable(output)
    found = None if good_images is None else read_good_images(good_images, good=good)
    if found is not None and found.passed_over:
        say(f"{good_images}: {found.passed_over}.")
    check_not_input([output], [] if found is None else found.paths)
    detector = DifferNet.load(model, device=device, weights=weights)
    before, old = detector.held_out_scores, detector.calibration
    rate = 0.05 if false_reject_rate is None else false_reject_rate
    chosen: dict[str, Any] = {"false_reject_rate": rate, "review_rate": review_rate, "tail": tail}
    paths, warned = each_content_once([] if found is None else found.paths, rate, len(before) if add else 0)
    if found is not None and threshold is None:
        # Reading the images may take long: whether they are too few is told before.
        calibrate_scores(np.arange((len(before) if add else 0) + len(paths)), **chosen)
    with progress() as listener:
        measured = None
        if found is not None:
            measured = measure_images(
                detector.inspection, paths, lambda done: listener.images("calibration", done, len(paths))
            )
        detector.calibrate(measured, **chosen, keep_scores=add, threshold=threshold)
    suspects: list[str] = []
    told: list[str] = []
    if measured is not None:
        skipped = {failure.source for failure in measured.failures}
        suspects = far_above(detector, before, measured, [str(path) for path in paths if str(path) not in skipped])
        told = remarks_on_scores(old, before.numpy(), measured.scores.numpy(), added=add)
    backup = keep_backup(target)
    detector.save(target)
    if as_json:
        print_json(
            {
                "model": str(target),
                "model_id": detector.manifest.model_id,  # type: ignore[union-attr]
                **(calibration_summary(detector) or {}),
                "backup": None if backup is None else str(backup),
                "suspects": suspects,
                "warning": " ".join([*warned, *told]) or None,
                "skipped": [failure.to_dict() for failure in detector.failures],
            }
        )
    say(f"{target}: {calibration_sentence(detector)}")
    if backup is not None:
        say(f"{backup}: the model file as it was.")
    for said in (*named(suspects), *told):
        warn(said)
    if measured is not None:
        say_unlike(len(measured.scores), measured.unlike)
    fail_if_skipped(detector.failures)
