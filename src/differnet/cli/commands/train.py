"""``differnet train``: learn from images of good parts."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from differnet.cli.commands.inspect_folder import show_survey
from differnet.cli.console import EXIT_INTERRUPTED, fail_if_skipped, print_json, say, warn
from differnet.cli.describe import calibration_sentence, calibration_summary, pixel_scale_sentence
from differnet.cli.options import DeviceOption, GoodOption, JsonOption, WeightsOption, parse_assignments
from differnet.cli.outputs import check_not_input, check_writable
from differnet.cli.progress import progress

if TYPE_CHECKING:
    from differnet.detector import DifferNet
    from differnet.training.state import TrainingState

__all__ = ["train"]


def train(
    product: Annotated[
        Path | None,
        typer.Argument(
            help="Product (train/good, OK and NG, ...), folder of good images, table (.csv, .parquet), list file."
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Model file to write (.safetensors).")] = None,
    good: GoodOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be learnt and tested with, and end there.")
    ] = False,
    recipe: Annotated[
        Path | None, typer.Option(help="Recipe that says images and settings; see 'differnet recipe new'.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="default; fast, for parts that hardly vary; paper, as its authors.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Most epochs; short for --set training.epochs=N.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random; short for --set seed=N.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change any setting, such as flow.hidden=256. Repeatable."),
    ] = None,
    false_reject_rate: Annotated[
        float | None,
        typer.Option(help="Share of good parts that may be refused; short for --set calibration.false_reject_rate=R."),
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(
            metavar="folder|PATTERN",
            help="Which images show the same part: those of a folder, or those in whose names this regular expression "
            "finds the same, such as 'part(\\d+)'; short for --set training.group_by=...",
        ),
    ] = None,
    leave_out_outliers: Annotated[
        bool,
        typer.Option(
            "--leave-out-outliers",
            help="Learn without the good images that score far above the others; short for --set "
            "training.outliers=left-out.",
        ),
    ] = False,
    region: Annotated[
        str | None,
        typer.Option(
            help="What counts of the images: a box x,y,width,height in pixels, or a mask image, white inside."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(help="Folder where features are kept, so that training again with other settings is faster."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a training that was killed, by OUTPUT.state beside the output.")
    ] = False,
    state_seconds: Annotated[
        float,
        typer.Option(min=0.0, help="Least time between two states; 0 writes one after every epoch and fold."),
    ] = 30.0,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn what good parts look like and write a model file.

    Ctrl-C ends the training early and keeps the best state so far. OUTPUT.state holds how far the training is, until it
    is done; with --resume the same command goes on with it.
    """
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.extractors import check_settings  # noqa: PLC0415
    from differnet.images import read_good_images, read_region  # noqa: PLC0415
    from differnet.settings import preset as find_preset  # noqa: PLC0415
    from differnet.settings.recipe import read_recipe  # noqa: PLC0415
    from differnet.training.state import TrainingState  # noqa: PLC0415

    shortcuts = {
        "training.epochs": epochs,
        "seed": seed,
        "calibration.false_reject_rate": false_reject_rate,
        "training.group_by": group_by,
        "training.outliers": "left-out" if leave_out_outliers else None,
    }
    named = {name: value for name, value in shortcuts.items() if value is not None}
    changes = parse_assignments(settings or []) | named
    given = None if recipe is None else read_recipe(recipe, check_settings)
    if given is None:
        if product is None:
            raise typer.BadParameter("give a folder of good images, or --recipe FILE.", param_hint="PRODUCT")
        start = find_preset(preset or "default")
    else:
        if preset is not None:
            raise typer.BadParameter("the recipe says the preset; change it there.", param_hint="--preset")
        if good:
            raise typer.BadParameter("the recipe says where good parts are; change it there.", param_hint="--good")
        start, region = given.settings(), region or given.region
        product, good = (given.images, list(given.good)) if product is None else (product, None)
    chosen = start.with_overrides(changes)
    check_settings(chosen)
    if dry_run:
        show_survey(product, good, as_json=as_json)
        return
    if output is None:
        raise typer.BadParameter("say where to write the model.", param_hint="--output / -o")
    check_writable(output)
    images = read_good_images(product, good=good)
    if images.passed_over:
        say(f"{product}: {images.passed_over}.")
    check_not_input([output], images.paths)
    interest = None if region is None else read_region(region, images.paths)
    model = DifferNet(
        chosen,
        region=interest,
        device=device,
        weights=weights,
        cache=cache,
        recipe=None if given is None else given.text_with(changes),
    )
    state = TrainingState(f"{output}.state", resume=resume, seconds=state_seconds, tell=say)
    _learn(model, images.paths, output, state)
    model.save(output)
    _say_views(model)
    if sentence := pixel_scale_sentence(model):
        say(sentence)
    record = model.manifest.training  # type: ignore[union-attr]
    if as_json:
        print_json(
            {
                "model": str(output),
                "product": str(product),
                "preset": preset or ("default" if given is None else given.preset),
                **record.model_dump(),
                "model_id": model.manifest.model_id,  # type: ignore[union-attr]
                "calibration": calibration_summary(model),
                "skipped": [failure.to_dict() for failure in model.failures],
            }
        )
    _say_outcome(model, output)
    if record.interrupted:
        on = f" {state.path} goes on with --resume." if state.path is not None and state.path.exists() else ""
        warn(f"training was interrupted; {output} holds the best state so far (epoch {record.kept_epoch}).{on}")
        raise typer.Exit(EXIT_INTERRUPTED)
    fail_if_skipped(model.failures)


def _learn(model: DifferNet, paths: Sequence[Path], output: Path, state: TrainingState) -> None:
    """Learn; Ctrl-C before there is anything to keep is told."""
    from differnet.errors import UncalibratedWarning  # noqa: PLC0415

    with progress() as listener, warnings.catch_warnings():
        warnings.simplefilter("ignore", UncalibratedWarning)  # it is told at the end
        try:
            model.fit(paths, listener, state=state)
        except KeyboardInterrupt:
            warn(f"interrupted before anything was learnt; {output} was not written.")
            raise typer.Exit(EXIT_INTERRUPTED) from None


def _say_views(model: DifferNet) -> None:
    if model.view_decision is not None:
        turned = model.settings.views.count > 1
        say(
            f"views: {'turned by right angles, features averaged' if turned else 'each image as it is'}; averaging "
            f"over the turns leaves {100 * model.view_decision.share_kept:.0f} % of what good images differ by."
        )


def _say_outcome(model: DifferNet, output: Path) -> None:
    record = model.manifest.training  # type: ignore[union-attr]
    held_out = f", {record.held_out_images} held out" if record.held_out_images else ""
    how = "nothing was left to train"
    if record.epochs:
        loss = record.loss if record.held_out_loss is None else record.held_out_loss
        watched = "held-out " if record.held_out_loss is not None else ""
        reached = "" if loss is None else f", {watched}loss {loss:.3f}"
        how = f"kept epoch {record.kept_epoch} of {record.epochs}{reached}"
    say(f"{output}: learnt from {record.images} good images{held_out}; {how}, {record.seconds:.0f} s.")
    if model.calibration:
        say(calibration_sentence(model))
    else:
        warn(f"{output}: {model.uncalibrated_reason} Until then 'differnet score' gives scores and no decisions.")
    for remark in record.remarks:
        warn(remark)
