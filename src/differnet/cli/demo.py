"""``differnet demo``: train and evaluate on real images that come with a package."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import (
    DeviceOption,
    JsonOption,
    WeightsOption,
    fail_if_skipped,
    print_json,
    progress,
    say,
)
from differnet.cli.evaluate import write_scores
from differnet.cli.sinks import open_output

__all__ = ["demo"]

_CREDIT = "Cells: elpv-dataset (Deitsch et al., Buerhop-Lutz et al.), CC BY-NC-SA 4.0"


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
    split: Annotated[int, typer.Option(min=0, help="Of the choice of images; another number, other cells.")] = 0,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn from 300 photographs of good solar cells and find the defective ones among 200 others."""
    from differnet.demo.cells import choose_cells, find_dataset, write_product  # noqa: PLC0415
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.errors import MissingExtraError  # noqa: PLC0415
    from differnet.evaluation import evaluate  # noqa: PLC0415
    from differnet.evaluation.figure import save_score_figure  # noqa: PLC0415
    from differnet.images import read_test_images  # noqa: PLC0415
    from differnet.settings import preset  # noqa: PLC0415

    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("The demo needs matplotlib. Run: pip install 'differnet[demo]'")
    product = out / "cells"
    chosen = choose_cells(find_dataset(), split)
    write_product(chosen, product)
    model = DifferNet(preset("default").with_overrides({"seed": seed}), device=device, weights=weights)
    say(f"Learning from {len(chosen.train)} images of good solar cells in {product / 'train' / 'good'} ...")
    with progress() as listener:
        model.fit(product, listener)  # type: ignore[arg-type]
    model.save(out / "model.safetensors")
    images = read_test_images(product)
    say(f"Scoring {len(images)} other cells in {product / 'test'} ...")
    with progress() as listener:
        evaluation = evaluate(model, images, listener)  # type: ignore[arg-type]
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
    if as_json:
        print_json(document)
    say(f"Image AUROC {auroc.value:.4f}, 95 % interval {auroc.low:.4f} to {auroc.high:.4f}. In {out}:")
    for name, what in (
        ("model.safetensors", "the model"),
        ("evaluation.json", "the metrics"),
        ("scores.csv", "the score of every image"),
        ("scores.png", "histogram, highest- and lowest-scoring images"),
        ("cells", "the images"),
    ):
        say(f"  {out / name}: {what}")
    fail_if_skipped([*model.failures, *evaluation.failures])
