"""``differnet demo``: train and evaluate on real images that come with a package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.commands.evaluate import write_scores
from differnet.cli.console import fail_if_skipped, print_json, say
from differnet.cli.describe import calibration_sentence
from differnet.cli.options import DeviceOption, JsonOption, WeightsOption
from differnet.cli.outputs import open_output
from differnet.cli.progress import progress

__all__ = ["demo"]

_CREDIT = "Cells: elpv-dataset (Deitsch et al., Buerhop-Lutz et al.), CC BY-NC-SA 4.0"


def demo(
    out: Annotated[Path, typer.Option("--output", "-o", "--out", help="Folder for the results.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    split: Annotated[int, typer.Option(min=0, help="Of the choice of images; another number, other cells.")] = 0,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from 300 photographs of good solar cells and find the defective ones among 200 others."""
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.evaluation import evaluate  # noqa: PLC0415
    from differnet.images import read_test_images  # noqa: PLC0415
    from differnet.images.failure import Failure  # noqa: PLC0415
    from differnet.images.solar_cells import choose_cells, find_dataset, write_product  # noqa: PLC0415
    from differnet.localization.overlay import save_overlay  # noqa: PLC0415
    from differnet.report import require_extra, write_report  # noqa: PLC0415
    from differnet.report.score_figure import save_score_figure  # noqa: PLC0415
    from differnet.settings import preset  # noqa: PLC0415

    require_extra()
    product = out / "cells"
    chosen = choose_cells(find_dataset(), split)
    write_product(chosen, product)
    model = DifferNet(preset("default").with_overrides({"seed": seed}), device=device, weights=weights)
    say(f"Learning from {len(chosen.train)} images of good solar cells in {product / 'train' / 'good'} ...")
    with progress() as listener:
        model.fit(product, listener)
    model.save(out / "model.safetensors")
    images = read_test_images(product)
    say(f"Scoring {len(images)} other cells in {product / 'test'} ...")
    with progress() as listener:
        # No ground truth says where these cells are defective; the maps tell how often good ones look defective.
        evaluation = evaluate(model, images, listener, maps=True)
    document = {"model": str(out / "model.safetensors"), "product": str(product), **evaluation.to_dict()}
    with open_output(str(out / "evaluation.json")) as stream:
        stream.write(json.dumps(document, indent=2) + "\n")
    write_scores(evaluation, str(out / "scores.csv"))
    auroc = evaluation.overall.image_auroc
    save_score_figure(
        evaluation,
        out / "scores.png",
        f"Solar cells: image AUROC {auroc.value:.3f} (95 % interval {auroc.low:.3f} to {auroc.high:.3f})",
        _CREDIT,
    )
    surest = max((entry for entry in evaluation.scored if entry.image.is_defective), key=lambda e: e.verdict.score)
    for result in model.explain_stream([surest.image.path], with_images=True):
        if not isinstance(result, Failure):
            save_overlay(out / "explained.png", result.original, result.heat, result.regions)
    with progress() as listener:
        write_report(
            model,
            evaluation,
            out / "report.html",
            title="Solar cells",
            credit=_CREDIT,
            listener=listener,
        )
    if as_json:
        print_json(document)
    say(f"Image AUROC {auroc.value:.4f}, 95 % interval {auroc.low:.4f} to {auroc.high:.4f}.")
    say(f"{calibration_sentence(model)}")
    if evaluation.rates is not None:
        rates = evaluation.rates
        say(
            f"At the threshold {rates.false_reject.value:.1%} of the good cells are refused and "
            f"{rates.escape.value:.1%} of the defective ones escape. In {out}:"
        )
    for name, what in (
        ("model.safetensors", "the model"),
        ("evaluation.json", "the metrics"),
        ("scores.csv", "the score of every image"),
        ("scores.png", "histogram, highest- and lowest-scoring images"),
        ("explained.png", "where the surest catch is defective"),
        ("report.html", "the report: open it in a browser"),
        ("cells", "the images"),
    ):
        say(f"  {out / name}: {what}")
    fail_if_skipped([*model.failures, *evaluation.failures])
