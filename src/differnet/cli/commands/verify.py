"""``differnet verify``: whether an exported file says what its model says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from differnet.cli.commands.export import check_precision
from differnet.cli.console import EXIT_FAILED, fail_if_skipped, print_json, say
from differnet.cli.options import JsonOption, WeightsOption
from differnet.cli.progress import progress

if TYPE_CHECKING:
    from differnet.images.failure import Failure

__all__ = ["verify"]


def verify(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    exported: Annotated[Path, typer.Argument(help="File that 'differnet export' made of it.")],
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files, folders (searched through), list files (.txt, a path per line)."),
    ],
    precision: Annotated[
        str, typer.Option(help="What the model computes in here: auto (as the file does), float32 or bfloat16.")
    ] = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of the exported file's runtime.")] = None,
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare an exported file with its model on images: scores and decisions must agree, else exit code 1.

    Scores may differ by a thousandth, in bfloat16 by 3 %. Both score by all views. Times are of images in memory,
    one at a time.
    """
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.export.parity import Parity, compare  # noqa: PLC0415
    from differnet.export.targets import open_engine  # noqa: PLC0415
    from differnet.images import collect_images  # noqa: PLC0415
    from differnet.images.failure import Failure  # noqa: PLC0415

    check_precision(precision)
    found = collect_images(images)
    if found.passed_over:
        say(f"{found.passed_over}.")
    engine = open_engine(exported, threads)
    detector = DifferNet.load(model, device="cpu", weights=weights)
    parity = Parity()
    failures: list[Failure] = []
    with progress() as listener:
        results = compare(detector, engine, found.paths, precision=precision)
        for done, result in enumerate(results, start=1):
            listener.images("verifying", done, len(found.paths))
            if isinstance(result, Failure):
                failures.append(result)
            else:
                parity.images.append(result)
    outcome = parity.to_dict()
    if as_json:
        skipped = [failure.to_dict() for failure in failures]
        about = {"model": str(model), "exported": str(exported), "runtime": engine.name}
        about["precision"] = engine.about["precision"] if precision == "auto" else precision
        print_json({**about, **outcome, "skipped": skipped})
    else:
        for image in parity.differing:
            typer.echo(
                f"differs\t{image.score:.6g} {image.decision}\t{image.exported_score:.6g} {image.exported_decision}\t"
                f"{image.source}"
            )
        typer.echo(_sentence(outcome, engine.name))
    fail_if_skipped(failures)
    if not outcome["agrees"]:
        raise typer.Exit(EXIT_FAILED)


def _sentence(outcome: dict[str, object], runtime: str) -> str:
    worst = outcome["max_difference"]
    return (
        f"{runtime}: {outcome['images']} images, scores differ by at most "
        f"{'more than can be said' if worst is None else format(worst, '.1e')}, "
        f"{outcome['decisions_differing']} decisions; median {outcome['median_exported_milliseconds']} ms an image, "
        f"the model itself {outcome['median_milliseconds']} ms."
    )
