"""One image on its way from a file to its verdict, with all that is known of it so far."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.features.describer import Cells
from differnet.images import Depth
from differnet.views import View

__all__ = ["Sample", "Stopwatch"]


@dataclass
class Stopwatch:
    """The time that an image took, without that in which it waited.

    Attributes:
        seconds: Before it was started last.
    """

    seconds: float = 0.0
    _started: float | None = None

    def start(self, before: float = 0.0) -> None:
        """Go on, with some seconds more that were taken elsewhere: a share of what several images took together."""
        self.stop()
        self.seconds += before
        self._started = time.perf_counter()

    def stop(self) -> None:
        """Pause."""
        if self._started is not None:
            self.seconds += time.perf_counter() - self._started
            self._started = None

    @property
    def milliseconds(self) -> float:
        """The time so far, in milliseconds to three decimals."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        return round(1000 * (self.seconds + running), 3)


@dataclass(eq=False)
class Sample:
    """One image on its way: each step fills in what it finds, and nothing that is there is computed again.

    `FeatureExtraction.prepare` reads it, `FeatureExtraction.finish` sees to its features and cells, and `Inspection`
    to its anomaly, the flow's energies and the verdict. It belongs to one thread at a time.

    Attributes:
        index: Place of the image in the input.
        source: The path, or the array's place in the input.
        width: Width of the original image, in pixels.
        height: Height of the original image, in pixels.
        views: Its first V views: those whose features come at once.
        pixels: uint8 (size, size, 3), the image as it was resized.
        depth: In what numbers the image came.
        pages: Or frames of its file, of which it is the first.
        image: uint8 (height, width, 3), the original; None unless it was asked for, since it is large.
        turned: uint8 (V, size, size, 3), its views, while the network needs them.
        key: Under which the cache keeps what the network says of it.
        features: (k, d) float32 on the CPU, one row for each view that the network saw; (0, 0) before.
        cells: Its cells, where they were asked for, until they are compared: they are the largest of what is kept.
        anomaly: (g, g) float32, the local anomaly of its cells, once that is known.
        energies: (k,) float32 on the CPU, what the flow says of its first k views, where views are taken in groups.
        flow_score: (1,) float32, the flow's score by the views that it has, once that is known.
        clock: How long it took.
    """

    index: int
    source: str
    width: int
    height: int
    views: Sequence[View]
    pixels: NDArray[np.uint8]
    depth: Depth = field(default_factory=Depth)
    pages: int = 1
    image: NDArray[np.uint8] | None = None
    turned: NDArray[np.uint8] | None = None
    key: str = ""
    features: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    cells: Cells | None = None
    anomaly: Tensor | None = None
    energies: Tensor = field(default_factory=lambda: torch.empty(0))
    flow_score: Tensor | None = None
    clock: Stopwatch = field(default_factory=Stopwatch)

    @property
    def is_extracted(self) -> bool:
        """Whether the network saw it."""
        return len(self.features) > 0
