"""``differnet fleet``: many products, large archives, here or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from differnet.cli.common import with_quiet
from differnet.cli.console import EXIT_FAILED, EXIT_INTERRUPTED, print_json, say, warn
from differnet.cli.options import DeviceOption, JsonOption, WeightsOption, parse_assignments
from differnet.cli.progress import fleet_progress, progress
from differnet.installing import install_extra

if TYPE_CHECKING:
    from differnet.fleet.product_training import TrainingRow

__all__ = ["app"]

app = typer.Typer(help="Many products and large archives, on this machine or on a Ray cluster.", no_args_is_help=True)

RayOption = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Ray cluster to work on: local (this machine's cores), auto, host:port or ray://host:port. Without it, "
        "all is done in this process.",
    ),
]
CpusOption = Annotated[int, typer.Option(min=1, help="Cores for each Ray task or worker.")]
GpusOption = Annotated[float, typer.Option(min=0.0, help="Share of a GPU for each Ray task or worker.")]


@app.command("train")
@with_quiet
def train(
    products: Annotated[Path, typer.Argument(help="Folder with a folder or a recipe (*.yaml) for each product.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the model files; made if absent.")],
    ray: RayOption = None,
    cpus: CpusOption = 1,
    gpus: GpusOption = 0.0,
    preset: Annotated[str, typer.Option(help="Of products without a recipe: default, fast or paper.")] = "default",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of all products. Repeatable."),
    ] = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model for every product; those that are finished and unchanged are left as they are."""
    from differnet.fleet.ray_cluster import Resources, require_ray  # noqa: PLC0415

    if ray is not None:
        require_ray()  # told at once: what follows takes seconds to import
    from differnet.extractors import check_settings  # noqa: PLC0415
    from differnet.fleet.product_training import TRAINING_COLUMNS  # noqa: PLC0415
    from differnet.fleet.products import find_products  # noqa: PLC0415
    from differnet.fleet.training import jobs_of, train_fleet, train_fleet_on_ray  # noqa: PLC0415
    from differnet.settings import preset as find_preset  # noqa: PLC0415
    from differnet.sinks.tables import table_suffix, write_table  # noqa: PLC0415

    changes = parse_assignments(settings or [])
    check_settings(find_preset(preset).with_overrides(changes))  # a wrong name is one error, not one per product
    found = find_products(products, without=output)
    _make_folder(output)
    jobs = jobs_of(found, output, preset, changes, device)
    try:
        with _cluster(ray), fleet_progress(len(jobs)) as board:
            if ray is None:
                rows = train_fleet(jobs, output, board, weights)
            else:
                rows = train_fleet_on_ray(jobs, output, board, Resources(cpus, gpus), weights)
    except KeyboardInterrupt:
        warn(f"interrupted; the models in {output} are complete, and the same command goes on with the others.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    table = output / f"fleet{table_suffix()}"
    write_table(table, TRAINING_COLUMNS, [asdict(row) for row in rows])
    if as_json:
        print_json({"models": str(output), "table": str(table), "products": [asdict(row) for row in rows]})
    else:
        _print_table(rows)
    failed = [row for row in rows if row.status == "failed"]
    counts = {status: sum(row.status == status for row in rows) for status in ("trained", "unchanged", "failed")}
    say(f"{table}: {', '.join(f'{count} {status}' for status, count in counts.items())}.")
    for row in failed:
        warn(f"{row.product}: {row.reason}")
    if failed:
        raise typer.Exit(EXIT_FAILED)


@app.command("score")
@with_quiet
def score(
    models: Annotated[Path, typer.Argument(help="Folder with a model file for each product, or one model file.")],
    archive: Annotated[
        str,
        typer.Argument(
            help="What to score: a folder (with a folder for each product, where there are several models), a Parquet "
            "file or folder (columns path, bytes, product), or the address of one, such as s3://bucket/folder."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--output", "-o", "--out", help="Folder for the results, partitioned by product.")
    ],
    ray: RayOption = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of Ray workers; by default as many as have room.")
    ] = None,
    cpus: CpusOption = 1,
    gpus: GpusOption = 0.0,
    views: Annotated[
        str, typer.Option(help="sequential: no more views than settle the decision; all: the full score.")
    ] = "sequential",
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Score an archive, a row per image. Started again after an interruption, it does what remains."""
    from differnet.fleet.ray_cluster import Resources, require_ray  # noqa: PLC0415

    if ray is not None:
        require_ray()  # told at once: what follows takes seconds to import
    from differnet.fleet.archive import open_archive  # noqa: PLC0415
    from differnet.fleet.models import find_models  # noqa: PLC0415
    from differnet.fleet.results import Results  # noqa: PLC0415
    from differnet.fleet.scoring import score_archive, score_archive_on_ray  # noqa: PLC0415
    from differnet.sinks.tables import has_parquet  # noqa: PLC0415

    if views not in ("sequential", "all"):
        raise typer.BadParameter(f"'{views}' is neither 'sequential' nor 'all'.", param_hint="--views")
    found = find_models(models)
    images = open_archive(archive, with_products=found.only is None)
    if not has_parquet():
        say(f"Results are written as CSV; for Parquet, run: {install_extra('cluster')}")
    results = Results(out)
    try:
        with _cluster(ray), progress() as listener:
            if ray is None:
                summary = score_archive(
                    found,
                    images,
                    results,
                    progress=listener,
                    weights_path=weights,
                    device=device,
                    all_views=views == "all",
                )
            else:
                summary = score_archive_on_ray(
                    found,
                    images,
                    results,
                    progress=listener,
                    resources=Resources(cpus, gpus),
                    workers=workers,
                    weights_path=weights,
                    device=device,
                    all_views=views == "all",
                )
    except KeyboardInterrupt:
        warn(f"interrupted; the same command goes on from what is in {out}.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        print_json({"results": str(out), "images": images.total, **asdict(summary)})
    decided = "".join(f", {count} {decision}" for decision, count in sorted((summary.decisions or {}).items()))
    before = f", {summary.already_done} were done before" if summary.already_done else ""
    say(f"{out}: {summary.scored} images scored{decided}{before}.")
    for product, sentence in summary.drift.items():
        warn(f"{product}: {sentence}")
    if summary.errors:
        warn(f"{summary.errors} image(s) have an error instead of a score; see the column 'error'.")
    if summary.earlier_errors:
        warn(
            f"{summary.earlier_errors} row(s) of before have an error instead of a score; to try these images again, "
            "mend them and choose another --out."
        )
    if summary.errors or summary.earlier_errors:
        raise typer.Exit(EXIT_FAILED)


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    from differnet.fleet.ray_cluster import connected  # noqa: PLC0415

    if address is None:
        say("Working in this process; --ray local would use a process for each core.")
    with nullcontext() if address is None else connected(address):
        yield


def _make_folder(folder: Path) -> None:
    from differnet.errors import OutputError  # noqa: PLC0415

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}); choose another folder.") from None


def _print_table(rows: list[TrainingRow]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    headings = ("product", "status", "images", "held-out loss", "calibrated on", "threshold", "seconds", "peak MB")
    for place, heading in enumerate(headings):
        table.add_column(heading, justify="left" if place < 2 else "right")
    for row in rows:
        table.add_row(
            row.product,
            row.status,
            _number(row.images),
            _number(row.held_out_loss, ".3f"),
            _number(row.calibration_images),
            _number(row.threshold, ".4g"),
            _number(row.seconds, ".1f"),
            _number(row.peak_mb, ".0f"),
        )
    Console(highlight=False).print(table)


def _number(value: Any, form: str = "d") -> str:  # noqa: ANN401 - a number or None
    return "-" if value is None else format(value, form)
