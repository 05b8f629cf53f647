"""What a training step and a scored image cost: ``python -m benchmarks.steps [--images FOLDER] [--json]``.

A step is timed as training runs it: the default preset reads its vectors from the feature bank, the paper preset
decodes, turns and extracts 24 images x 4 views first.

Medians of several repetitions in one process, so that they compare.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from differnet import DifferNet
from differnet.flow import build_density_model
from differnet.images import ImageSource, collect_images
from differnet.images.failure import Failure
from differnet.settings import Settings, preset
from differnet.training import train_flow
from differnet.training.vectors import BankVectors, FreshVectors, VectorSource
from differnet.views import fixed_views

REPETITIONS = 5


class FewSteps:
    """Epochs of a given number of steps, each with the first batch of an epoch of the source."""

    def __init__(self, source: VectorSource, steps: int) -> None:
        self.source = source
        self.steps = steps

    def epoch(self, number: int) -> Iterator[Tensor]:
        """Yield the batches."""
        for step in range(self.steps):
            yield next(self.source.epoch(number + step))


def median_seconds(work: Callable[[], object], repetitions: int = REPETITIONS) -> float:
    """Time a piece of work after one unmeasured run."""
    work()
    seconds = []
    for _ in range(repetitions):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def step_seconds(model: DifferNet, images: Sequence[ImageSource]) -> tuple[float, float]:
    """Seconds of a training step, and of the same step without extraction."""
    settings = model.settings
    views, training = settings.views, settings.training
    chosen = images[: training.batch_images]
    flow = build_density_model(model.extraction.features, settings.flow)
    bank = model.extraction.bank(chosen, fixed_views(views)[: views.training_count])
    bank_vectors = BankVectors(bank.features, batch_images=training.batch_images, seed=0)
    one_epoch = training.model_copy(update={"epochs": 1, "keep": "last"})

    def per_step(source: VectorSource, steps: int) -> float:
        """The difference of two trainings leaves out what each does once, such as making the optimiser."""
        few, many = (
            median_seconds(lambda count=count: train_flow(flow, FewSteps(source, count), None, one_epoch), 3)  # type: ignore[misc]
            for count in (1, 1 + steps)
        )
        return (many - few) / steps

    flow_only = per_step(bank_vectors, 4)
    if training.views == "bank":
        return flow_only, flow_only
    fresh = FreshVectors(model.extraction, chosen, views, batch_images=training.batch_images, seed=0)
    return per_step(fresh, 2), flow_only


def score_seconds(model: DifferNet, images: Sequence[ImageSource]) -> float:
    """Seconds of scoring an image, flow excluded: reading, views, extractor."""
    views = fixed_views(model.settings.views)

    def extract() -> None:
        for result in model.extraction.stream(images, views):
            if isinstance(result, Failure):
                sys.exit(result.reason)

    return median_seconds(extract, 3) / len(images)


def measure(name: str, settings: Settings, images: Sequence[ImageSource]) -> dict[str, float | str]:
    """Measure one preset."""
    model = DifferNet(settings)
    step, flow_only = step_seconds(model, images)
    return {
        "preset": name,
        "vectors_per_step": settings.training.batch_images * settings.views.training_count,
        "step_seconds": step,
        "flow_seconds": flow_only,
        "views_per_scored_image": settings.views.count,
        "extract_seconds_per_image": score_seconds(model, images[: 2 if settings.views.count > 8 else 8]),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.steps", description=__doc__)
    parser.add_argument("--images", help="folder of images; without it, noise of 900 x 900 pixels is used")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    images: list[ImageSource]
    if arguments.images:
        images = [*collect_images(arguments.images).paths[:24]]
    else:
        images = [*np.random.default_rng(0).integers(0, 256, (24, 900, 900, 3), dtype=np.uint8)]
    rows = [measure(name, preset(name), images) for name in ("default", "paper")]
    if arguments.json:
        json.dump({"threads": torch.get_num_threads(), "rows": rows}, sys.stdout, indent=2)
        return
    sys.stdout.write(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    for row in rows:
        sys.stdout.write(
            f"{row['preset']:<8} step of {row['vectors_per_step']} vectors {row['step_seconds']:.3f} s "
            f"(flow alone {row['flow_seconds']:.3f} s); {row['views_per_scored_image']} views of an image "
            f"{row['extract_seconds_per_image']:.3f} s\n"
        )


if __name__ == "__main__":
    main()
