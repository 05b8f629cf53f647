"""What training images are like: found out while they are read, and beforehand only where their bit depth needs it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from differnet.errors import ImageError
from differnet.images.deep import Depth, PixelScale, natural_range
from differnet.images.likeness import TrainingImages
from differnet.images.read import ImageSource, decode_image

__all__ = ["TrainingLook"]

# Floating-point arrays beyond [0, 1] are refused unless a scale is known, which is being found here.
_ANY = PixelScale(floating=(0.0, 1.0))


class TrainingLook:
    """Takes note of the images that are learnt from; may be asked by several threads.

    Images of eight bits are opened no further time for it. The scale of others is what all of them together need, so
    that they are read once before the first is used.

    Args:
        sources: All images that are learnt from; those that cannot be read are passed over, training tells of them.
    """

    def __init__(self, sources: Sequence[ImageSource]) -> None:
        self._sources = sources
        self._lock = threading.Lock()
        self._scale: PixelScale | None = None
        self._sizes: set[tuple[int, int]] = set()
        self._eight = False
        self._pages = 1

    def scale(self) -> PixelScale:
        """The scale of pixels of more than eight bits: the smallest usual one that holds the values of all images."""
        with self._lock:
            if self._scale is None:
                depths = [depth for source in self._sources if (depth := _depth(source)) is not None]
                self._scale = PixelScale(False, _range(depths, "integer"), _range(depths, "floating"))
            return self._scale

    def note(self, width: int, height: int, depth: Depth, pages: int = 1) -> None:
        """Take note of an image that was read."""
        with self._lock:
            self._sizes.add((width, height))
            self._eight = self._eight or depth.kind == "eight"
            self._pages = max(self._pages, pages)

    def result(self) -> TrainingImages | None:
        """What the images are like; None if none was read."""
        if not self._sizes:
            return None
        widths, heights = zip(*self._sizes, strict=True)
        aspects = [width / height for width, height in self._sizes]
        learnt = self._scale or PixelScale()
        return TrainingImages(
            PixelScale(self._eight, learnt.integer, learnt.floating),
            (min(widths), max(widths)),
            (min(heights), max(heights)),
            (min(aspects), max(aspects)),
            self._pages,
        )


def _depth(source: ImageSource) -> Depth | None:
    if isinstance(source, np.ndarray) and source.dtype == np.uint8:
        return None
    try:
        return decode_image(source, scale=_ANY).depth
    except ImageError:
        return None


def _range(depths: Sequence[Depth], kind: str) -> tuple[float, float] | None:
    of_kind = [depth for depth in depths if depth.kind == kind]
    if not of_kind:
        return None
    low, high = min(depth.low for depth in of_kind), max(depth.high for depth in of_kind)
    return natural_range(Depth(of_kind[0].kind, low, high))
