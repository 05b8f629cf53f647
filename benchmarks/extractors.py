"""Is it the extractor? ``python -m benchmarks.extractors [NAME=FOLDER ...] [--cells] [-o FILE]``.

The paper's text has AlexNet, VGG and ResNet "about the same". Trains the paper's preset with each of the extractors
whose weights are at hand, and the default with each and with its own, and prints a table of image AUROC by the final
model.
Products are folders in the MVTec layout; ``--cells``, or none, takes the solar cells of the demo (elpv-dataset).

Every result is appended to a file of JSON lines, and a training that was stopped goes on where it was
(``RESULTS.state``), so that the command can be stopped and given again. On a processor the paper's preset takes hours a
product with AlexNet and a day with VGG16: ``--only default`` and ``--only paper:alexnet`` choose, ``--set
training.epochs=24`` shortens. ``--quick`` does a little of everything.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accuracy import PUBLISHED, Split, fingerprint, of_demo, of_folder, of_words
from differnet import DifferNet, Settings
from differnet.bench.photographs import make_product
from differnet.errors import DifferNetError, WeightsError
from differnet.evaluation.image_metrics import image_auroc
from differnet.extractors import find_weights
from differnet.settings import preset
from differnet.training.state import TrainingState

PAPERS = ("alexnet", "vgg16", "resnet18")
COMPARED = tuple(("paper", name) for name in PAPERS) + tuple(
    ("default", name) for name in ("efficientnet-lite0", *PAPERS)
)
NO_WEIGHTS = "no weights"

_QUICK: Mapping[str, Mapping[str, object]] = {
    "paper": {
        "views.size": 128,
        "extractor.scales": 2,
        "views.count": 2,
        "views.training_count": 1,
        "flow.hidden": 16,
        "flow.blocks": 2,
        "training.epochs": 2,
    },
    "default": {
        "views.size": 128,
        "views.flow_size": 128,
        "views.kind": "none",
        "training.epochs": 2,
        "localization.components": 16,
        "localization.mixture_dimensions": 16,
        "calibration.folds": 2,
        "calibration.false_reject_rate": 0.2,
    },
}


@dataclass(frozen=True)
class Task:
    """One cell of the table.

    Attributes:
        preset: By name.
        extractor: By name.
        product: By name.
        seed: Of everything random.
    """

    preset: str
    extractor: str
    product: str
    seed: int


def settings_of(task: Task, changes: Mapping[str, object], *, quick: bool) -> Settings:
    """The settings of a task."""
    little = _QUICK[task.preset] if quick else {}
    chosen = {"extractor.name": task.extractor, "seed": task.seed, **changes}
    return preset(task.preset).with_overrides({**little, **chosen})


def measure(task: Task, split: Split, settings: Settings, state: Path, device: str) -> dict[str, Any]:
    """Train to the end, and score the test images by the final model.

    Raises:
        WeightsError: If the extractor's weights are not to be had.
    """
    find_weights(task.extractor, download=False)
    started = time.perf_counter()
    model = DifferNet(settings, device=device)
    keeper = TrainingState(state, resume=True, tell=_log)
    model.fit(split.train, Told(task), state=keeper)
    record = model.fitted.manifest.training
    if record.interrupted:
        raise KeyboardInterrupt
    keeper.remove()
    trained = time.perf_counter()
    scores = model.score([*split.good, *split.defective])
    value = image_auroc(scores[: len(split.good)], scores[len(split.good) :]).value
    return {
        "auroc": value,
        "epochs": record.epochs,
        "images": record.images,
        "training_seconds": record.seconds,
        "scoring_seconds": round(time.perf_counter() - trained, 1),
        "seconds": round(time.perf_counter() - started, 1),
        "device": record.device,
    }


class Told:
    """Tells of the epochs of long trainings, each minute at most."""

    def __init__(self, task: Task) -> None:
        self.task, self.last = task, time.monotonic()

    def images(self, stage: str, done: int, total: int) -> None:
        """Say nothing."""

    def epoch(self, report: Any) -> None:  # noqa: ANN401 - an EpochReport
        """Tell how long an epoch takes, and how many are left."""
        now = time.monotonic()
        if now - self.last >= 60:
            self.last = now
            _log(f"{self.task}: epoch {report.epoch} of {report.epochs}, loss {report.loss:.4f}")


def table(rows: Sequence[Mapping[str, Any]], products: Sequence[str]) -> str:
    """Products across, presets with their extractors down; the mean over seeds where there are several."""
    lines = [
        f"| preset | extractor | {' | '.join(products)} |",
        f"|---|---|{'---|' * len(products)}",
    ]
    published = [f"{PUBLISHED[name]:.3f}" if name in PUBLISHED else "" for name in products]
    lines.append(f"| paper, published | AlexNet | {' | '.join(published)} |")
    for chosen, extractor in COMPARED:
        cells = [cell([row for row in rows if _is_of(row, chosen, extractor, product)]) for product in products]
        if any(cells):
            lines.append(f"| {chosen} | {extractor} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(rows: Sequence[Mapping[str, Any]]) -> str:
    """What the table says of some seeds."""
    values = [float(row["auroc"]) for row in rows if "auroc" in row]
    if not values:
        return str(rows[0]["reason"]) if rows else ""
    several = f" (mean of {len(values)}, {min(values):.4f} to {max(values):.4f})" if len(values) > 1 else ""
    return f"{sum(values) / len(values):.4f}{several}"


def _is_of(row: Mapping[str, Any], *wanted: str) -> bool:
    return (row["preset"], row["extractor"], row["product"]) == wanted


def run(
    tasks: Sequence[Task], splits: Mapping[str, Callable[[int], Split]], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Measure what was not measured yet."""
    known: dict[str, dict[str, Any]] = {}
    if arguments.output.exists():
        lines = arguments.output.read_text(encoding="utf-8").splitlines()
        known = {row["key"]: row for row in map(json.loads, lines)}
    rows: list[dict[str, Any]] = []
    for task in tasks:
        split = splits[task.product](task.seed)
        settings = settings_of(task, arguments.changes, quick=arguments.quick)
        key = fingerprint(settings, split)
        row: dict[str, Any] = {"key": key, **vars(task)}
        if key not in known:
            try:
                state = arguments.output.with_name(f"{arguments.output.name}.{key}.state")
                row |= measure(task, split, settings, state, arguments.device)
            except WeightsError as error:
                _log(f"{task}: {error}")
                row["reason"] = NO_WEIGHTS  # not kept: they may be there the next time
                rows.append(row)
                continue
            known[key] = row
            with arguments.output.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            _log(f"{task}: {row['auroc']:.4f}, {row['seconds']:.0f} s")
        rows.append(known[key])
    return rows


