"""``differnet calibrate``: set the threshold from good images, without training again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from differnet.cli.console import fail_if_skipped, print_json, say, warn
from differnet.cli.describe import calibration_sentence, calibration_summary
from differnet.cli.options import DeviceOption, GoodOption, JsonOption, WeightsOption
from differnet.cli.outputs import check_not_input, check_writable, keep_backup
from differnet.cli.progress import progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from differnet.calibration import Calibration

__all__ = ["calibrate"]

# Fewer scores than this say little of what is usual.
_LEAST_REFERENCE = 10
_UNLIKELY = 0.001


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
    from differnet.calibration import gross_outliers  # noqa: PLC0415
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.images import read_good_images  # noqa: PLC0415

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
    with progress() as listener:
        detector.calibrate(
            None if found is None else found.paths,
            false_reject_rate=0.05 if false_reject_rate is None else false_reject_rate,
            review_rate=review_rate,
            keep_scores=add,
            threshold=threshold,
            tail=tail,  # type: ignore[arg-type]
            listener=listener,
        )
    suspects: list[str] = []
    above = ""
    if found is not None:
        skipped = {failure.source for failure in detector.failures}
        used = [str(path) for path in found.paths if str(path) not in skipped]
        # Those that were added to come first.
        new = detector.held_out_scores[len(detector.held_out_scores) - len(used) :]
        scores, scale = new, detector.fitted.scale
        reference = before if len(before) >= _LEAST_REFERENCE else None
        if scale is not None:
            scores, reference = scale.deviations(scores), None if reference is None else scale.deviations(reference)
        suspects = [used[i] for i in gross_outliers(scores, reference, logarithmic=scale is not None)]
        if old is not None:
            above = _more_above_than_stated(old, new.numpy())
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
                "warning": above or None,
                "skipped": [failure.to_dict() for failure in detector.failures],
            }
        )
    say(f"{target}: {calibration_sentence(detector)}")
    if backup is not None:
        say(f"{backup}: the model file as it was.")
    for path in suspects:
        warn(f"{path}: scores far above the other images; if it is defective, remove it and calibrate again.")
    if above:
        warn(above)
    fail_if_skipped(detector.failures)


def _more_above_than_stated(old: Calibration, scores: NDArray[np.float32]) -> str:
    """What to say where far more of the images lie above the old threshold than it explains; else empty."""
    from differnet.calibration import chance_of_refusals  # noqa: PLC0415

    refused = int((scores > old.threshold).sum())
    if chance_of_refusals(old, refused, len(scores)) >= _UNLIKELY:
        return ""
    return (
        f"{refused} of these {len(scores)} images score above the threshold that the model had, where "
        f"{old.false_reject_rate:.3g} was stated: they are defective, or not like those that it learnt from. The new "
        "threshold lets pass what is like them; look at them first."
    )
