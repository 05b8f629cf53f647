"""Is a change of light, focus or compression told, and how often is clean work? ``python -m benchmarks.drift``.

Of the functional monocrystalline cells of ``elpv-dataset`` 300 are learnt from. Of the others 100 at a time are
inspected as they are, in random draws, and once each after a change.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from differnet import DifferNet, Sample, Verdict
from differnet.images import read_image
from differnet.images.solar_cells import TRAINING_CELLS, find_dataset
from differnet.inspection.drift import DriftMonitor
from differnet.settings import preset

BATCH = 100
Pixels = NDArray[np.uint8]


def lighter(factor: float) -> Callable[[Pixels], Pixels]:
    """All values times a factor."""
    return lambda image: np.clip(image * factor, 0, 255).round().astype(np.uint8)


def blurred(pixels: float) -> Callable[[Pixels], Pixels]:
    """Gaussian blur."""
    return lambda image: np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(pixels)))


def compressed(quality: int) -> Callable[[Pixels], Pixels]:
    """As a JPEG."""

    def change(image: Pixels) -> Pixels:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=quality)
        return np.asarray(Image.open(file))

    return change


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "light +5 %": lighter(1.05),
    "light +10 %": lighter(1.1),
    "light +20 %": lighter(1.2),
    "light -20 %": lighter(0.8),
    "blur 1 px": blurred(1),
    "blur 2 px": blurred(2),
    "JPEG 90": compressed(90),
    "JPEG 60": compressed(60),
    "shift 5 px": lambda image: np.roll(image, (5, 5), (0, 1)),
}


def main() -> None:
    """Print what is told of each change, and how many clean batches raise an alarm."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.drift", description=__doc__)
    parser.add_argument("--choices", type=int, default=1, help="number of choices of cells")
    parser.add_argument("--batches", type=int, default=200, help="number of clean batches of each choice")
    parser.add_argument("--cache", type=Path, help="folder where features are kept")
    arguments = parser.parse_args()
    dataset = find_dataset()
    rows = [line.split() for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines()]
    good = [dataset / name for name, probability, kind in rows if kind == "mono" and float(probability) == 0.0]
    for choice in range(arguments.choices):
        random = np.random.RandomState(choice)
        known, unseen = np.split(random.permutation(len(good)), [TRAINING_CELLS])
        model = DifferNet(preset("default").with_overrides({"seed": choice}), cache=arguments.cache)
        model.fit([good[i] for i in known])
        clean = _inspected(model, [read_image(good[i]) for i in unseen])
        alarms = sum(
            _report(model, [clean[i] for i in random.permutation(len(clean))[:BATCH]]) != ""
            for _ in range(arguments.batches)
        )
        sys.stdout.write(f"choice {choice}: {alarms} of {arguments.batches} clean batches of {BATCH} raise an alarm\n")
        for name, change in CHANGES.items():
            told = _report(model, _inspected(model, [change(read_image(good[i])) for i in unseen[:BATCH]]))
            sys.stdout.write(f"choice {choice}, {name}: {told or 'nothing'}\n")
            sys.stdout.flush()


def _inspected(model: DifferNet, images: list[Pixels]) -> list[tuple[Sample, Verdict]]:
    samples = [model.prepare(image) for image in images]
    verdicts = model.inspect_prepared(samples)
    return [
        (sample, verdict)
        for sample, verdict in zip(samples, verdicts, strict=True)
        if isinstance(sample, Sample) and isinstance(verdict, Verdict)
    ]


def _report(model: DifferNet, inspected: list[tuple[Sample, Verdict]]) -> str:
    monitor = DriftMonitor(model.fitted.reference)
    for sample, verdict in inspected:
        monitor.add(sample, verdict)
    return monitor.report(model.calibration).sentence


if __name__ == "__main__":
    main()
