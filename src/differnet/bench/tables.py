"""A benchmark as JSON, and as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from differnet.bench.results import Benchmark, CaseResult, Product, Scaling

__all__ = ["print_tables", "to_document"]

_MEGA = 1e6
_COLOURS = {"aim": "green", "bar": "yellow", "missed": "red"}
_VERDICTS = {"aim": "aim", "bar": "bar", "missed": "missed", "not measured": "-"}


def to_document(benchmark: Benchmark) -> dict[str, Any]:
    """The benchmark as JSON values."""
    document = asdict(benchmark)
    document["bars"] = [asdict(bar) | {"verdict": bar.verdict} for bar in benchmark.bars]
    return document


def print_tables(benchmark: Benchmark, console: Console) -> None:
    """Print what was found."""
    machine, ceilings = benchmark.machine, benchmark.ceilings
    console.print(
        f"{machine.processor}, {machine.cores} core(s), {machine.system}, Python {machine.python}, torch "
        f"{ceilings.torch} with {ceilings.threads} thread(s) on {ceilings.device}",
        markup=False,
    )
    console.print(
        f"at best: float32 product {_rate(ceilings.float32)}, bfloat16 product {_rate(ceilings.bfloat16)}, copy "
        f"{ceilings.copy_gbytes:.1f} GB/s",
        markup=False,
    )
    width, height = benchmark.image_size
    origin = benchmark.product or "made up, since there is no --product"
    console.print(f"images: {width} x {height} px, {origin}\n", markup=False)
    for part in (
        _cases(benchmark.cases),
        _stages(benchmark),
        _scaling(benchmark.scaling),
        _memory(benchmark.scaling),
        _bars(benchmark),
    ):
        console.print(part)


def _rate(product: Product) -> str:
    return f"{product.gflops:.0f} GFLOP/s ({product.side} x {product.side})"


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=i == 0)
    return table


def _cases(cases: Sequence[CaseResult]) -> Table:
    table = _table("Whole commands", ("command", "images", "runs", "median s", "min", "max", "CPU s", "peak MB"))
    for case in cases:
        table.add_row(
            case.name,
            str(case.images or ""),
            str(case.seconds.count),
            *(f"{value:.2f}" for value in (case.seconds.median, case.seconds.min, case.seconds.max)),
            f"{case.cpu_seconds.median:.2f}",
            f"{case.peak_bytes.max / _MEGA:.0f}",
        )
    return table


def _stages(benchmark: Benchmark) -> Table:
    report = benchmark.stages
    table = _table(
        f"Scoring an image, {report.views} view(s), {report.precision}: {report.whole_milliseconds:.1f} ms, as the sum "
        f"of its stages {report.sum_milliseconds:.1f} ms",
        ("stage", "ms", "share", "GFLOP", "GFLOP/s", "least MB", "of ceiling"),
    )
    for stage in report.stages:
        table.add_row(
            stage.name,
            f"{stage.milliseconds:.2f}",
            f"{stage.share:.1%}",
            f"{stage.gflop:.3f}" if stage.gflop else "",
            f"{stage.gflops:.1f}" if stage.gflop else "",
            f"{stage.megabytes:.2f}",
            f"{stage.ceiling_share:.1%}" if stage.ceiling_share else "",
        )
    return table


def _scaling(scaling: Sequence[Scaling]) -> Table:
    table = _table("Cost by a straight line", ("quantity", "measured at", "s at 0", "s for one more", "R²"))
    for one in scaling:
        unit = "" if one.quantity.endswith(one.unit) else f", {one.unit}"
        table.add_row(
            one.quantity + unit,
            f"{one.points[0].x:.3g} to {one.points[-1].x:.6g}",
            f"{one.fit.intercept:.3f}",
            f"{one.fit.slope:.4f}",
            "" if one.fit.r_squared is None else f"{one.fit.r_squared:.4f}",
        )
    return table


def _memory(scaling: Sequence[Scaling]) -> str:
    """How peak memory goes with the number of images."""
    for one in scaling:
        if one.memory_growth is not None:
            peaks = ", ".join(f"{(point.peak_bytes or 0) / _MEGA:.0f} MB at {point.x:.0f}" for point in one.points)
            return f"peak memory by {one.quantity}: {peaks} (the last {one.memory_growth:.3f} of the one before)\n"
    return ""


def _bars(benchmark: Benchmark) -> Table:
    table = _table("Promises, for two cores", ("what", "bar", "aim", "measured", "kept", "measured on"))
    for bar in benchmark.bars:
        colour = _COLOURS.get(bar.verdict, "dim")
        table.add_row(
            f"{bar.what}, {bar.unit}",
            f"{bar.bar:g}",
            f"{bar.aim:g}",
            "" if bar.measured is None else f"{bar.measured:.3g}",
            f"[{colour}]{_VERDICTS[bar.verdict]}[/]",
            bar.note,
        )
    return table
