"""What this version costs on this machine: ``python -m benchmarks [--product FOLDER] [--quick] [-o FILE]``.

Trains with the default settings, then measures the model as ``differnet bench`` does. Without ``--product`` the solar
cells of the demo are used, and photographs are made up where their package is not installed or with ``--quick``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from differnet.bench.benchmark import run_benchmark
from differnet.bench.plan import FULL, QUICK, Plan, parse_counts
from differnet.bench.tables import print_tables, to_document
from differnet.errors import DifferNetError, MissingExtraError
from differnet.images.solar_cells import choose_cells, find_dataset, write_product


def _cells(folder: Path, plan: Plan) -> Path | None:
    """The solar cells of the demo as a product; None for made-up photographs."""
    if plan.quick:
        return None
    try:
        write_product(choose_cells(find_dataset()), folder)
    except MissingExtraError:
        return None
    return folder


def main() -> None:
    """Print the tables, and write the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--product", type=Path, help="folder with train/good, test/good and test/<kind of defect>")
    parser.add_argument("--images", help="numbers of images to score, such as 1,100,1000,10000")
    parser.add_argument("--repeat", type=int, help="runs of a quick command")
    parser.add_argument("--quick", action="store_true", help="fewer runs of less")
    parser.add_argument("-o", "--output", type=Path, help="JSON file to write")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments = parser.parse_args()
    try:
        counts = None if arguments.images is None else parse_counts(arguments.images)
        plan = (QUICK if arguments.quick else FULL).changed(counts=counts, repetitions=arguments.repeat, train=True)
        with tempfile.TemporaryDirectory(prefix="differnet-product-") as folder:
            found = run_benchmark(None, product=arguments.product or _cells(Path(folder), plan), plan=plan)
    except DifferNetError as error:
        sys.exit(f"error: {error}")
    text = json.dumps(to_document(found), indent=2, allow_nan=False) + "\n"
    if arguments.output is not None:
        arguments.output.write_text(text, encoding="utf-8")
    if arguments.json:
        sys.stdout.write(text)
    else:
        print_tables(found, Console(highlight=False))


if __name__ == "__main__":
    main()
