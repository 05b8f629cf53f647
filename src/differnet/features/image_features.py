"""What is computed of an image, and of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from differnet.features.cache import CachedImage
from differnet.features.describer import Cells
from differnet.images.failure import Failure
from differnet.views import View

__all__ = ["FeatureBank", "ImageFeatures", "PreparedImage"]


@dataclass(frozen=True)
class ImageFeatures:
    """What the extractor says of one image.

    Attributes:
        index: Place of the image in the input.
        source: The path, or the array's place in the input.
        width: Width of the original image, in pixels.
        height: Height of the original image, in pixels.
        features: (V, d) float32, one row per view, on the CPU.
        pixels: uint8 (size, size, 3), the image as it was resized.
        cells: Its cells, where they were asked for.
    """

    index: int
    source: str
    width: int
    height: int
    features: Tensor
    pixels: NDArray[np.uint8]
    cells: Cells | None = None


@dataclass(frozen=True)
class PreparedImage:
    """What is done for an image by itself: read, resized, on a CPU also turned into its views, or all of it.

    Attributes:
        index: Place of the image in the input.
        source: The path, or the array's place in the input.
        width: Width of the original image, in pixels.
        height: Height of the original image, in pixels.
        views: Its V views.
        pixels: uint8 (size, size, 3), the image as it was resized.
        turned: uint8 (V, size, size, 3), its views, where the network needs them yet.
        key: Under which the cache keeps what the network says of it.
        found: What the network says of it, where that is known.
    """

    index: int
    source: str
    width: int
    height: int
    views: Sequence[View]
    pixels: NDArray[np.uint8]
    turned: NDArray[np.uint8] | None = None
    key: str = ""
    found: CachedImage | None = None


@dataclass
class FeatureBank:
    """The features of many images, computed once and read in every epoch.

    Attributes:
        features: (N, V, d) float32.
        sources: The N images.
        failures: Images that could not be used.
    """

    features: Tensor
    sources: list[str]
    failures: list[Failure] = field(default_factory=list)
