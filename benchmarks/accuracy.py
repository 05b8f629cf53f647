"""How well are defects found? ``python -m benchmarks.accuracy [NAME=FOLDER ...] [--seeds 3]``.

Products, shots and seeds are gone through one by one, and every result is appended to a file of JSON lines, so that
a run that was stopped goes on where it was; what was measured with the same settings, data and code is not measured
again. The table goes to standard output, and between the markers of a document with ``--document docs/accuracy.md``.

Products are folders with train/good, test/good and test/<kind of defect>. Without any, or with ``--cells``, the solar
cells of ``elpv-dataset``: ``elpv-mono-demo`` (the demo's split), ``elpv-mono`` and ``elpv-poly`` (300 cells of a kind
to learn from, drawn by the seed; all others that are surely good or surely defective to test on). ``NAME@16`` learns
from 16 images that the seed draws.

Beside a preset, the default unless ``--preset`` says otherwise, stand two baselines of the same features and cells:
``gaussian``, the squared Mahalanobis
distance (what ``flow.kind=gaussian`` gives, fitted to all images), and ``neighbour``, the local score alone of the
nearest good cells. ``--only default`` does without them. Of products with ground truths the heat maps are measured too.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

import differnet
from differnet import DifferNet, Settings
from differnet.evaluation import evaluate
from differnet.evaluation.image_metrics import image_auroc
from differnet.features import Sample
from differnet.flow import Gaussian
from differnet.images import read_good_images, read_test_images
from differnet.images.layouts import LabelledImage
from differnet.images.solar_cells import TRAINING_CELLS, choose_cells, find_dataset
from differnet.localization.neighbours.cells import CellGrids, CellProjection
from differnet.localization.neighbours.nearest_cells import NearestCellsCollector
from differnet.scoring import local_scores, scored_features
from differnet.settings import preset
from differnet.views import fixed_views

SHOTS = 16
METHODS = ("default", "gaussian", "neighbour")
# AUROC that the paper gives (tables 1 and 3), for products of its data sets.
PUBLISHED = {"bottle": 0.990, "magnetic_tile": 0.977, "screw": 0.963}
# The better of anomalib 2.7's PatchCore at 256 and at 448 pixels, with the default's network; measured once.
RIVAL = {"bottle": 1.0, "screw": 0.985, "circuitboard": 0.900, "cookies": 1.0, "elpv-mono-demo": 0.967}
MARKERS = ("<!-- accuracy: begin -->", "<!-- accuracy: end -->")
# What cannot change a score.
WITHOUT_SCORES = {"bench", "cli", "evaluation", "export", "fleet", "report", "server", "watching"}


@dataclass(frozen=True)
class Split:
    """Images to learn from and to test on."""

    train: Sequence[Path]
    good: Sequence[Path]
    defective: Sequence[Path]
    masks: Mapping[Path, LabelledImage] = field(default_factory=dict)

    def labelled(self) -> list[LabelledImage]:
        """The test images, the good ones first."""
        good = [LabelledImage(path, "good") for path in self.good]
        return [*good, *(self.masks.get(path, LabelledImage(path, "defective")) for path in self.defective)]


def of_folder(folder: Path, _seed: int) -> Split:
    """A product in the MVTec layout."""
    test = read_test_images(folder)
    good = [image.path for image in test if image.kind == "good"]
    defective = [image.path for image in test if image.kind != "good"]
    masks = {image.path: image for image in test if image.mask is not None}
    return Split(read_good_images(folder).paths, good, defective, masks)


def of_demo(_seed: int) -> Split:
    """The demo's cells, the same for every seed."""
    chosen = choose_cells(find_dataset())
    return Split(chosen.train, chosen.test_good, chosen.test_defective)


def of_cells(kind: str, seed: int) -> Split:
    """Solar cells of a kind, by seed."""
    dataset = find_dataset()
    rows = [line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines()]
    of_kind = [(dataset / name, float(probability)) for name, probability, found in rows if found == kind]
    good = [path for path, probability in of_kind if probability == 0.0]
    order = np.random.RandomState(seed).permutation(len(good))
    known, unseen = ([good[i] for i in part] for part in np.split(order, [TRAINING_CELLS]))
    return Split(sorted(known), sorted(unseen), [path for path, probability in of_kind if probability == 1.0])