def choose(words: Sequence[str]) -> list[tuple[str, str]]:
    """What ``--only`` names: ``default``, ``paper:alexnet``."""
    chosen = [pair for pair in COMPARED if not words or pair[0] in words or ":".join(pair) in words]
    known = {pair[0] for pair in COMPARED} | {":".join(pair) for pair in COMPARED}
    if unknown := set(words) - known:
        sys.exit(f"error: --only {', '.join(sorted(unknown))}: there is only {', '.join(sorted(known))}.")
    return chosen


def main(words: list[str] | None = None) -> None:
    """Measure what was not measured yet, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.extractors",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("products", nargs="*", metavar="NAME=FOLDER", help="products of your own")
    parser.add_argument("--cells", action="store_true", help="the solar cells too")
    parser.add_argument("--only", action="append", default=[], metavar="PRESET[:EXTRACTOR]", help="repeatable")
    parser.add_argument("--seeds", default="0", help="such as 0,1,2")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")
    parser.add_argument("--device", default="auto", help="cuda or cpu")
    parser.add_argument("--quick", action="store_true", help="little of everything, in seconds")
    parser.add_argument("-o", "--output", type=Path, default=Path("extractors.jsonl"), help="file of results")
    arguments = parser.parse_args(words)
    arguments.changes = dict(word.split("=", 1) for word in arguments.set)
    splits = of_words(arguments.products)
    with tempfile.TemporaryDirectory(prefix="differnet-product-") as temporary:
        if arguments.quick and not splits:
            made = Path(temporary) / "photographs"
            make_product(made, width=128, height=128, training=10, testing=2)
            splits["photographs"] = lambda seed: of_folder(made, seed)
        elif arguments.cells or not splits:
            splits["solar cells"] = of_demo
        pairs = choose(arguments.only)
        seeds = [int(word) for word in arguments.seeds.split(",")]
        tasks = [Task(*pair, product, seed) for seed in seeds for pair in pairs for product in splits]
        try:
            rows = run(tasks, splits, arguments)
        except DifferNetError as error:
            sys.exit(f"error: {error}")
    sys.stdout.write(table(rows, list(splits)) + "\n")


def _log(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
