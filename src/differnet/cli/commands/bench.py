"""``differnet bench``: what a model costs on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import print_json, say
from differnet.cli.options import DeviceOption, JsonOption, WeightsOption
from differnet.cli.outputs import check_writable, open_output
from differnet.cli.progress import progress

__all__ = ["bench"]


def bench(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    product: Annotated[
        Path | None,
        typer.Option(
            help="Folder with train/good, test/good and test/<kind of defect>. Left out: photographs are made up."
        ),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(metavar="N,N,...", help="Numbers of images to score; the few there are get repeated."),
    ] = None,
    repeat: Annotated[int | None, typer.Option(help="Runs of a quick command; long ones are run less often.")] = None,
    train: Annotated[
        bool, typer.Option("--train/--no-train", help="Measure training with the model's settings.")
    ] = True,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer runs of less: a minute or two.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the figures as JSON too.")] = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what commands cost on this machine, beside what the machine can do at best.

    Whole commands with their memory, the stages of scoring, and how costs grow. Leave the machine alone meanwhile.
    """
    from rich.console import Console  # noqa: PLC0415

    from differnet.bench.benchmark import run_benchmark  # noqa: PLC0415
    from differnet.bench.plan import FULL, QUICK, parse_counts  # noqa: PLC0415
    from differnet.bench.tables import print_tables, to_document  # noqa: PLC0415

    counts = None if images is None else parse_counts(images)
    plan = (QUICK if quick else FULL).changed(counts=counts, repetitions=repeat, train=train)
    if output is not None:
        check_writable(output)
    with progress() as listener:
        found = run_benchmark(
            model,
            product=product,
            plan=plan,
            device=device,
            weights=weights,
            progress=listener,
        )
    document = to_document(found)
    if output is not None:
        with open_output(str(output)) as stream:
            stream.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
        say(f"{output}: the figures as JSON.")
    if as_json:
        print_json(document)
    else:
        print_tables(found, Console(highlight=False))