def few(split: Split, seed: int) -> Split:
    """The same test with 16 images to learn from."""
    chosen = np.random.default_rng([seed, SHOTS]).choice(len(split.train), SHOTS, replace=False)
    return Split([split.train[i] for i in sorted(chosen)], split.good, split.defective, split.masks)


def measure(
    split: Split, settings: Settings, cache: Path, methods: Collection[str] = METHODS
) -> Iterator[dict[str, float | str | None]]:
    """Learn once, and score by the model and by the baselines that are asked for."""
    started = time.perf_counter()
    model = DifferNet(settings, cache=cache).fit(split.train)
    test = [*split.good, *split.defective]
    evaluation = evaluate(model, split.labelled())
    scores = np.array([image.verdict.score for image in evaluation.scored])
    maps = evaluation.pixels
    seconds = time.perf_counter() - started
    refused = (
        None if model.calibration is None else float(np.mean(scores[: len(split.good)] > model.calibration.threshold))
    )
    escaped = (
        None if model.calibration is None else float(np.mean(scores[len(split.good) :] <= model.calibration.threshold))
    )

    def row(method: str, values: Sequence[float] | np.ndarray, **more: float | None) -> dict[str, float | str | None]:
        auroc = image_auroc(np.asarray(values)[: len(split.good)], np.asarray(values)[len(split.good) :]).value
        return {"method": method, "auroc": auroc, **more}

    yield row(
        "default",
        scores,
        refused=refused,
        escaped=escaped,
        pixel_auroc=None if maps is None else maps.pixel_auroc,
        aupro=None if maps is None else maps.aupro,
        seconds=round(seconds, 1),
    )
    if not {"gaussian", "neighbour"} & {*methods}:
        return
    # As training chose them.
    settings = model.settings
    extraction, chosen = model.extraction, settings.localization
    projection, views = CellProjection(extraction.extractor, chosen.dimensions), fixed_views(settings.views)

    def scored(image: Sample) -> Tensor:
        return scored_features(image.features[None], settings.scoring.aggregation)[0]

    collector, vectors = NearestCellsCollector(len(split.train), chosen.cells, settings.seed), []
    for image in extraction.stream(split.train, views, cells=projection):
        if isinstance(image, Sample) and isinstance(image.cells, CellGrids):
            collector.add(image.index, image.cells)
            vectors.append(scored(image))
    local, gaussian = collector.fit(), Gaussian(extraction.features)
    gaussian.start(vectors)
    distances, hottest = [], []
    for image in extraction.stream(test, views, cells=projection):
        if isinstance(image, Sample) and isinstance(image.cells, CellGrids):
            distances.append(gaussian.energy(scored(image)).median().item())
            hottest.append(local_scores(local.anomaly(image.cells), settings.scoring.hottest)[0].item())
    yield row("gaussian", distances)
    yield row("neighbour", hottest)


