"""What calibration takes from good images: their scores, and how hot their maps get."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from differnet.errors import DatasetError
from differnet.images import ImageSource
from differnet.images.failure import Failure
from differnet.inspection.inspection import Inspection

__all__ = ["Measured", "measure_images"]


@dataclass(frozen=True)
class Measured:
    """What was measured of images.

    Attributes:
        scores: (n,) float32 raw anomaly scores.
        peaks: (n,) float32 hottest raw values of their maps.
        failures: Images that could not be used.
        unlike: Images that have something unlike the training images, each with what that is.
    """

    scores: Tensor
    peaks: Tensor
    failures: list[Failure]
    unlike: tuple[tuple[str, str], ...] = ()


def measure_images(
    inspection: Inspection, sources: Sequence[ImageSource], progress: Callable[[int], None] = lambda done: None
) -> Measured:
    """Measure images by a fitted model.

    Args:
        inspection: Of the model.
        sources: Paths and arrays.
        progress: Called with the number of images done so far.

    Raises:
        DatasetError: If no image can be read.
    """
    localizer, method = inspection.localizer, inspection.model.settings.localization.method
    scores: list[float] = []
    peaks: list[float] = []
    failures: list[Failure] = []
    unlike: list[tuple[str, str]] = []
    samples = inspection.samples(sources, described=localizer.needs_cells(method))
    for done, sample in enumerate(samples, start=1):
        if isinstance(sample, Failure):
            failures.append(sample)
        else:
            scores.append(inspection.score(sample))
            said = inspection.unlike(sample)
            unlike += [] if said is None else [(sample.source, said)]
            peaks.append(localizer.peak(localizer.raw_map(sample.pixels, method, sample.anomaly)))
        progress(done)
    if not scores:
        reason = failures[0].reason if failures else "there are none"
        raise DatasetError(f"None of the images for calibration can be read: {reason}")
    return Measured(torch.tensor(scores), torch.tensor(peaks), failures, tuple(unlike))