def fingerprint(settings: Settings, split: Split) -> str:
    """Of all that a result depends on."""
    digest = hashlib.sha256(settings.model_dump_json().encode())
    package = Path(differnet.__file__).parent
    code = [file for file in package.rglob("*.py") if file.relative_to(package).parts[0] not in WITHOUT_SCORES]
    for file in (*sorted(code), Path(__file__), *split.train, *split.good, *split.defective):
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Mean and standard deviation over the seeds, as Markdown."""
    lines = [
        "| product | image AUROC | pixel AUROC; AUPRO | refused at 5 % "
        "| Gaussian | nearest cell | PatchCore | published | seeds |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for product in dict.fromkeys(str(row["product"]) for row in rows):
        cells = []
        for method in METHODS:
            values = [float(row["auroc"]) for row in rows if (row["product"], row["method"]) == (product, method)]
            cells.append(_mean(values))
        maps, refused = (
            [
                [float(row[name]) for row in rows if row["product"] == product and row.get(name) is not None]
                for name in names
            ]
            for names in (("pixel_auroc", "aupro"), ("refused",))
        )
        cells[1:1] = [
            "; ".join(_mean(found) for found in maps if found),
            ", ".join(f"{share:.1%}" for share in refused[0]) or "no threshold",
        ]
        others = [f"{known[product]:.3f}" if product in known else "" for known in (RIVAL, PUBLISHED)]
        seeds = len({row["seed"] for row in rows if row["product"] == product})
        lines.append(f"| {product} | {' | '.join([*cells, *others])} | {seeds} |")
    return "\n".join(lines)


def _mean(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.4f}{spread}" if values else ""


def of_words(words: Sequence[str]) -> dict[str, Callable[[int], Split]]:
    """The products of ``NAME=FOLDER`` words, by name; ends the program where one is none."""
    found: dict[str, Callable[[int], Split]] = {}
    for word in words:
        name, separator, folder = word.partition("=")
        if not separator:
            sys.exit(f"error: '{word}' is not a product; write NAME=FOLDER.")
        found[name] = lambda seed, folder=folder: of_folder(Path(folder), seed)  # type: ignore[misc]
    return found


def products(arguments: argparse.Namespace) -> dict[str, Callable[[int], Split]]:
    """The products by name."""
    found = of_words(arguments.products)
    if arguments.cells or not found:
        found |= {
            "elpv-mono-demo": of_demo,
            "elpv-mono": lambda seed: of_cells("mono", seed),
            "elpv-poly": lambda seed: of_cells("poly", seed),
        }
    return found


def main() -> None:
    """Measure what was not measured yet, and print the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("products", nargs="*", metavar="NAME=FOLDER", help="products of your own")
    parser.add_argument("--cells", action="store_true", help="the solar cells too")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--only", choices=METHODS, help="the preset without the baselines, or one of these beside it")
    parser.add_argument(
        "--few", nargs="*", metavar="NAME", help="products that 16 images are to do for as well; all unless given"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a setting")
    parser.add_argument("--preset", default="default", help="what is measured")
    parser.add_argument("--results", type=Path, default=Path("accuracy.jsonl"), help="file of results")
    parser.add_argument("--cache", type=Path, default=Path("accuracy-features"), help="folder of features")
    parser.add_argument("--document", type=Path, help="document to put the table into")
    arguments = parser.parse_args()
    methods = METHODS if arguments.only is None else tuple(dict.fromkeys((METHODS[0], arguments.only)))
    changed = dict(word.split("=", 1) for word in arguments.set)
    known = {}
    if arguments.results.exists():
        for line in arguments.results.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            known[(row["key"], row["product"], row["method"])] = row
    rows = []
    for seed in range(arguments.seeds):
        settings = preset(arguments.preset).with_overrides({"seed": seed, **changed})
        for name, choose in products(arguments).items():
            whole = choose(seed)
            splits = [(name, whole)]
            if arguments.few is None or name in arguments.few:
                splits.append((f"{name}@{SHOTS}", few(whole, seed)))
            for product, split in splits:
                key = fingerprint(settings, split)
                if not all((key, product, method) in known for method in methods):
                    for found in measure(split, settings, arguments.cache, methods):
                        row = {"key": key, "product": product, "seed": seed, "images": len(split.train), **found}
                        known[(key, product, str(found["method"]))] = row
                        with arguments.results.open("a", encoding="utf-8") as file:
                            file.write(json.dumps(row) + "\n")
                        sys.stderr.write(f"{product} seed {seed} {found['method']}: {found['auroc']:.4f}\n")
                rows += [known[(key, product, method)] for method in METHODS if (key, product, method) in known]
    order = list(products(arguments))
    rows.sort(
        key=lambda row: (str(row["product"]).endswith(f"@{SHOTS}"), order.index(str(row["product"]).partition("@")[0]))
    )
    text = table(rows)
    sys.stdout.write(text + "\n")
    if arguments.document is not None:
        before, _, rest = arguments.document.read_text(encoding="utf-8").partition(MARKERS[0])
        after = rest.partition(MARKERS[1])[2]
        arguments.document.write_text(f"{before}{MARKERS[0]}\n{text}\n{MARKERS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
